"""Day matrices: the days of all profiles as matrices, with the marks that say what each day is used for.

Reads  fingerprint, tokens. Writes nothing.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from tokenkit.days import MIN_DAYS, Periods
from tokenkit.fingerprint import features
from tokenkit.normal.labelled_periods import DaySpan, LabelledPeriods, day_spans

MIN_PEERS = 5
COUNTED_DAYS = 28  # a profile without a call for longer is not counted by the budget
Matrices = dict[str, np.ndarray]


@dataclass
class Days:
    """The day windows of some profiles as matrices (profile x day), NaN on days without a call.

    Attributes
    ----------
    profiles : array of str
        The rows, by profile_uid.
    days : DatetimeIndex (UTC)
        The columns.
    values : dict of feature to matrix
    group : array of int
        The peer group of each profile, an index into ``groups``.
    groups : list of str
    behaviour : array of str
        The kind of each profile (``behaviour.KINDS``).
    reference : matrix of bool
        The reference days of each profile.
    maturity : array of str
        ``mature``, or ``young``: with too few reference days, judged by its peers only.
    shared : matrix of bool
        The days from which the whole organisation learns: those of the frozen reference, of profiles that were there
        then. They do not change as younger profiles gain a past of their own.
    misuse : matrix of bool
        Days of confirmed misuse: they are scored, and nothing is learned from them.
    accepted : list of DaySpan
        Days that were accepted as a new normal, in the order of their first day.
    acceptances : DataFrame indexed by profile_uid
        How many changes were accepted (``n``), and the last one's ``accepted_by`` and ``accepted_time``.
    """

    profiles: np.ndarray
    days: pd.DatetimeIndex
    values: Matrices
    group: np.ndarray
    groups: list[str]
    behaviour: np.ndarray
    reference: np.ndarray
    maturity: np.ndarray
    shared: np.ndarray
    misuse: np.ndarray
    accepted: list[DaySpan]
    acceptances: pd.DataFrame

    @property
    def core(self) -> np.ndarray:
        """Which profiles the whole organisation learns from (bool): those with days in ``shared``."""
        return np.asarray(self.shared.any(axis=1))

    @property
    def representative(self) -> np.ndarray:
        """Which profiles set tails and thresholds for all (bool): the ``core``, or every profile where it is empty."""
        return self.core if self.core.any() else np.ones(len(self.profiles), dtype=bool)

    @property
    def active(self) -> np.ndarray:
        """On which days each profile had a call (profile x day, bool)."""
        return ~np.isnan(self.values["requests"])

    @property
    def counted(self) -> np.ndarray:
        """Which profiles the budget counts on each day (profile x day, bool): with a call in the 28 days before it."""
        sums = np.concatenate([np.zeros((len(self.profiles), 1), int), np.cumsum(self.active, axis=1)], axis=1)
        day = np.arange(len(self.days))
        return np.asarray(sums[:, day] - sums[:, np.maximum(day - COUNTED_DAYS, 0)] > 0)

    def counted_a_day(self, start: date | None = None) -> pd.Series:
        """How many profiles the budget counts on each day from ``start`` on (int, by day)."""
        return pd.Series(self.counted.sum(axis=0), self.days)[self.between(start)]

    def between(self, start: date | None = None, end: date | None = None) -> np.ndarray:
        """Which columns lie in the days ``[start, end)`` (bool); None leaves that side open."""
        inside = np.ones(len(self.days), dtype=bool)
        if start is not None:
            inside &= np.asarray(self.days >= pd.Timestamp(start, tz="UTC"))
        if end is not None:
            inside &= np.asarray(self.days < pd.Timestamp(end, tz="UTC"))
        return inside

    def active_cells(
        self, start: date | None = None, end: date | None = None, where: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the active days in ``[start, end)``, row by row.

        Parameters
        ----------
        where : matrix of bool that must hold too; default: no further condition
        """
        active = self.active if where is None else self.active & where
        rows, columns = np.nonzero(active & self.between(start, end)[None, :])
        return rows, columns

    def row_of(self, profile_uid: str) -> int | None:
        """The row of a profile; None where it has no day in these."""
        rows = np.flatnonzero(self.profiles == profile_uid)
        return int(rows[0]) if len(rows) else None

    def row(self, profile_uid: str) -> int:
        """The row of a profile that has a day in these."""
        row = self.row_of(profile_uid)
        assert row is not None, f"{profile_uid} has no day in the evidence"
        return row

    def before(self, day: date | pd.Timestamp) -> "Days":
        """The days before a day."""
        moment = day if isinstance(day, pd.Timestamp) else pd.Timestamp(day, tz="UTC")
        columns = slice(0, int(self.days.searchsorted(moment)))
        return replace(
            self, days=self.days[columns], values={name: m[:, columns] for name, m in self.values.items()},
            reference=self.reference[:, columns], shared=self.shared[:, columns], misuse=self.misuse[:, columns],
        )  # fmt: skip

    def of_profiles(self, rows: np.ndarray) -> "Days":
        """The days of some profiles (row numbers), without what was accepted."""
        return replace(
            self, profiles=self.profiles[rows], values={name: m[rows] for name, m in self.values.items()},
            group=self.group[rows], behaviour=self.behaviour[rows], reference=self.reference[rows],
            maturity=self.maturity[rows], shared=self.shared[rows], misuse=self.misuse[rows], accepted=[],
        )  # fmt: skip


