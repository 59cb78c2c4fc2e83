"""Labels: what people answered about incidents, and what follows from it: suppressions and accepted changes.

Reads  labels, suppressions, incidents, runs (state.db), tokens, scores. Writes labels, suppressions (state.db).
The newest label of an incident counts, and all are kept. *true_positive*: nothing is learned from those windows.
*benign*: the new normal is accepted, or the profile is suppressed until a day. *false_positive*: that incident is
closed. An incident that is closed and goes on is still judged and listed; it only leaves the main list and the budget.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from tokenkit.channels import detectors
from tokenkit.config import Workspace
from tokenkit.days import day_of
from tokenkit.errors import InputError, did_you_mean
from tokenkit.incidents import aliases, attribution
from tokenkit.normal.labelled_periods import LabelledPeriods
from tokenkit.schema import facts
from tokenkit.store import engine, lake, state
from tokenkit.tokens.find import find_profile

VERDICTS = ("true_positive", "benign", "false_positive")
LABELS = [
    "number", "label_uid", "incident_uid", "profile_uid", "verdict", "accept", "reason", "who", "made_time", "start",
    "end", "expires", "record",
]  # fmt: skip
SUPPRESSIONS = [
    "suppression_uid", "profile_uid", "channel", "reason", "who", "made_time", "until", "withdrawn_time",
]  # fmt: skip
SCORES = ["profile_uid", "channel", "start", "score_bits"]
RUNS_KNOWN = 20  # of which an unknown incident may have been meant


@dataclass(frozen=True)
class Labels:
    """What counts for a report: the newest label of each incident, suppressions not withdrawn, and what both change.

    ``accepted_scores`` are the scores that accepted incidents had (``profile_uid``, ``channel``, ``start``,
    ``score_bits``). Thresholds go on counting them: without them a label of one token lowered the threshold of all
    others by up to 1.5 bits, and flagged up to 8 of their windows on days already reported (docs/decisions.md).
    """

    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=LABELS))
    suppressions: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=SUPPRESSIONS))
    periods: LabelledPeriods = field(default_factory=LabelledPeriods)
    accepted_scores: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=SCORES))
    digest: str = ""


def label(
    workspace: Workspace, incident_uid: str, verdict: str, reason: str, who: str, accept: bool = False,
    until: date | str | None = None, now: datetime | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Store a label: what a person answers about an incident.

    Parameters
    ----------
    incident_uid : as the page shows it
    verdict : ``true_positive``, ``benign`` or ``false_positive``
    reason, who : why, and who says so
    accept : what was seen is normal from now on (*benign* only)
    until : list no incident of this token before that day, UTC (*benign* only)
    now : the moment; default: now

    Returns
    -------
    dict
        The label: ``label_uid``, ``incident_uid``, ``profile_uid``, ``verdict``, ``accept``, ``reason``, ``who``,
        ``made_time``, ``start``, ``end``, ``expires``; and ``token``, what the page calls it.

    Raises
    ------
    InputError
        No such incident, no reason, an unknown verdict, ``until`` not in the future, or a verdict without its choice.
    """
    now = now or datetime.now(UTC)
    if verdict not in VERDICTS:
        raise InputError(f"verdict is {verdict!r}; {did_you_mean(verdict, list(VERDICTS))}")
    reason, who = _reason_and_name(reason, who)
    expires = _day(until, now) if until else None
    if verdict != "benign" and (accept or expires):
        raise InputError(
            f"{verdict} does not go with {'--accept-new-normal' if accept else '--until'}: only what is benign can be "
            "accepted or left unsaid. Correct the verdict, or leave the option out."
        )
    if verdict == "benign" and bool(accept) == bool(expires):
        raise InputError(
            "benign needs one choice of two: --accept-new-normal (what was seen is usual for this token from now on; a "
            "larger change is still raised), or --until DATE (nothing of this token is raised before that day)."
        )
    with state.connect(workspace.state) as db:
        record = _newest(db, incident_uid)
        known_as = json.dumps(aliases.ids(record))
        first = db.execute(
            "select record from labels where incident_uid in (select value from json_each(?)) and accept = 1"
            " order by number limit 1", [known_as],
        ).fetchone()  # fmt: skip
    if accept:
        # once accepted, the next run scores it anew: the scores that it had are those of the first acceptance
        record["heights"] = json.loads(first[0])["heights"] if first else _scores_of(workspace, record)
    with state.connect(workspace.state) as db:
        for earlier in db.execute(
            "select label_uid from labels where incident_uid in (select value from json_each(?))", [known_as]
        ).fetchall():
            _withdraw(db, _suppression_of(earlier[0]), now)
        made = _iso(now)
        label_uid = _uid("lab1_", incident_uid, made, verdict, who, reason)
        row = {
            "label_uid": label_uid, "incident_uid": incident_uid, "profile_uid": record["profile_uid"],
            "verdict": verdict, "accept": bool(accept), "reason": reason, "who": who, "made_time": made,
            "start": record["start"], "end": record["end"], "expires": expires and expires.isoformat(),
        }  # fmt: skip
        columns = [*row, "record"]
        db.execute(
            f"insert or replace into labels ({', '.join(columns)}) values ({', '.join('?' * len(columns))})",
            [*row.values(), json.dumps(record, sort_keys=True)],
        )
        if expires:
            _suppress(db, _suppression_of(label_uid), record["profile_uid"], "", reason, who, expires, now)
    return row | {"token": (record.get("token") or {}).get("label") or record["profile_uid"]}


