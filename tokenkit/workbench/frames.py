"""Frames: a workspace as a data scientist sees it: tidy pandas frames of a time range, and matrices for any estimator.

Reads  every table. Writes nothing. ``own_frames.from_events`` makes a workspace of a frame of your own.

    ws = tokenkit.open()
    ws.fingerprint("2026-03-01", "2026-03-08")
    X, index = ws.matrix("deviations", "2026-03-01", "2026-03-08")
"""

import json
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from tokenkit import config, fingerprint
from tokenkit.config import Workspace
from tokenkit.days import MIN_DAYS, Periods, day_of, periods_of
from tokenkit.errors import InputError, did_you_mean
from tokenkit.incidents import aliases, labels
from tokenkit.normal.evidence import Evidence, deviations_table, of_workspace
from tokenkit.store import engine, lake, state
from tokenkit.tokens import owners
from tokenkit.tokens.find import find_profile
from tokenkit.tokens.profiles import token_profiles

Day = str | date
MATRICES = ("deviations", "fingerprint")


class OpenWorkspace(Workspace):
    """A workspace with its tables as pandas frames. ``start`` and ``end`` are UTC days ``[start, end)``; empty: all.

    Wherever tokenkit takes a workspace, it takes this.
    """

    def events(self, start: Day = "", end: Day = "", token: str = "") -> pd.DataFrame:
        """One row a call (``tokenkit schema events``), by time.

        Parameters
        ----------
        token : only this one: its label, mask, ``token_uid`` or ``profile_uid``
        """
        where = ""
        with engine.connect(self.settings.engine, self.scratch) as connection:
            relation = self._scan(connection, "events", start, end)
            if token:
                mapped = token_profiles(self)
                keys = mapped.loc[mapped["profile_uid"] == self.profile(token), "token_key"]
                where = f"token_key in ({', '.join(map(str, keys))})"
            frame = (relation.filter(where) if where else relation).order("time, event_key").df()
        return _utc(frame.drop(columns="time_ms"))

    def fingerprint(self, start: Day = "", end: Day = "", window: str = "day") -> pd.DataFrame:
        """One row a profile and window (``hour`` or ``day``) with a call: ``profile_uid``, ``start``, the features."""
        if window not in ("hour", "day"):
            raise InputError(f"window is {window!r}, expected 'hour' or 'day'")
        with engine.connect(self.settings.engine, self.scratch) as connection:
            relation = self._scan(connection, "fingerprint", start, end).filter(f"\"window\" = '{window}'")
            frame = relation.order('"start", profile_uid').df()
        features = [n for n, f in fingerprint.features().items() if n in frame and window in f.windows]
        return _utc(frame[["profile_uid", "start", *features]])

    def deviations(self, start: Day = "", end: Day = "") -> pd.DataFrame:
        """One row a profile, window and feature: value, expected, robust z, tail probability, bits.

        Against the frozen reference that the nightly run uses. Days of the reference are measured by a fit that did
        not see their week.
        """
        evidence = self.evidence(end)
        frame = deviations_table(evidence, day_of(start, "start") or evidence.days.days[0].date())
        columns = ["profile_uid", "window", "start", "feature", "value", "expected", "rz", "tail_probability", "bits"]
        return frame[columns].sort_values(["start", "profile_uid", "window", "feature"], ignore_index=True)

    def scores(self, start: Day = "", end: Day = "") -> pd.DataFrame:
        """One row a profile, window and channel as the last run scored it; ``parts`` add up to ``score_bits``."""
        with engine.connect(self.settings.engine, self.scratch) as connection:
            frame = self._scan(connection, "scores", start, end).order('"start", profile_uid, channel').df()
        frame["parts"] = [json.loads(parts) for parts in frame["parts"]]
        return _utc(frame.drop(columns="day"))

    def incidents(self, start: Day = "", end: Day = "") -> pd.DataFrame:
        """One row an incident that overlaps the days, taken from the newest run that reported it, the riskiest first.

        ``record`` is everything that its card on the page says; ``verdict`` is the newest answer, if there is one.
        ``score_bits`` sums up all channels, ``threshold_bits`` is that of one: they are not to be compared.
        """
        rows: dict[str, dict[str, Any]] = {}
        with state.connect(self.state) as db:
            query = "select incidents.record from incidents join runs using (run_uid) order by number"
            for (record,) in db.execute(query):
                r = json.loads(record)
                for former in aliases.ids(r)[1:]:
                    rows.pop(former, None)
                rows[r["incident_uid"]] = r
        answers = labels.labels(self)
        newest = list(answers[answers["counts"]][["incident_uid", "verdict"]].itertuples(index=False))
        frame = pd.DataFrame(
            [
                {"incident_uid": r["incident_uid"], "profile_uid": r["profile_uid"], "label": r["token"]["label"],
                 "owner": r["owner"]["name"], "team": r["owner"]["team"], "start": pd.Timestamp(r["start"]),
                 "end": pd.Timestamp(r["end"]), "state": r["state"], "risk": r["risk"],
                 "score_bits": r["score_bits"], "threshold_bits": r["threshold_bits"], "channels": r["channels"],
                 "headline": r["headline"], "action": r["action"]["verb"],
                 "verdict": next((verdict for uid, verdict in newest if uid in aliases.ids(r)), None), "record": r}
                for r in rows.values()
            ],
            columns=INCIDENT_COLUMNS,
        )  # fmt: skip
        low, high = day_of(start, "start"), day_of(end, "end")
        keep = np.ones(len(frame), dtype=bool)
        if low:
            keep &= (frame["end"] > pd.Timestamp(low, tz="UTC")).to_numpy()
        if high:
            keep &= (frame["start"] < pd.Timestamp(high, tz="UTC")).to_numpy()
        order = ["risk", "score_bits", "incident_uid"]
        return frame[keep].sort_values(order, ascending=[False, False, True], ignore_index=True)

    def tokens(self) -> pd.DataFrame:
        """One row a profile, indexed by ``profile_uid``: label, mask, owner, team, purpose, what it may do."""
        return owners.people(self, token_profiles(self), datetime.now(UTC))

    def profile(self, token: str) -> str:
        """Return the ``profile_uid`` of a token by one of its ids or names (``tokens.find``).

        Raises
        ------
        InputError
            There is none of that name, or more than one.
        """
        return find_profile(self, token, datetime.now(UTC))

    def evidence(self, end: Day = "") -> Evidence:
        """All that the channels score, up to a day: what a detector of your own is given (docs/extend/detector.md).

        Raises
        ------
        InputError
            There is too little history for a baseline; says how many days are missing. Or the fingerprints were formed
            by a version that had other features.
        """
        periods = periods_of(self, None, day_of(end, "end"))
        if periods.reference is None:
            known = (periods.end - periods.first).days
            raise InputError(
                f"{self.lake}: {known} days of events, expected more than {MIN_DAYS} before anything can be "
                "compared with its past. Read older logs, or wait."
            )
        names = [*lake.versions(self.lake)]
        state_of = (lake.digest(self.lake, [n for n in names if n not in ("baseline", "deviations", "scores")]),
                    config.digest(self.settings), labels.read(self, periods.end).digest)  # fmt: skip
        return _evidence(self.root, state_of, periods)

    def matrix(self, kind: str, start: Day = "", end: Day = "") -> tuple[pd.DataFrame, pd.MultiIndex]:
        """``(X, index)`` of the active profile-days, ready for any estimator of PyOD or scikit-learn.

        Parameters
        ----------
        kind : ``deviations`` (robust z of each feature; 0 where unknown) or ``fingerprint`` (log1p of the raw values)

        Returns
        -------
        X : DataFrame of float64, one column a feature, no missing values
        index : MultiIndex of ``profile_uid`` and ``start``, of the rows of X

        Raises
        ------
        InputError
            No such matrix, or too little history for deviations.
        """
        if kind not in MATRICES:
            raise InputError(f"no matrix {kind!r}; {did_you_mean(kind, list(MATRICES))}")
        if kind == "fingerprint":
            frame = self.fingerprint(start, end).set_index(["profile_uid", "start"])
            names = [n for n in fingerprint.judged_features() if n in frame]
            X = np.log1p(frame[names].fillna(0).astype("float64").clip(lower=0))
            return X, X.index
        from tokenkit.channels.panel import deviation_matrix, matrix_features

        evidence = self.evidence(end)
        low = day_of(start, "start") or evidence.days.days[0].date()
        values, profiles, days = deviation_matrix(evidence, low, evidence.periods.end)
        index = pd.MultiIndex.from_arrays([profiles, days], names=["profile_uid", "start"])
        return pd.DataFrame(values, index=index, columns=matrix_features(evidence)), index

    def _scan(self, connection: duckdb.DuckDBPyConnection, name: str, start: Day, end: Day) -> duckdb.DuckDBPyRelation:
        low, high = day_of(start, "start"), day_of(end, "end")
        if low and high and low >= high:
            raise InputError(f"start ({low}) must be before end ({high}); the end is not included")
        return lake.scan(connection, self.lake, name, low, high)