def peer_groups(people: pd.DataFrame) -> pd.Series:
    """Each profile's peer group: same purpose where at least five share it, else same behaviour, else everyone.

    Parameters
    ----------
    people : DataFrame indexed by profile_uid with ``purpose`` (string or None) and ``behaviour``
    """
    purpose = people["purpose"].fillna("")
    many = purpose.map(purpose.value_counts()) >= MIN_PEERS
    kind = people["behaviour"].fillna("")
    rest = kind.where(~(many & (purpose != "")))
    enough = kind.map(rest.value_counts()).fillna(0) >= MIN_PEERS
    return purpose.where(many & (purpose != ""), kind.where(enough & (kind != ""), "all tokens"))


def day_matrices(
    fingerprint: pd.DataFrame, groups: pd.Series, periods: Periods, labelled: LabelledPeriods | None = None,
    behaviour: pd.Series | None = None,
) -> Days:  # fmt: skip
    """The day windows from the first reference day to the end of the report, as matrices.

    Parameters
    ----------
    fingerprint : DataFrame, one row a profile and day
        ``profile_uid``, ``start`` and one column a feature.
    groups : peer group by profile_uid
    periods : with a reference
    labelled : what people labelled as misuse or accepted; default: nothing
    behaviour : kind by profile_uid (``behaviour.KINDS``); default: one kind for all
    """
    assert periods.reference is not None, "there is no baseline without a reference"
    labelled = labelled or LabelledPeriods()
    days = pd.date_range(periods.reference[0], periods.end, freq="D", inclusive="left", tz="UTC")
    names = np.array(sorted(fingerprint["profile_uid"].unique()), dtype=object)
    row = pd.Index(names).get_indexer(fingerprint["profile_uid"])
    column = days.get_indexer(fingerprint["start"].dt.as_unit(days.unit))
    keep = column >= 0
    values = {}
    for name in features():
        matrix = np.full((len(names), len(days)), np.nan)
        matrix[row[keep], column[keep]] = fingerprint[name].to_numpy(dtype=float)[keep]
        values[name] = matrix
    active = ~np.isnan(values["requests"])
    group, group_names = pd.factorize(groups.reindex(names), sort=True)
    misuse = np.zeros_like(active)
    for span in day_spans(labelled.misuse, names, days):
        misuse[span.row, span.first : span.stop] = True
    reference = _own_reference(active & ~misuse, days, periods)
    maturity = np.where(reference.sum(axis=1) >= MIN_DAYS, "mature", "young")
    start, end = (pd.Timestamp(d, tz="UTC") for d in periods.reference)
    shared = active & ~misuse & ((days >= start) & (days < end))[None, :]
    shared &= (shared.sum(axis=1) >= MIN_DAYS)[:, None]
    accepted = day_spans(labelled.accepted, names, days)
    acceptances = labelled.accepted.sort_values(["accepted_time", "start"]).groupby("profile_uid").agg(
        n=("start", "size"), accepted_by=("accepted_by", "last"), accepted_time=("accepted_time", "last")
    )  # fmt: skip
    kinds = np.full(len(names), "office") if behaviour is None else behaviour.reindex(names).fillna("seldom").to_numpy()
    return Days(
        names, days, values, group, list(group_names), kinds.astype(str), reference, maturity, shared, misuse, accepted,
        acceptances,
    )  # fmt: skip


def _own_reference(active: np.ndarray, days: pd.DatetimeIndex, periods: Periods) -> np.ndarray:
    """Active days of each profile's reference: the organisation's, or, for a younger profile, its own first days.

    A younger one gets its own only once it is complete and a week old: one that grew with each night would score
    past days anew each night. Until then its peers judge it.
    """
    assert periods.reference is not None
    start, end = ((pd.Timestamp(d, tz="UTC") - days[0]).days for d in periods.reference)
    length = end - start
    latest = (pd.Timestamp(periods.start, tz="UTC") - days[0]).days
    if periods.calibration:
        latest -= min(MIN_DAYS, (periods.calibration[1] - periods.calibration[0]).days)
    mask = np.zeros_like(active)
    mask[:, start:end] = active[:, start:end]
    for k in np.flatnonzero(mask.sum(axis=1) < MIN_DAYS):
        first = int(np.argmax(active[k])) if active[k].any() else 0
        own = slice(first, first + length)
        if own.stop <= latest and active[k, own].sum() > mask[k].sum():
            mask[k] = False
            mask[k, own] = active[k, own]
    return mask