def suppress(
    workspace: Workspace, token: str, reason: str, who: str, until: date | str, channel: str = "",
    now: datetime | None = None,
) -> dict[str, Any]:  # fmt: skip
    """List no incident of a token before a day; what goes on stays on the page, in a section of its own.

    Parameters
    ----------
    token : label, mask, token_uid or profile_uid
    until : the first day (UTC) that is raised again
    channel : one channel only; empty for all of them

    Returns
    -------
    dict of ``suppression_uid``, ``profile_uid``, ``channel``, ``reason``, ``who``, ``made_time``, ``until``.

    Raises
    ------
    InputError
        No such token or channel, several tokens of that name, no reason, or ``until`` not in the future.
    """
    now = now or datetime.now(UTC)
    reason, who = _reason_and_name(reason, who)
    last = _day(until, now)
    known = [*(d.name for d in detectors()), "policy"]
    if channel and channel not in known:
        raise InputError(f"no channel {channel!r}; {did_you_mean(channel, known)}")
    profile_uid = find_profile(workspace, token, now)
    uid = _uid("sup1_", profile_uid, channel, _iso(now), last.isoformat(), who, reason)
    with state.connect(workspace.state) as db:
        return _suppress(db, uid, profile_uid, channel, reason, who, last, now)


def withdraw(workspace: Workspace, suppression_uid: str, now: datetime | None = None) -> None:
    """End a suppression now: it counts for no report that is made from here on; the row is kept.

    Raises
    ------
    InputError
        There is no such suppression.
    """
    with state.connect(workspace.state) as db:
        known = [r[0] for r in db.execute("select suppression_uid from suppressions where withdrawn_time is null")]
        if suppression_uid not in known:
            hint = did_you_mean(suppression_uid, known) if known else "there is none. See: tokenkit suppress --list"
            raise InputError(f"no suppression {suppression_uid!r} to withdraw; {hint}")
        _withdraw(db, suppression_uid, now or datetime.now(UTC))


def labels(workspace: Workspace) -> pd.DataFrame:
    """Every label that was given, the newest first; ``counts`` (bool) marks the newest of each incident.

    Returns
    -------
    DataFrame of ``LABELS`` (without ``number`` and ``record``), ``token`` and ``counts``; times are ISO 8601 text.
    """
    with state.connect(workspace.state) as db:
        rows = db.execute("select * from labels order by number desc").fetchall()
    frame = pd.DataFrame([tuple(r) for r in rows], columns=LABELS)
    tokens = [(json.loads(r).get("token") or {}).get("label") for r in frame["record"]]
    frame = frame.assign(token=tokens, accept=frame["accept"].astype(bool), counts=~frame["incident_uid"].duplicated())
    return frame.drop(columns=["number", "record"])


