"""Thresholds: how many new incidents a day people have time for becomes a threshold for each channel and day.

Reads  scores. Writes nothing.
A day's threshold is the score that would have opened the channel's share of merged incidents in the 14 days before;
so what is scored never sets its own threshold, and the thresholds follow the organisation.
A profile counts on a day if it made a call in the 28 days before it. Profiles with the frozen reference and all others,
the young and the seldom used, have the same budget each: what one group often does raises no threshold of the other.
A lower threshold can open fewer incidents, since it joins two of them into one. So of the thresholds that open as many
as the quota the highest is taken: the search begins at the largest score.

A run, a comparison of settings and the bench set thresholds by the same steps:

    heights = daily_heights(scores, evidence, names_of_channels)
    thresholds = set_thresholds(heights, budget, accepted_scores)
    windows = flag(scores, thresholds, accepted)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import pandas as pd

from tokenkit import channels
from tokenkit.channels.calibration import share_bits, without_misuse
from tokenkit.config import Detection
from tokenkit.days import Periods
from tokenkit.incidents import labels, merge
from tokenkit.normal.evidence import Evidence

WINDOW_DAYS = 14
MIN_DAYS = 7
RECENT_DAYS, RECENT_TIMES = 3, 2.0  # what opened twice its share in three days is answered without waiting for 14
LONE_PEAK = 2.0  # a peak further above the next than twice what chance leaves between them is cut down
JOIN_DAYS = merge.JOIN_GAP.days
CANDIDATES = 400
# Used while history is too short for calibration days: the raw bits that would have kept each channel's share of the
# budget in five simulated organisations with 10 days of reference (benchmarks/provisional.py); drift reaches its floor
# in none of them. The page says that they are provisional.
PROVISIONAL_BITS = {
    "point_hour": 5.2, "point_day": 5.2, "foreign_objects": 9.0, "drift_amounts": 6.0, "drift_requests": 6.0,
    "panel": 14.0,
}  # fmt: skip
MIN_BITS = 6.0  # nothing that one profile-day in 64 exceeds is ever an incident, whatever the budget

Curve = tuple[np.ndarray, np.ndarray]  # bits and counts: how many incidents each threshold would have opened


@dataclass(frozen=True)
class Budget:
    """How many new incidents people have time for, and how they are divided among channels.

    Attributes
    ----------
    per_1000 : float
        New incidents a day for each 1,000 profiles.
    shares : dict of channel to its share; a channel without one flags nothing
    gaps : dict of channel to days
        How many days may lie between the windows of one incident.
    least_bits : float
        No threshold is below it, before what a smaller share of the budget costs (``calibration.share_bits``).
    """

    per_1000: float
    shares: Mapping[str, float]
    gaps: Mapping[str, int]
    least_bits: float = MIN_BITS

    @classmethod
    def of_run(cls, detection: Detection) -> "Budget":
        """The budget that a run has by its settings."""
        return cls(detection.budget, detection.shares, channels.gaps())

    def a_day(self, profiles: int) -> float:
        """New incidents a day that the budget grants this many profiles."""
        return self.per_1000 * profiles / 1000


@dataclass(frozen=True)
class DailyHeights:
    """The largest score of each profile on each day: what thresholds are set on.

    Attributes
    ----------
    matrices : dict of channel to matrix (profile x day)
        In bits; -1 where nothing was scored.
    profiles : Index of profile_uid
        The rows.
    young : array of bool
        Which profiles are not representative (``Days.representative``): they have thresholds of their own.
    counted : matrix of bool
        On which days the budget counts each profile (``Days.counted``).
    periods : Periods
        The columns are its ``scored_days``.
    """

    matrices: Mapping[str, np.ndarray]
    profiles: pd.Index
    young: np.ndarray
    counted: np.ndarray
    periods: Periods

    def allowed(self, budget: "Budget") -> float:
        """New incidents that a budget grants in the reported days."""
        reported = np.asarray(self.periods.scored_days >= pd.Timestamp(self.periods.start, tz="UTC"))
        return float(sum(budget.a_day(int(n)) for n in self.counted[:, reported].sum(axis=0)))

    def with_scores(self, scores: pd.DataFrame) -> "DailyHeights":
        """The same, counting some more scores (``profile_uid``, ``channel``, ``start``, ``score_bits``)."""
        more = _heights(scores, self.matrices, self.profiles, self.periods.scored_days)
        return replace(self, matrices={name: np.maximum(m, more[name]) for name, m in self.matrices.items()})

    def with_shares(self, shares: Mapping[str, float]) -> "DailyHeights":
        """The heights that other shares give, of those that channels with equal shares have."""
        largest = max(shares.values(), default=1.0)
        return replace(
            self,
            matrices={
                name: np.where(m >= 0, np.maximum(m + share_bits(shares.get(name, 0.0), largest), 0.0), -1.0)
                for name, m in self.matrices.items()
            },
        )


@dataclass(frozen=True)
class Thresholds:
    """Thresholds in bits, as tables of day x channel; infinite where a channel has no share or too few days.

    Attributes
    ----------
    for_all : DataFrame
        They count the scores of accepted incidents: an accepted change of one profile moves nobody else's threshold.
    for_accepted : DataFrame
        Those of profiles with an accepted change: without the scores of accepted incidents, since an accepted incident
        must not hide what the profile does next.
    for_young : DataFrame, or None where nobody is young
        What scores of ``young`` profiles have to reach besides; -inf where they have too few days.
    young : set of profile_uid
    """

    for_all: pd.DataFrame
    for_accepted: pd.DataFrame
    for_young: pd.DataFrame | None = None
    young: frozenset[str] = frozenset()

    def of(self, scores: pd.DataFrame, accepted: pd.DataFrame | None = None) -> np.ndarray:
        """The threshold of each row, by its profile, channel and day; infinite where there is none.

        Parameters
        ----------
        scores : ``profile_uid``, ``channel``, ``start`` (datetime64[UTC])
        accepted : periods that were accepted as new normal (``LabelledPeriods.accepted``)
        """
        bits = _at(self.for_all, scores)
        if accepted is not None and not accepted.empty:
            bits = np.where(scores["profile_uid"].isin(accepted["profile_uid"]), _at(self.for_accepted, scores), bits)
        if self.for_young is None:
            return bits
        of_young = np.maximum(bits, _at(self.for_young, scores))
        return np.where(scores["profile_uid"].isin(self.young), of_young, bits)


def _at(table: pd.DataFrame, scores: pd.DataFrame) -> np.ndarray:
    """The value of a table of day x channel for each row of ``scores``; infinite where the table has none."""
    row = table.index.get_indexer(scores["start"].dt.normalize().dt.as_unit(table.index.unit))
    column = table.columns.get_indexer(scores["channel"])
    return np.where((row >= 0) & (column >= 0), table.to_numpy(dtype=float)[row, column], np.inf)


def daily_heights(scores: pd.DataFrame, evidence: Evidence, names: Iterable[str]) -> DailyHeights:
    """The largest score of each profile on each scored day, without confirmed misuse.

    Parameters
    ----------
    scores : ``profile_uid``, ``channel``, ``start`` (datetime64[UTC]), ``score_bits``
    names : the channels to set thresholds for
    """
    days, scored_days = evidence.days, evidence.periods.scored_days
    rows = scores[without_misuse(scores, evidence)]
    matrices = _heights(rows, names, pd.Index(days.profiles), scored_days)
    columns = days.days.as_unit("us").get_indexer(scored_days)
    counted = np.where(columns >= 0, days.counted[:, columns], False)
    return DailyHeights(matrices, pd.Index(days.profiles), ~days.representative, counted, evidence.periods)


def _heights(
    scores: pd.DataFrame, names: Iterable[str], profiles: pd.Index, days: pd.DatetimeIndex
) -> dict[str, np.ndarray]:
    return {name: highest(scores[scores["channel"] == name], profiles, days) for name in names}


def highest(scores: pd.DataFrame, profiles: pd.Index, days: pd.DatetimeIndex) -> np.ndarray:
    """Largest score of each profile and day (profile x day), -1 where nothing was scored."""
    heights = np.full((len(profiles), len(days)), -1.0)
    row, column = profiles.get_indexer(scores["profile_uid"]), days.get_indexer(scores["start"].dt.normalize())
    keep = (row >= 0) & (column >= 0)
    np.maximum.at(heights, (row[keep], column[keep]), scores["score_bits"].to_numpy()[keep])
    return heights


def set_thresholds(
    heights: DailyHeights, budget: Budget, accepted_scores: pd.DataFrame | None = None,
    known_curves: dict[bytes, Curve] | None = None,
) -> Thresholds:  # fmt: skip
    """The thresholds that a budget gives on each scored day.

    Parameters
    ----------
    accepted_scores : the scores that accepted incidents had when they were labelled (``Labels.accepted_scores``)
    known_curves : those of earlier budgets of the same heights; new ones are added
    """
    if heights.periods.calibration is None:
        days = heights.periods.scored_days
        bits = {c: PROVISIONAL_BITS.get(c, np.inf) if budget.shares.get(c) else np.inf for c in heights.matrices}
        provisional = pd.DataFrame(bits, index=days)
        return Thresholds(provisional, provisional)
    rest = ~heights.young
    own = threshold_table(heights, budget, rest, known_curves)
    for_all = own
    if accepted_scores is not None and not accepted_scores.empty:
        for_all = threshold_table(heights.with_scores(accepted_scores), budget, rest, known_curves)
    if not heights.young.any():
        return Thresholds(for_all, own)
    of_young = threshold_table(heights, budget, heights.young, known_curves, is_young=True)
    return Thresholds(for_all, own, of_young, frozenset(heights.profiles[heights.young]))


def threshold_table(
    heights: DailyHeights, budget: Budget, rows: np.ndarray, known_curves: dict[bytes, Curve] | None = None,
    is_young: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Threshold of each channel on each scored day for some profiles, each from their days before it.

    Parameters
    ----------
    rows : which profiles (bool)
    is_young : they are the young and seldom used ones: a channel with too few days leaves them to the threshold of the
        others (-inf), and lone peaks are not cut down, for each of them has its first day of something

    Returns
    -------
    DataFrame indexed by day, one column a channel (bits; infinite where a channel has no share). The calibration days
    have the threshold of the day after them: what already exceeds it then is not new when the first report is made.
    """
    calibration, days = heights.periods.calibration, heights.periods.scored_days
    assert calibration is not None
    first = int(days.searchsorted(pd.Timestamp(calibration[1], tz="UTC")))
    found: dict[pd.Timestamp, dict[str, float]] = {}
    largest = max(budget.shares.values(), default=1.0)
    known_curves = {} if known_curves is None else known_curves
    matrices = {channel: matrix[rows] for channel, matrix in heights.matrices.items()}
    # drift needs some days after its reference
    scored = {channel: (matrix >= 0).any(axis=0) for channel, matrix in matrices.items()}
    digests = {channel: blake2b(matrix.tobytes()).digest() for channel, matrix in matrices.items()}
    for number in range(first, len(days)):
        found[days[number]] = {}
        a_day = budget.a_day(int(heights.counted[rows, number].sum()))
        for channel, matrix in matrices.items():
            share, gap = budget.shares.get(channel, 0.0), budget.gaps.get(channel, 1)
            if not share or scored[channel][max(0, number - WINDOW_DAYS) : number].sum() < MIN_DAYS:
                found[days[number]][channel] = -np.inf if is_young and share else np.inf
                continue
            bits = []
            for length, times in ((WINDOW_DAYS, 1.0), (RECENT_DAYS, RECENT_TIMES)):
                window = slice(max(0, number - length), number)
                quota = times * a_day * share * int(scored[channel][window].sum())
                key = digests[channel] + f"|{gap}|{window}|{is_young}".encode()
                if key not in known_curves:
                    known_curves[key] = curve_of(matrix, gap, window, not is_young)
                bits.append(at_quota(*known_curves[key], quota, budget.least_bits + share_bits(share, largest)))
            found[days[number]][channel] = max(bits)
    table = pd.DataFrame.from_dict(found, orient="index", columns=list(heights.matrices))
    return table.reindex(days).bfill()


