"""Budget: the one control. How many new incidents a day people have time for becomes a threshold for each channel.

For each day and channel, the threshold is the calibrated surprise that would have opened the channel's share of merged
incidents in the 14 days before; so what is scored never sets its own threshold,
and the budget follows the organisation.
Merged incidents are not monotone in the threshold (a low one keeps everything open): the search starts at the top.
"""

from datetime import date

import numpy as np
import pandas as pd

WINDOW_DAYS = 14
MIN_DAYS = 7
LONE = 2.0
JOIN_DAYS = 2  # merge.JOIN_GAP
CANDIDATES = 400
# Used while history is too short for calibration days: the raw bits that would have kept each channel's share of the
# budget in five simulated organisations with 10 days of reference (benchmarks/provisional.py); drift reaches its floor
# in none of them. The page says that they are provisional.
PROVISIONAL_BITS = {"point_hour": 19.0, "point_day": 16.5, "drift_amounts": 6.0, "drift_requests": 6.0, "panel": 14.0}


MIN_BITS = 6.0  # nothing that one profile-day in 64 exceeds is ever an incident, whatever the budget


def daily_heights(scores: pd.DataFrame, profiles: pd.Index, days: pd.DatetimeIndex) -> np.ndarray:
    """Largest score of each profile and day (profile x day), -1 where nothing was scored."""
    heights = np.full((len(profiles), len(days)), -1.0)
    row, column = profiles.get_indexer(scores["profile_uid"]), days.get_indexer(scores["start"].dt.normalize())
    keep = (row >= 0) & (column >= 0)
    np.maximum.at(heights, (row[keep], column[keep]), scores["score_bits"].to_numpy()[keep])
    return heights


def opened(flagged: np.ndarray, gap_days: int) -> np.ndarray:
    """Where incidents open: flagged days with none before them that merging would join (profile x day, bool).

    Windows whose ends and starts lie ``gap_days`` apart merge, and incidents two days apart join (``merge.JOIN_GAP``);
    so days count back to the day after that.

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


def threshold(heights: np.ndarray, gap_days: int, window: slice, quota: float, least: float = MIN_BITS) -> float:
    """The surprise that would have opened ``quota`` incidents in the days of ``window``, and ``least`` at least.

    Between two counts it is interpolated; below one incident it is extrapolated: half the quota, one bit more.

    Examples
    --------
    >>> heights = np.array([[9.0, 0.0], [7.0, 0.0], [0.0, 5.0]])
    >>> [round(threshold(heights, 1, slice(0, 2), quota), 2) for quota in (2.0, 0.5)]
    [6.44, 10.0]
    """
    return at_quota(*curve(heights, gap_days, window), quota, least)


def curve(heights: np.ndarray, gap_days: int, window: slice) -> tuple[np.ndarray, np.ndarray]:
    """How many incidents each surprise would have opened in the days of ``window``.

    Returns
    -------
    (bits, counts)
        bits: the surprises that occurred, the largest first (at most ``CANDIDATES``); counts: int, as long.

    Notes
    -----
    A day of height h whose largest height in the days before it that merging reaches is m opens an incident at every
    threshold in (m, h]. So the count at c is the number of days with h >= c less that of days with min(h, m) >= c: two
    sorted arrays instead of a pass over all days for each candidate.
    """
    reach = max(gap_days, JOIN_DAYS) + 1
    limited = _without_lone_peaks(heights, window)[:, max(0, window.start - reach) : window.stop]
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
    """The threshold that ``quota`` incidents leave of a curve; infinite where the quota is 0."""
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
    off than ``LONE`` times that is an attack, not the tail of chance, and must not lift the line over the next one: in
    an organisation of 40 tokens a stolen token hid the second night of its own theft.
    """
    peaks = heights[:, window].max(axis=1, initial=-1.0)
    order = np.argsort(-peaks, kind="stable")
    some = order[: CANDIDATES + 1]
    # ceiling of i = min over k >= i of (peak of k + what chance leaves between i and k)
    left = np.concatenate([[0.0], np.cumsum(LONE * 1.44 / np.arange(1, max(len(some), 1)))])
    reached = np.minimum.accumulate((np.maximum(peaks[some], 0.0) + left)[::-1])[::-1] - left
    limited = heights.copy()
    limited[some] = np.minimum(heights[some], reached[:, None])
    return limited


def thresholds(
    heights: dict[str, np.ndarray],
    gaps: dict[str, int],
    shares: dict[str, float],
    days: pd.DatetimeIndex,
    first: date,
    incidents_a_day: float,
) -> pd.DataFrame:
    """Threshold of each channel on each day from ``first`` on.

    Parameters
    ----------
    heights : channel to largest score of each profile and day; the first column is the first day after the reference
    gaps : channel to the days that may lie between windows of one incident
    shares : channel to its share of the budget
    days : the days of the columns
    first : first day that may open an incident
    incidents_a_day : the whole budget

    Returns
    -------
    DataFrame indexed by day, one column a channel (bits; infinite where a channel has no share). Days before ``first``
    have its threshold: what already exceeds it then is standing, and not new, when the first report is made.
    """
    rows: dict[pd.Timestamp, dict[str, float]] = {}
    for number, day in enumerate(days):
        if day < pd.Timestamp(first, tz="UTC"):
            continue
        window = slice(max(0, number - WINDOW_DAYS), number)
        rows[day] = {}
        for channel, matrix in heights.items():
            scored = int((matrix[:, window] >= 0).any(axis=0).sum())  # drift needs some days after its reference
            quota = incidents_a_day * shares.get(channel, 0.0) * scored
            rows[day][channel] = threshold(matrix, gaps[channel], window, quota) if scored >= MIN_DAYS else np.inf
    limits = pd.DataFrame.from_dict(rows, orient="index", columns=list(heights))
    return limits.reindex(days).bfill()
