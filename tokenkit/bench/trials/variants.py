"""Variants: the organisation was not clean when it was learned from.

*Dirty*: one token in a hundred is already attacked on days of the reference, and nobody knows. *Poisoned*: the attacker
warms the token up for the 14 days before, on which thresholds are set. Both change what is learned, so the organisation
is measured again with them in it.
Reads  UnattackedOrganisation. Writes the lakes of twins into a folder, and removes them.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from tokenkit.bench import scenarios
from tokenkit.bench.scenarios.scenario import Scenario, with_warm_up
from tokenkit.bench.trials import draws, overlay
from tokenkit.bench.trials.draws import Trial
from tokenkit.bench.trials.overlay import AttackedProfiles
from tokenkit.bench.trials.unattacked import UnattackedOrganisation

DIRTY, POISONED = "dirty", "poisoned"
DIRTY_SHARE = 0.01  # of the tokens
POISONED_SHARE = 0.02  # of the tokens at a time: more would be an organisation of poisoned tokens
IN_THE_PAST = ("slow_exfiltration", "stolen_token", "bulk_spike", "object_enumeration", "pagination_crawl")


def dirty(
    organisation: UnattackedOrganisation, events: dict[str, pd.DataFrame], folder: Path
) -> tuple[UnattackedOrganisation, dict[str, pd.DataFrame]]:
    """The organisation with some tokens attacked while it was learned from, and the events of the others.

    Parameters
    ----------
    events : of the tokens that may be attacked, now or then
    folder : for the twins; removed again
    """
    reference = organisation.evidence.periods.reference
    assert reference is not None
    period = (pd.Timestamp(reference[0], tz="UTC"), pd.Timestamp(reference[1], tz="UTC"))
    wanted = max(1, round(DIRTY_SHARE * len(organisation.evidence.days.profiles)))
    each = -(-wanted // len(IN_THE_PAST))
    cells = [(found, found.intensities[-1]) for found in map(scenarios.get, IN_THE_PAST)]
    trials = draws.draw(organisation, cells, each, events, 0, "past", period)
    trials = _distinct(trials)[:wanted]
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    changed, _ = overlay.replace_tokens(organisation, trials, events, folder)
    shutil.rmtree(folder)
    gone = {uid for trial in trials for uid in trial.base_uids}
    return changed, {uid: frame for uid, frame in events.items() if uid not in gone}


def poisoned(
    organisation: UnattackedOrganisation, cells: Sequence[tuple[Scenario, float]], each: int,
    events: dict[str, pd.DataFrame], first: int, folder: Path,
) -> Iterator[tuple[UnattackedOrganisation, AttackedProfiles]]:  # fmt: skip
    """Organisations in which a few tokens were warmed up and then attacked, until each scenario had its trials.

    Parameters
    ----------
    cells : scenario and intensity; those that cannot begin small, and cohorts, are left out
    each : trials of each
    first : number of the first trial
    """
    slow = [(with_warm_up(s), i) for s, i in cells if s.gradual and s.cohort == 1 and s.kind == "attack"]
    begin = (organisation.start, organisation.start + pd.Timedelta("1D"))
    trials = draws.draw(organisation, slow, each, events, first, POISONED, begin)
    left = [replace(trial, end=organisation.end) for trial in trials]
    most = max(2, round(POISONED_SHARE * len(organisation.evidence.days.profiles)))
    while left:
        now = _distinct(left)[:most]
        left = [trial for trial in left if trial not in now]
        shutil.rmtree(folder, ignore_errors=True)
        yield overlay.replace_tokens(organisation, now, events, folder)
        shutil.rmtree(folder)


def _distinct(trials: Sequence[Trial]) -> list[Trial]:
    """The first trial of each token."""
    chosen: list[Trial] = []
    taken: set[str] = set()
    for trial in trials:
        if not taken & set(trial.base_uids):
            chosen.append(trial)
            taken |= set(trial.base_uids)
    return chosen