def suppressions(workspace: Workspace, when: datetime | None = None) -> pd.DataFrame:
    """Every suppression, the newest first, with its ``state`` at a moment: active, expired or withdrawn."""
    today = (when or datetime.now(UTC)).date().isoformat()
    with state.connect(workspace.state) as db:
        rows = db.execute("select * from suppressions order by made_time desc, suppression_uid").fetchall()
    frame = pd.DataFrame([tuple(r) for r in rows], columns=SUPPRESSIONS)
    expired = frame["until"].astype("str") <= today
    status = pd.Series("active", index=frame.index).mask(expired, "expired")
    return frame.assign(state=status.mask(frame["withdrawn_time"].notna(), "withdrawn"))


def read(workspace: Workspace, end: date) -> Labels:
    """The labels and suppressions that count for a report that ends with ``end``.

    Confirmed misuse reaches as far as the incident had grown in the reports that ended before: what a report itself
    finds does not change it, or the same report made twice would not be the same.
    """
    with state.connect(workspace.state) as db:
        given = pd.DataFrame([tuple(r) for r in db.execute("select * from labels order by number")], columns=LABELS)
        given = given.drop_duplicates("incident_uid", keep="last").reset_index(drop=True)
        active = db.execute(
            "select * from suppressions where withdrawn_time is null order by made_time, suppression_uid"
        )
        suppressed = pd.DataFrame([tuple(r) for r in active.fetchall()], columns=SUPPRESSIONS)
        grown = {}
        for uid in given["incident_uid"]:
            rows = db.execute(
                "select json_extract(i.record, '$.end') from incidents i join runs r using (run_uid)"
                " where i.incident_uid = ? and r.end < ?", [uid, end.isoformat()],
            ).fetchall()  # fmt: skip
            grown[uid] = max((r[0] for r in rows if r[0]), default="")
    if given.empty and suppressed.empty:
        return Labels()
    given["accept"] = given["accept"].astype(bool)
    reach = given["incident_uid"].map(grown)
    confirmed = given["verdict"] == "true_positive"
    given["end"] = given["end"].mask(confirmed & (reach > given["end"]), reach)
    periods = LabelledPeriods(_windows(given[confirmed]), _windows(given[given["accept"]]))
    text = given.drop(columns="record").to_json() + suppressed.to_json()
    rows = [h for text, accept in zip(given["record"], given["accept"], strict=True) if accept
            for h in json.loads(text).get("heights", [])]  # fmt: skip
    scores = pd.DataFrame(rows, columns=SCORES)
    scores["start"] = pd.to_datetime(scores["start"], utc=True).astype("datetime64[us, UTC]")
    return Labels(given, suppressed, periods, scores, hashlib.sha256(text.encode()).hexdigest())


def _windows(rows: pd.DataFrame) -> pd.DataFrame:
    """Labels as rows of ``LabelledPeriods``."""
    if rows.empty:
        return LabelledPeriods().accepted
    times = {n: pd.to_datetime(rows[n], utc=True).dt.as_unit("us") for n in ("start", "end", "made_time")}
    return pd.DataFrame(
        {"profile_uid": rows["profile_uid"], "start": times["start"], "end": times["end"], "accepted_by": rows["who"],
         "accepted_time": times["made_time"]}
    ).reset_index(drop=True)  # fmt: skip


def without_accepted(flagged: pd.DataFrame, accepted: pd.DataFrame) -> pd.DataFrame:
    """Flagged windows without those that lie in an accepted period of their profile.

    What comes after it and still exceeds the threshold begins an incident of its own, so that a larger change is new,
    and not more of what was accepted.
    """
    keep = pd.Series(True, index=flagged.index)
    for row in accepted.itertuples():
        own = flagged["profile_uid"] == row.profile_uid
        keep &= ~(own & (flagged["end"] > row.start) & (flagged["start"] < row.end))
    return flagged[keep].reset_index(drop=True)