def flag(scores: pd.DataFrame, thresholds: Thresholds, accepted: pd.DataFrame | None = None) -> pd.DataFrame:
    """The flagged windows: those with a score at or above the threshold of their channel and day.

    Parameters
    ----------
    scores : ``profile_uid``, ``channel``, ``window``, ``start`` (datetime64[UTC]), ``score_bits``
    accepted : periods that were accepted as new normal (``LabelledPeriods.accepted``); what lies in them is not flagged

    Returns
    -------
    ``scores`` of the flagged windows, with ``threshold_bits`` and ``end``.
    """
    bits = thresholds.of(scores, accepted)
    above = (scores["score_bits"].to_numpy() >= bits) & np.isfinite(bits)
    flagged = scores[above].assign(threshold_bits=bits[above])
    flagged = flagged.assign(end=flagged["start"] + flagged["window"].map(merge.SPAN)).reset_index(drop=True)
    return flagged if accepted is None or accepted.empty else labels.without_accepted(flagged, accepted)


def opened(flagged: np.ndarray, gap_days: int) -> np.ndarray:
    """Where incidents open: flagged days with none before them that merging would join (profile x day, bool).

    Windows whose ends and starts lie ``gap_days`` apart merge, and all that lie one day apart (``merge.JOIN_GAP``); so
    days count back to the day after that.

    Examples
    --------
    >>> opened(np.array([[True, True, False, True, False, False, False, True]]), gap_days=1).astype(int).tolist()
    [[1, 0, 0, 0, 0, 0, 0, 1]]
    """
    gap_days = max(gap_days, JOIN_DAYS) + 1
    counts = np.concatenate([np.zeros((len(flagged), 1), int), np.cumsum(flagged, axis=1)], axis=1)
    day = np.arange(flagged.shape[1])
    before = counts[:, day] - counts[:, np.maximum(day - gap_days, 0)]
    return flagged & (before == 0)


