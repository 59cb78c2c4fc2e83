"""Evidence: all that the channels score, measured from a workspace for the periods of a run.

Reads  fingerprint, activity_network, activity_client, activity_operation, tokens. Writes nothing.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.days import Periods
from tokenkit.errors import InputError
from tokenkit.fingerprint import features, judged_features
from tokenkit.normal import baseline, familiarity, novelty
from tokenkit.normal.baseline import Fit
from tokenkit.normal.behaviour import behaviours
from tokenkit.normal.day_matrices import Days, Matrices, day_matrices, peer_groups
from tokenkit.normal.deviation import CLIP, Yardstick, day_deviations
from tokenkit.normal.labelled_periods import LabelledPeriods
from tokenkit.store import engine, lake
from tokenkit.tokens import owners
from tokenkit.tokens.profiles import token_profiles

NOVELTIES = ("network", "client", "operation", "hour_of_week")


@dataclass
class Evidence:
    """All that the channels score: the deviations of each day, and how new the values of each hour are.

    Attributes
    ----------
    periods : Periods
    days : Days
        The days as matrices (profile x day).
    bits, z, since_reference : dict of feature to matrix (profile x day)
        As ``deviation.day_deviations`` returns them.
    fits : dict of feature to Fit
    yardsticks : dict of feature to Yardstick
    hours : DataFrame, one row a profile and active hour
        As ``novelty.graded_hours`` returns it.
    unfamiliarity : DataFrame, one row a profile and active day
        As ``familiarity.unfamiliarity`` returns it.
    """

    periods: Periods
    days: Days
    bits: Matrices
    z: Matrices
    since_reference: Matrices
    fits: dict[str, Fit]
    yardsticks: dict[str, Yardstick]
    hours: pd.DataFrame
    unfamiliarity: pd.DataFrame = field(default_factory=familiarity.nothing)

    def before(self, day: date | pd.Timestamp) -> "Evidence":
        """The evidence as it was when a day began: nothing of that day, nor of any after it."""
        days = self.days.before(day)
        columns = slice(0, len(days.days))
        start = _midnight(day)
        return replace(
            self, days=days, bits=_cut(self.bits, columns), z=_cut(self.z, columns),
            since_reference=_cut(self.since_reference, columns),
            yardsticks={name: y.of_days(columns) for name, y in self.yardsticks.items()},
            hours=self.hours[self.hours["start"] < start].reset_index(drop=True),
            unfamiliarity=self.unfamiliarity[self.unfamiliarity["start"] < start].reset_index(drop=True),
        )  # fmt: skip

    def of_profiles(self, rows: np.ndarray) -> "Evidence":
        """The evidence of some profiles (row numbers), measured as before: by what was learned from all of them."""

        def part(matrices: Matrices) -> Matrices:
            return {name: matrix[rows] for name, matrix in matrices.items()}

        days = self.days.of_profiles(rows)
        return replace(
            self, days=days, bits=part(self.bits), z=part(self.z), since_reference=part(self.since_reference),
            fits={name: fit.of_profiles(rows) for name, fit in self.fits.items()},
            yardsticks={name: y.of_profiles(rows) for name, y in self.yardsticks.items()},
            hours=_of(self.hours, days.profiles), unfamiliarity=_of(self.unfamiliarity, days.profiles),
        )  # fmt: skip

    def daily_novelty(self, profiles: np.ndarray, days: pd.DatetimeIndex) -> pd.DataFrame:
        """The largest novelty of each kind in the hours of some days, one row for each of ``profiles`` and ``days``.

        ``moved`` is the share of the day's calls that came from networks never used before. 0 on a day without a call.
        """
        hours = self.hours
        keys = [hours["profile_uid"], hours["start"].dt.floor("D").dt.as_unit("us").rename("day")]
        found = hours.groupby(keys)[list(NOVELTIES)].max()
        calls = hours["requests"].groupby(keys).sum()
        found["moved"] = (hours["moved"] * hours["requests"]).groupby(keys).sum() / calls.clip(lower=1)
        return found.reindex(pd.MultiIndex.from_arrays([profiles, days.as_unit("us")])).fillna(0.0)

    def hours_between(self, start: date, end: date) -> pd.DataFrame:
        """The rows of ``hours`` in the days ``[start, end)``."""
        at = self.hours["start"]
        return self.hours[(at >= _midnight(start)) & (at < _midnight(end))].reset_index(drop=True)


def _of(rows: pd.DataFrame, profiles: np.ndarray) -> pd.DataFrame:
    return rows[rows["profile_uid"].isin(profiles)].reset_index(drop=True)


def _cut(matrices: Matrices, columns: slice) -> Matrices:
    return {name: matrix[:, columns] for name, matrix in matrices.items()}


def _midnight(day: date | pd.Timestamp) -> pd.Timestamp:
    return day if isinstance(day, pd.Timestamp) else pd.Timestamp(day, tz="UTC")


@dataclass(frozen=True)
class Population:
    """The profiles of a workspace.

    Attributes
    ----------
    people : DataFrame indexed by profile_uid (``owners.people``)
        Label, owner, team, purpose and ``behaviour`` of each profile.
    tokens : DataFrame (``token_profiles``)
        Which token belongs to which profile: ``token_key``, ``token_uid``, ``profile_uid``, ``profile_kind``.
    """

    people: pd.DataFrame
    tokens: pd.DataFrame

    @property
    def groups(self) -> pd.Series:
        """The peer group of each profile, by profile_uid."""
        return peer_groups(self.people)

    def without_names(self) -> "Population":
        """The same with ids in the place of names (``report.pseudonymous``)."""
        return replace(self, people=owners.hide_names(self.people))


def population(workspace: Workspace, periods: Periods) -> Population:
    """The profiles of a workspace, with their owners as they are at the end of the periods.

    What kind of token each is follows from the days of the reference, so that it stays; without one from all days.
    """
    tokens = token_profiles(workspace)
    people = owners.people(workspace, tokens, datetime.combine(periods.end, datetime.min.time(), UTC))
    start, end = periods.reference or (periods.first, periods.end)
    return Population(people.assign(behaviour=behaviours(workspace, people, tokens, start, end)), tokens)


def of_workspace(
    workspace: Workspace, periods: Periods, labelled: LabelledPeriods | None = None
) -> tuple[Evidence, Population]:
    """The evidence of a workspace for some periods, and the profiles that it is about.

    Parameters
    ----------
    periods : with a reference
    labelled : what people labelled as misuse or accepted; default: nothing

    Raises
    ------
    InputError
        The fingerprints of the lake were formed by a version with other features.
    """
    profiles = population(workspace, periods)
    return measure(workspace, periods, profiles, labelled), profiles


def measure(
    workspace: Workspace, periods: Periods, profiles: Population, labelled: LabelledPeriods | None = None
) -> Evidence:
    """The evidence of all profiles, on all days from the first of the reference on.

    Parameters
    ----------
    periods : with a reference
    profiles : the profiles, their peer groups and kinds
    labelled : what people labelled as misuse or accepted; default: nothing
    """
    assert periods.reference is not None
    groups = profiles.groups
    start, end = periods.reference[0], periods.end
    require_features(workspace, start, end)
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        relation = lake.scan(connection, workspace.lake, "fingerprint", start, end)
        daily = relation.filter("\"window\" = 'day'").df()
    days = day_matrices(daily, groups, periods, labelled, profiles.people["behaviour"])
    hours = novelty.graded_hours(workspace, groups, start, end, labelled)
    unfamiliarity = familiarity.unfamiliarity(familiarity.usage(workspace, groups, start, end, labelled))
    return Evidence(periods, days, *day_deviations(days), hours, unfamiliarity)


def require_features(workspace: Workspace, start: date | None = None, end: date | None = None) -> None:
    """Check that the fingerprints of the days in ``[start, end)`` have every feature of this version and of packages.

    Raises
    ------
    InputError
        They were formed by another version; says what to do.
    """
    if not lake.days(workspace.lake, "fingerprint"):
        return
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        columns = set(lake.scan(connection, workspace.lake, "fingerprint", start, end).columns)
    if missing := [name for name in features() if name not in columns]:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise InputError(
            f"{workspace.lake}: the fingerprints have no {shown}: formed by another version. "
            "Form them again: tokenkit run"
        )


def deviations_table(evidence: Evidence, start: date) -> pd.DataFrame:
    """Deviations from a day on, one row a profile, window and feature (the table ``deviations``).

    Hours have the novelty of network, program, call and hour; a usual value of those is no number.
    """
    hours = evidence.hours[evidence.hours["start"] >= _midnight(start)]
    long = hours.melt(["profile_uid", "start"], list(NOVELTIES), "feature", "bits")
    long = long.assign(window="hour", tail_probability=2.0 ** -long["bits"], day=long["start"].dt.date)
    days = evidence.days
    rows, columns = days.active_cells(start)
    frames = []
    for name, feature in judged_features().items():
        expected = np.expm1(baseline.expected(evidence.fits[name], feature, days))[rows, columns]
        bits = evidence.bits[name][rows, columns]
        frames.append(
            pd.DataFrame(
                {"profile_uid": days.profiles[rows], "start": days.days[columns], "feature": name,
                 "value": days.values[name][rows, columns], "expected": np.maximum(expected, 0.0),
                 "rz": np.clip(evidence.z[name][rows, columns], -CLIP, CLIP), "tail_probability": 2.0**-bits,
                 "bits": bits}
            )
        )  # fmt: skip
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.assign(window="day", day=frame["start"].dt.date)
    return pd.concat([frame, long], ignore_index=True)
