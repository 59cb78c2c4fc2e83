"""Own logs: contenders on the reader's own workspace, where nobody has said what an attack was.

Reads  a workspace. Writes nothing but its activity and fingerprints, brought up to date as a run does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tokenkit import activity, config, fingerprint
from tokenkit.bench import alerts, protocol
from tokenkit.bench.detectors import leaks, registry
from tokenkit.bench.detectors.contender import Contender
from tokenkit.bench.metrics.agreement import agreement
from tokenkit.bench.trials.unattacked import UnattackedOrganisation, unattacked_organisation
from tokenkit.config import Workspace
from tokenkit.days import MIN_DAYS, Periods, periods_of
from tokenkit.errors import InputError, LockedError, TokenkitError
from tokenkit.normal.evidence import Evidence
from tokenkit.progress import Progress, silent
from tokenkit.store.access import locked


@dataclass(frozen=True)
class OwnLogs:
    """What each contender would have opened.

    ``contenders`` has one row each: ``group``, ``opened`` (incidents in the reported days), ``a_day`` (a day for each
    1,000 profiles), ``of_budget`` (of those allowed), ``cpu_s``. ``flagged`` has one row a contender and flagged
    profile-day: ``detector``, ``profile_uid``, ``day``. ``evidence`` is what they were shown.
    """

    evidence: Evidence
    contenders: pd.DataFrame
    flagged: pd.DataFrame

    def agreement(self) -> pd.DataFrame:
        """How alike the flagged profile-days of every two contenders are (``metrics.agreement``)."""
        return agreement(self.flagged, list(self.contenders.index), ["profile_uid", "day"])


def compare(
    workspace: str, contenders: Sequence[Contender], budget: float = 5.0, seed: int = 0, progress: Progress = silent
) -> tuple[OwnLogs | None, str]:
    """Fit and score contenders on one's own logs at one budget; labels are not looked at.

    Parameters
    ----------
    workspace : its folder; empty for the one at or above the current folder
    budget : new incidents a day for each 1,000 profiles

    Returns
    -------
    (OwnLogs, str)
        The result, None where there is nothing to compare on, and a sentence about it.

    Raises
    ------
    DetectorError
        A detector of yours is refused (``leaks``); says why.
    """
    try:
        where = config.find(Path(workspace)) if workspace else config.find()
    except TokenkitError as error:
        return None, f"No comparison on your own logs: {error}"
    if where is None:
        folder = workspace or Path.cwd()
        return None, f"No logs of your own: no tokenkit workspace at or above {folder}. Make one: tokenkit init DIR"
    try:
        with locked(where):  # as a run does: fingerprints may have to be formed
            periods = _periods(where, progress)
            organisation = unattacked_organisation(where, periods, seed)
    except LockedError:
        return None, f"No comparison on your own logs: a run works in {where.root}. Try again when it has finished."
    except InputError as error:
        return None, f"No comparison on your own logs: {error}"
    assert periods.reference is not None
    profiles = len(organisation.evidence.days.profiles)
    return _own_logs(organisation, contenders, budget, seed, progress), (
        f"{profiles:,} profiles, fitted on {periods.reference[0]} to {periods.reference[1]}, reported {periods.start} "
        f"to {periods.end} (the last day of each not included). Nobody has said what an attack was, so there is no "
        "recall here."
    )


def _own_logs(
    organisation: UnattackedOrganisation, contenders: Sequence[Contender], budget: float, seed: int, progress: Progress
) -> OwnLogs:
    thousands = organisation.evidence.days.counted_a_day(organisation.evidence.periods.start).sum() / 1000
    breaches = protocol.breach_windows(organisation.workspace, organisation.evidence)
    rows, flagged = [], []
    taking_part = registry.with_settings(contenders, organisation.workspace)
    leaks.refuse_yours(organisation, taking_part)
    for number, contender in enumerate(taking_part):
        progress("comparing on your own logs", number, len(contenders))
        fitted = protocol.fit(organisation, contender, seed, [budget])
        opened, windows = alerts.opened(fitted, organisation, budget, breaches)
        a_day = len(opened) / thousands
        rows.append([contender.name, contender.group, len(opened), a_day, a_day / budget,
                     fitted.fit_s + fitted.score_s])  # fmt: skip
        day = windows["start"].dt.normalize()
        inside = windows.assign(day=day)[day >= organisation.start][["profile_uid", "day"]].drop_duplicates()
        flagged.append(inside.assign(detector=contender.name))
    progress("comparing on your own logs", len(contenders), len(contenders))
    columns = ["detector", "group", "opened", "a_day", "of_budget", "cpu_s"]
    table = pd.DataFrame(rows, columns=columns).set_index("detector")
    return OwnLogs(organisation.evidence, table, pd.concat(flagged, ignore_index=True))


def _periods(workspace: Workspace, progress: Progress) -> Periods:
    """The days that a report would speak of; fingerprints are brought up to date for them."""
    periods = periods_of(workspace)
    if periods.calibration is None:
        days, least = (periods.end - periods.first).days, 2 * MIN_DAYS + 1
        raise InputError(
            f"the logs reach over {days} day{'s' if days != 1 else ''}, and {least} are needed: a week to fit on, a "
            "week to set thresholds on, a day to judge. Read older logs: tokenkit ingest PATH"
        )
    activity.build(workspace, progress)
    fingerprint.build(workspace, progress)
    return periods