def curve_of(heights: np.ndarray, gap_days: int, window: slice, cut_lone_peaks: bool = True) -> Curve:
    """How many incidents each threshold would have opened in the days of ``window``, of one channel.

    Parameters
    ----------
    heights : profile x day, in bits; -1 where nothing was scored
    window : the days that are counted, as columns of ``heights``
    cut_lone_peaks : whether a peak that chance does not explain is cut down (``_without_lone_peaks``)

    Returns
    -------
    (bits, counts)
        bits: the heights that occurred, the largest first (at most ``CANDIDATES``); counts: int, as long.

    Notes
    -----
    A day of height h whose largest height in the days before it that merging reaches is m opens an incident at every
    threshold in (m, h]. So the count at c is the number of days with h >= c less that of days with min(h, m) >= c: two
    sorted arrays instead of a pass over all days for each candidate.
    """
    reach = max(gap_days, JOIN_DAYS) + 1
    limited = _without_lone_peaks(heights, window) if cut_lone_peaks else heights
    limited = limited[:, max(0, window.start - reach) : window.stop]
    first = window.start - max(0, window.start - reach)
    padded = np.concatenate([np.full((len(limited), reach), -1.0), limited], axis=1)
    before = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=1)[:, :-1].max(axis=2)[:, first:]
    inside = limited[:, first:]
    height = np.sort(inside[inside > 0])
    bits = np.unique(height)[::-1][:CANDIDATES]
    merged = np.sort(np.minimum(inside, before)[inside > 0])
    counts = len(height) - np.searchsorted(height, bits) - (len(merged) - np.searchsorted(merged, bits))
    return bits, counts