INCIDENT_COLUMNS = [
    "incident_uid", "profile_uid", "label", "owner", "team", "start", "end", "state", "risk", "score_bits",
    "threshold_bits", "channels", "headline", "action", "verdict", "record",
]  # fmt: skip


def open(folder: Workspace | Path | str = "") -> OpenWorkspace:
    """The workspace of a folder, or the one at or above the current folder (or named by ``TOKENKIT_WORKSPACE``).

    An open workspace is returned unchanged, with the settings that it has in hand.

    Raises
    ------
    InputError
        There is none; says how to make one.

    Examples
    --------
    >>> open("/nowhere")
    Traceback (most recent call last):
    tokenkit.errors.InputError: no tokenkit workspace at or above /nowhere. Make one: tokenkit init DIR
    """
    if isinstance(folder, OpenWorkspace):
        return folder
    found = config.workspace_at(folder)
    return OpenWorkspace(found.root, found.settings)


@lru_cache(maxsize=2)  # of some hundred MB each: the one at work, and the one before a change
def _evidence(root: Path, state_of: tuple[str, ...], periods: Periods) -> Evidence:
    workspace = open(root)
    return of_workspace(workspace, periods, labels.read(workspace, periods.end).periods)[0]


def _utc(frame: pd.DataFrame) -> pd.DataFrame:
    """DuckDB gives times in the zone of its session; they are UTC here."""
    for name in frame.columns[[isinstance(t, pd.DatetimeTZDtype) for t in frame.dtypes]]:
        frame[name] = frame[name].dt.tz_convert("UTC")
    return frame
