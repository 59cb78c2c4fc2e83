"""Own weights: the score of a day adapted to one's own logs, by attacks on a copy of them.

Reads  a workspace. Writes ``weights.json`` in it (``learn``, with who and why), or removes it (``forget``).
The profiles are halved: the days of one half and attacks on it teach, those of the other half judge, and the other
way round. So nothing is judged by weights that saw it. What is saved has learned from both halves, drawn to the weights
that were there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from tokenkit import activity, fingerprint
from tokenkit.bench import scenarios, train
from tokenkit.bench.inject import reported_periods
from tokenkit.bench.trials import draws
from tokenkit.bench.trials.unattacked import unattacked_organisation
from tokenkit.channels import weights
from tokenkit.channels.weights import Weights
from tokenkit.config import Detection, Workspace
from tokenkit.errors import ConfigError, InputError
from tokenkit.incidents import attribution
from tokenkit.progress import Progress, silent

MIN_TOKENS = 20  # that can be attacked: with fewer a half says nothing of the other


@dataclass(frozen=True)
class Judged:
    """What weights that saw nothing of it make of each half: recall of all attacks at the budget (mean over scenarios),
    incidents opened where nobody attacks as a share of those allowed, and how many attacks were judged.
    """

    recall: float
    of_budget: float
    trials: int


@dataclass(frozen=True)
class OwnWeights:
    """Weights learned from one's own logs, and what they do beside those that were there."""

    weights: Weights
    before: Judged
    after: Judged


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
    everyone = sorted(organisation.evidence.days.profiles.tolist())
    mixed = draws.trial_stream(seed, "halves").permutation(everyone)
    lessons = []
    for number in range(2):
        progress("attacking copies of your tokens", number, 2)
        lessons.append(train.lesson(organisation, each, folder / str(number), mixed[number::2].tolist()))
    progress("attacking copies of your tokens", 2, 2)
    start, detection = weights.of_workspace(workspace), workspace.settings.detection
    tables = [train.days_of(one) for one in lessons]
    progress("comparing", 0, 2)
    before = _judge(lessons, [start, start], detection)
    progress("comparing", 1, 2)
    after = _judge(lessons, [train.learn([tables[1]], start=start), train.learn([tables[0]], start=start)], detection)
    progress("comparing", 2, 2)
    trained = {
        "about": "How much each sign says of misuse, adapted to these logs by attacks on a copy of them",
        "command": f"tokenkit tune learn --each {each} --seed {seed}",
        "set_by": attribution.person(" ".join(who.split())), "set_why": attribution.reason(" ".join(why.split())),
        "set_on": datetime.now(UTC).date().isoformat(),
        "recall before and after": [round(before.recall, 3), round(after.recall, 3)],
        "of the budget before and after": [round(before.of_budget, 2), round(after.of_budget, 2)],
        "started from": start.trained.get("command", ""),
    }  # fmt: skip
    return OwnWeights(replace(train.learn(tables, start=start), trained=trained), before, after)


def _judge(lessons: Sequence[train.Lesson], of_half: Sequence[Weights], detection: Detection) -> Judged:
    """What weights of each half catch, and open where nobody attacks."""
    ids = list(scenarios.ATTACKS)
    outcomes = pd.concat([train.judge(*one, ids, detection) for one in zip(lessons, of_half, strict=True)])
    opened = np.sum([train.opened_and_allowed(*one, detection) for one in zip(lessons, of_half, strict=True)], axis=0)
    recall = float(outcomes.groupby("scenario")["caught"].mean().mean())
    return Judged(recall, float(opened[0] / opened[1]), len(outcomes))


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