def tally(labels: pd.DataFrame) -> facts.Labels:
    """How many incidents people labelled and how, and the share of confirmed misuse among them.

    Examples
    --------
    >>> tally(pd.DataFrame({"verdict": ["benign", "true_positive", "true_positive", "false_positive"]}))["precision"]
    0.5
    """
    true_positive, benign, false_positive = (int((labels["verdict"] == name).sum()) for name in VERDICTS)
    precision = true_positive / len(labels) if len(labels) else None
    return {
        "true_positive": true_positive, "benign": benign, "false_positive": false_positive, "precision": precision
    }  # fmt: skip


def _reason_and_name(reason: str, who: str) -> tuple[str, str]:
    """Reason and name, fit to be stored."""
    if not reason.strip():
        raise InputError("an answer needs a reason: --reason 'what you found out', for whoever reads the page next")
    if not who.strip():
        raise InputError("an answer needs a name: --who NAME")
    return attribution.reason(reason), attribution.person(who)


def _day(until: date | str, now: datetime) -> date:
    day = day_of(until, "until")
    if day is None:
        raise InputError("name the day until when, such as 2026-03-01 (UTC)")
    if day <= now.date():
        raise InputError(f"until is {day}, which is not in the future: today is {now.date()} (UTC). Name a later day.")
    return day


def _newest(db: Any, incident_uid: str) -> dict[str, Any]:
    """The newest record of an incident."""
    row = db.execute(
        "select i.record from incidents i join runs r using (run_uid) where incident_uid = ? order by r.number desc"
        " limit 1", [incident_uid],
    ).fetchone()  # fmt: skip
    if row:
        return dict(json.loads(row[0]))
    rows = db.execute(
        "select distinct incident_uid from incidents where run_uid in (select run_uid from runs order by number desc"
        " limit ?) order by 1", [RUNS_KNOWN],
    ).fetchall()  # fmt: skip
    known = [r[0] for r in rows]
    hint = did_you_mean(incident_uid, known) if known else "no report has raised one yet"
    raise InputError(f"no incident {incident_uid!r}; {hint}")


def _scores_of(workspace: Workspace, record: dict[str, Any]) -> list[list[Any]]:
    """The largest score of each channel on each day of an incident, as the last run stored them (``SCORES``)."""
    start, end = (pd.Timestamp(record[n]) for n in ("start", "end"))
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        last = (end + pd.Timedelta("1D")).date()
        lake.scan(connection, workspace.lake, "scores", start.date(), last).create_view("scores")
        rows = connection.sql(
            "select channel, day, max(score_bits) from scores where profile_uid = $uid"
            " and start < $until::timestamptz group by all order by all",
            params={"uid": record["profile_uid"], "until": record["end"]},
        ).fetchall()
    return [[record["profile_uid"], channel, f"{day.isoformat()}T00:00:00Z", bits] for channel, day, bits in rows]


def _suppress(
    db: Any, uid: str, profile_uid: str, channel: str, reason: str, who: str, until: date, now: datetime
) -> dict[str, Any]:
    row = {
        "suppression_uid": uid, "profile_uid": profile_uid, "channel": channel, "reason": reason,
        "who": who, "made_time": _iso(now), "until": until.isoformat(),
    }  # fmt: skip
    db.execute(f"insert or replace into suppressions ({', '.join(row)}) values (?, ?, ?, ?, ?, ?, ?)", [*row.values()])
    return row


def _withdraw(db: Any, uid: str, now: datetime) -> None:
    db.execute(
        "update suppressions set withdrawn_time = ? where suppression_uid = ? and withdrawn_time is null",
        [_iso(now), uid],
    )


def _suppression_of(label_uid: str) -> str:
    """The suppression that a benign label until a day makes."""
    return "sup1_" + label_uid.removeprefix("lab1_")


def _uid(prefix: str, *parts: str) -> str:
    return prefix + hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
