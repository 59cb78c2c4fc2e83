"""Own weights: the score of a day adapted to one's own logs, by attacks on a copy of them.

Reads  a workspace. Writes ``weights.json`` in it (``learn``, with who and why), or removes it (``forget``).
The tokens are halved: attacks on one half teach, attacks on the other half judge, and the other way round. So no attack
is judged by weights that saw it. What is saved has learned from both halves, drawn to the weights that were there.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from tokenkit import activity, fingerprint
from tokenkit.bench import scenarios, train
from tokenkit.bench.inject import reported_periods
from tokenkit.bench.trials import draws
from tokenkit.bench.trials.unattacked import unattacked_organisation
from tokenkit.channels import weights
from tokenkit.channels.weights import Weights
from tokenkit.config import Workspace
from tokenkit.errors import ConfigError, InputError
from tokenkit.incidents import attribution
from tokenkit.progress import Progress, silent

MIN_TOKENS = 20  # that can be attacked: with fewer a half says nothing of the other


@dataclass(frozen=True)
class OwnWeights:
    """Weights learned from one's own logs, and what they would have caught beside those that were there.

    Attributes
    ----------
    weights : Weights
    before, after : recall of all attacks at the budget, the mean over scenarios; each token's by weights that never saw
        an attack on it
    opened_before, opened_after : incidents opened where nobody attacks, as a share of the budget
    trials : attacks judged
    """

    weights: Weights
    before: float
    after: float
    opened_before: float
    opened_after: float
    trials: int


def learn(
    workspace: Workspace, folder: Path, who: str, why: str, each: int = 2, seed: int = 0, progress: Progress = silent
) -> OwnWeights:  # fmt: skip
    """Learn weights from attacks on a copy of the workspace's logs; nothing is saved yet (``save``).

    Parameters
    ----------
    folder : holds the copies meanwhile
    who, why : stand in the file, and on the page of the runs that use it
    each : trials of each scenario and intensity, for each half of the tokens
    seed : of the draws

    Raises
    ------
    ConfigError
        Nobody is named, or no reason.
    InputError
        There are no logs, or too few days or tokens.
    """
    if not who.strip() or not why.strip():
        raise ConfigError("who learns weights and why stand in the file: name both, such as --who ana --why 'new team'")
    activity.build(workspace, progress)
    fingerprint.build(workspace, progress)
    organisation = unattacked_organisation(workspace, reported_periods(workspace), seed)
    tokens = draws.pool(organisation)
    if len(tokens) < MIN_TOKENS:
        raise InputError(
            f"{workspace.root}: {len(tokens)} tokens can be attacked, {MIN_TOKENS} are needed to learn from one half "
            "and judge by the other. Keep the weights that tokenkit comes with"
        )
    mixed = draws.trial_stream(seed, "halves").permutation(tokens)
    halves = [sorted(mixed[::2].tolist()), sorted(mixed[1::2].tolist())]
    lessons = []
    for number, half in enumerate(halves):
        progress("attacking copies of your tokens", number, len(halves))
        lessons.append(train.lesson(organisation, each, folder / str(number), half))
        shutil.rmtree(folder / str(number), ignore_errors=True)
    progress("attacking copies of your tokens", len(halves), len(halves))
    start, detection = weights.of_workspace(workspace), workspace.settings.detection
    tables = [train.days_of(one) for one in lessons]
    learned = [train.learn([table], start=start) for table in tables]
    ids = list(scenarios.ATTACKS)

    def recall(of: Callable[[int], Weights]) -> tuple[float, int]:
        outcomes = pd.concat([train.judge(one, of(n), ids, detection) for n, one in enumerate(lessons)])
        return float(outcomes.groupby("scenario")["caught"].mean().mean()), len(outcomes)

    progress("comparing", 0, 2)
    before, trials = recall(lambda number: start)
    progress("comparing", 1, 2)
    after, _ = recall(lambda number: learned[1 - number])
    both = train.learn(tables, start=start)
    opened = [train.of_budget(lessons[0], one, detection) for one in (start, both)]
    progress("comparing", 2, 2)
    trained = {
        "about": "How much each sign says of misuse, adapted to these logs by attacks on a copy of them",
        "command": f"tokenkit tune learn --each {each} --seed {seed}",
        "set_by": attribution.person(" ".join(who.split())), "set_why": attribution.reason(" ".join(why.split())),
        "set_on": datetime.now(UTC).date().isoformat(),
        "recall before and after": [round(before, 3), round(after, 3)],
        "of the budget before and after": [round(one, 2) for one in opened],
        "started from": start.trained.get("command", ""),
    }  # fmt: skip
    return OwnWeights(replace(both, trained=trained), before, after, opened[0], opened[1], trials)


def save(workspace: Workspace, found: OwnWeights) -> Path:
    """Write the weights into the workspace: the next run uses them, and says so on the page."""
    path = workspace.root / weights.FILE_NAME
    staged = path.with_suffix(".part")
    weights.write(found.weights, staged)
    staged.replace(path)
    return path


def forget(workspace: Workspace) -> Path:
    """Remove the workspace's own weights: the next run uses those that tokenkit comes with.

    Raises
    ------
    InputError
        It has none.
    """
    path = workspace.root / weights.FILE_NAME
    if not path.exists():
        raise InputError(f"{path}: there are no weights of your own; tokenkit uses those that it comes with")
    path.unlink()
    return path