def at_quota(bits: np.ndarray, counts: np.ndarray, quota: float, least: float = MIN_BITS) -> float:
    """The threshold at which ``quota`` incidents open, and ``least`` at least; infinite where the quota is 0.

    Between two counts it is interpolated; below one incident it is extrapolated: half the quota, one bit more.

    Parameters
    ----------
    bits, counts : as ``curve_of`` returns them

    Examples
    --------
    >>> heights = np.array([[9.0, 0.0], [7.0, 0.0], [0.0, 5.0]])
    >>> [round(at_quota(*curve_of(heights, 1, slice(0, 2)), quota), 2) for quota in (2.0, 0.5)]
    [6.44, 10.0]
    """
    if quota <= 0:
        return np.inf
    if not len(bits):
        return least
    if quota < 1:
        return max(float(bits[0] - np.log2(quota)), least)
    over = np.flatnonzero(counts > quota)
    if not len(over):
        return max(float(bits[-1]), least)
    i = int(over[0])
    high, count = (float(bits[i - 1]), int(counts[i - 1])) if i else (float(bits[0]), 0)
    fraction = (quota - count) / (int(counts[i]) - count)
    return max(high + fraction * (float(bits[i]) - high), least)


def _without_lone_peaks(heights: np.ndarray, window: slice) -> np.ndarray:
    """Heights in which no profile stands further above the next than chance would leave it.

    Of peaks with an exponential tail the i-th lies 1.44 / i bits above the next on average (Renyi). A peak further
    off than ``LONE_PEAK`` times that is an attack, not the tail of chance, and must not lift the threshold above the
    next one: in an organisation of 40 tokens a stolen token hid the second night of its own theft.
    """
    peaks = heights[:, window].max(axis=1, initial=-1.0)
    order = np.argsort(-peaks, kind="stable")
    some = order[: CANDIDATES + 1]
    # ceiling of i = min over k >= i of (peak of k + what chance leaves between i and k)
    left = np.concatenate([[0.0], np.cumsum(LONE_PEAK * 1.44 / np.arange(1, max(len(some), 1)))])
    reached = np.minimum.accumulate((np.maximum(peaks[some], 0.0) + left)[::-1])[::-1] - left
    limited = heights.copy()
    limited[some] = np.minimum(heights[some], reached[:, None])
    return limited
