"""Overlay: what the pipeline would have measured of a token, had something else been done with it.

Reads  the lake of a benign organisation, measured once. Writes a small lake of *twins* into a folder of its own.
A twin has the events of one token, edited by a scenario, and the same past. The pipeline's own functions count its
activity and form its fingerprint, and ``deviation.instead`` judges it by what the benign organisation taught. So
hundreds of trials share one organisation, none sees another, and each gives the scores that attacking the whole
organisation would give.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenkit import activity, baseline, config, deviation, engine, fingerprint, identity, lake, novelty, schema, state
from tokenkit.baseline import Days
from tokenkit.bench import scenario
from tokenkit.bench.scenario import Edited, Scenario, Setting
from tokenkit.config import Workspace
from tokenkit.deviation import Evidence
from tokenkit.ingest import open_key
from tokenkit.novelty import Crowd

OWN = "bench"  # the issuer in the identity of a twin: no token of the organisation can have it
DIMENSIONS = ("dim_network", "dim_client", "dim_operation", "dim_object")
TRIALS = ["trial", "seed", "scenario", "variant", "intensity", "base_uid", "profile_uid", "start", "end", "horizon",
          "bytes", "objects", "events"]  # fmt: skip
TAKEN = ["trial", "event_key", "time", "bytes", "object_key"]


@dataclass(eq=False)
class Benign:
    """A benign organisation, measured once; what each token did in it can be done otherwise.

    ``people`` is ``owners.people``, ``tokens`` the inventory, ``single`` the profiles that are one token each, as
    ``profile_uid`` to ``token_key``.
    """

    seed: int
    workspace: Workspace
    evidence: Evidence
    people: pd.DataFrame
    groups: pd.Series
    crowds: dict[str, Crowd]
    tokens: pd.DataFrame
    single: dict[str, int]
    operations: pd.DataFrame
    networks: frozenset[str]

    @property
    def start(self) -> pd.Timestamp:
        """First moment of the test period."""
        return pd.Timestamp(self.evidence.periods.start, tz="UTC")

    @property
    def end(self) -> pd.Timestamp:
        """End of the test period."""
        return pd.Timestamp(self.evidence.periods.end, tz="UTC")


@dataclass(frozen=True)
class Trial:
    """One scenario at one intensity on one token (on several of a cohort), from one moment on."""

    number: int
    seed: int
    scenario: Scenario
    intensity: float
    base_uids: tuple[str, ...]
    start: pd.Timestamp
    end: pd.Timestamp  # of the period in which it may happen
    variant: str = "clean"

    @property
    def name(self) -> str:
        """What makes it this trial and no other: its random streams are drawn from it."""
        return f"{self.seed}/{self.variant}/{self.scenario.id}/{self.intensity:g}/{self.number}"


@dataclass(frozen=True)
class Attacked:
    """The twins of some trials: their evidence, and the truth beside it.

    ``trials`` has one row a trial and twin (``TRIALS``; of a cohort several, with ``bytes``, ``objects`` and times of
    the whole trial), ``taken`` one row an event of the attacker (``TAKEN``); both are out of the pipeline's reach.
    ``called`` is how the evidence calls the profiles of the lake, where it does not call them by their own names.
    """

    evidence: Evidence
    trials: pd.DataFrame
    taken: pd.DataFrame
    workspace: Workspace
    called: dict[str, str] = field(default_factory=dict)


def benign(workspace: Workspace, evidence: Evidence, people: pd.DataFrame, seed: int = 0) -> Benign:
    """An organisation whose evidence is measured, ready for trials.

    Parameters
    ----------
    evidence : ``deviation.measure``, of the whole organisation and without answers
    people : ``owners.people``
    """
    mapped = fingerprint.profiles(workspace)
    alone = mapped.groupby("profile_uid")["token_key"].agg(["size", "first"])
    alone = alone[(alone["size"] == 1) & alone.index.isin(evidence.days.profiles)]
    periods, groups = evidence.periods, baseline.peer_groups(people)
    assert periods.reference is not None
    crowds = novelty.crowds(workspace, groups, periods.reference[0], periods.end)
    operations = lake.read(workspace.lake, "dim_operation").to_pandas()
    networks = frozenset(lake.read(workspace.lake, "dim_network").to_pandas()["network"].dropna())
    tokens = lake.read(workspace.lake, "tokens").to_pandas()
    return Benign(seed, workspace, evidence, people, groups, crowds, tokens, alone["first"].to_dict(), operations,
                  networks)  # fmt: skip


def stream(*names: object) -> np.random.Generator:
    """A random stream for each name.

    Examples
    --------
    >>> bool(stream(0, "a").random() == stream(0, "a").random())
    True
    """
    return np.random.default_rng(zlib.crc32("/".join(map(str, names)).encode()))


# ---- which tokens, and when ----
def events_of(ground: Benign, uids: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The canonical events (``scenario.COLUMNS`` and what else a twin keeps) of some profiles of one token each."""
    keys = {ground.single[uid]: uid for uid in uids}
    with engine.connect(ground.workspace.settings.engine, ground.workspace.scratch) as connection:
        connection.register("wanted", pd.DataFrame({"token_key": list(keys)}))
        lake.scan(connection, ground.workspace.lake, "events").create_view("events")
        columns = ", ".join(scenario.COLUMNS)
        table = connection.sql(
            f"select token_key, {columns} from events semi join wanted using (token_key) order by token_key, time,"
            " event_key"
        ).to_arrow_table()
    frame = table.to_pandas()
    return {keys[int(k)]: part.drop(columns="token_key").reset_index(drop=True)
            for k, part in frame.groupby("token_key")}  # fmt: skip


def draw(
    ground: Benign, chosen: Sequence[tuple[Scenario, float]], each: int, events: dict[str, pd.DataFrame],
    first: int = 0, variant: str = "clean", period: tuple[pd.Timestamp, pd.Timestamp] | None = None,
) -> list[Trial]:  # fmt: skip
    """Trials of some scenarios and intensities, ``each`` of every one, on tokens and from moments drawn at random.

    A token that a scenario does not suit is not drawn for it; a scenario that suits none has no trial. Nothing is
    changed before the test period, nor after its end.

    Parameters
    ----------
    chosen : scenario and intensity
    events : ``events_of`` the tokens that may be drawn
    first : number of the first trial
    period : when they may happen; default: the test period
    """
    low, high = period or (ground.start, ground.end)
    trials: list[Trial] = []
    tests = dict.fromkeys(s.suits for s, _ in chosen)  # several scenarios share one
    live = [uid for uid in sorted(events) if (events[uid]["time"] >= low).any()]
    suited = {test: [uid for uid in live if test(events[uid])] for test in tests}
    for one, intensity in chosen:
        tokens = suited[one.suits]
        if len(tokens) < one.cohort:
            continue
        for repetition in range(each):
            rng = stream(ground.seed, one.id, f"{intensity:g}", repetition, "where and when")
            picked = rng.choice(len(tokens), one.cohort, replace=False)
            first_moment = low + pd.Timedelta(days=one.lead * intensity)
            last = high - pd.Timedelta(days=one.days or (high - low).days)
            latest = max(last - first_moment, (high - first_moment) / 4)  # what goes on to the end begins in a quarter
            start = (first_moment + rng.random() * latest).floor("s")
            uids = tuple(tokens[i] for i in picked)
            trials.append(Trial(first + len(trials), ground.seed, one, intensity, uids, start, high, variant))
    return trials


def attackable(ground: Benign) -> list[str]:
    """Profiles that may be attacked: one token each, on the list of owners, with a past; and those that slept."""
    days = ground.evidence.days
    active = days.reference.sum(axis=1)
    known = set(ground.tokens["token_uid"])
    return [str(uid) for uid, n in zip(days.profiles, active, strict=True)
            if uid in ground.single and uid in known and n >= 1]  # fmt: skip


# ---- doing it ----
def attack(ground: Benign, trials: Sequence[Trial], events: dict[str, pd.DataFrame], folder: Path) -> Attacked:
    """Do the trials and measure the twins.

    Parameters
    ----------
    events : ``events_of`` the tokens of the trials
    folder : empty or absent; holds the lake of the twins afterwards
    """
    place, twins, taken = write(ground, trials, events, folder)
    activity.build(place)
    fingerprint.build(place)
    rows, theirs, hours = _measured(ground, place, twins)
    evidence = deviation.instead(
        ground.evidence, rows, theirs.profiles, theirs.values, hours, twins["trial"].to_numpy()
    )
    return Attacked(evidence, _truth(trials, twins, taken), taken, place)


def in_place(
    ground: Benign, trials: Sequence[Trial], events: dict[str, pd.DataFrame], folder: Path
) -> tuple[Benign, Attacked]:
    """The organisation as it is with the twins in the places of their tokens, everything learned from it anew.

    For attacks that change what is learned: those of a dirty past, and those that poison the days of calibration. All
    trials happen in one organisation, so they should be few of its tokens, each attacked once.

    Returns
    -------
    (Benign, Attacked)
        The organisation, and those of its profiles that were attacked, under their own names.
    """
    place, twins, taken = write(ground, trials, events, folder)
    activity.build(place)
    fingerprint.build(place)
    rows, theirs, hours = _measured(ground, place, twins)
    days = ground.evidence.days
    changed = replace(
        days, values={name: _put(matrix, rows, theirs.values[name]) for name, matrix in days.values.items()},
        reference=_put(days.reference, rows, theirs.reference), shared=_put(days.shared, rows, theirs.shared),
        maturity=_put(days.maturity, rows, theirs.maturity),
    )  # fmt: skip
    names = dict(zip(twins["profile_uid"], twins["base_uid"], strict=True))
    others = ground.evidence.hours[~ground.evidence.hours["profile_uid"].isin(twins["base_uid"])]
    hours = pd.concat([others, hours.assign(profile_uid=hours["profile_uid"].map(names))], ignore_index=True)
    evidence = Evidence(ground.evidence.periods, changed, *deviation.day_deviations(changed), hours)
    truth = _truth(trials, twins, taken)
    attacked = Attacked(
        deviation.of_profiles(evidence, np.unique(rows)),
        truth.assign(profile_uid=truth["base_uid"]),
        taken,
        place,
        names,
    )
    return replace(ground, evidence=evidence), attacked


def write(
    ground: Benign, trials: Sequence[Trial], events: dict[str, pd.DataFrame], folder: Path
) -> tuple[Workspace, pd.DataFrame, pd.DataFrame]:
    """The lake of the twins; one row a twin (``trial``, ``base_uid``, ``profile_uid``); the attacker's events."""
    place = config.init(folder)
    place = replace(place, settings=ground.workspace.settings)
    place.key.write_bytes(ground.workspace.key.read_bytes())
    place.key.chmod(0o600)
    with state.connect(place.state) as db:
        key = open_key(place, db)
    batches: list[pa.Table] = []
    fresh: dict[str, list[pa.Table]] = {name: [] for name in DIMENSIONS}
    credentials, owned, twins, taken = [], [], [], []
    known = lake.read(ground.workspace.lake, "dim_token").to_pandas().set_index("token_uid")
    for trial in trials:
        rng = stream(trial.name, "attack")
        setting = Setting(rng, trial.start, trial.end, trial.intensity, ground.operations, ground.networks)
        shared = scenario.share(setting) if trial.scenario.cohort > 1 else {}
        for place_in, base_uid in enumerate(trial.base_uids):
            row = _inventory(ground.tokens, base_uid)
            zone = str(row.get("owner_timezone") or "UTC")
            edited = trial.scenario.edit(
                events[base_uid], replace(setting, inventory=row, timezone=zone, shared=shared)
            )
            made = scenario.keyed(edited.events, f"{trial.name}|{place_in}")
            new = made[~made["event_key"].isin(events[base_uid]["event_key"]) | made["attack"]]
            for name, more in scenario.dimension_rows(new).items():
                fresh[name].append(more)
            uids = [identity.token_uid(key, OWN, f"{trial.name}|{place_in}|{n}") for n in range(2)]
            batches += _stored(made, uids, edited.rotated_at)
            credentials += [known.loc[[base_uid]].assign(token_uid=uid, token_key=identity.twin(uid))
                            for uid in uids[: 2 if edited.rotated_at is not None else 1]]  # fmt: skip
            owned.append(_owned(ground.tokens, base_uid, uids, edited, trial.start))
            twins.append([trial.number, base_uid, uids[0]])
            his = made["attack"] & (
                made["time"] >= trial.start
            )  # what he does before, to be taken for usual, is no loot
            stolen = made.loc[his, ["event_key", "time", "excess_bytes", "object_key"]]
            taken.append(stolen.rename(columns={"excess_bytes": "bytes"}).assign(trial=trial.number))
    _append_by_day(place, batches)
    for name, more in fresh.items():
        _write_dimension(ground.workspace, place, name, pa.concat_tables(more))
    lake.replace(place.lake, "dim_token", _conformed("dim_token", pd.concat(credentials)))
    lake.replace(place.lake, "tokens", _conformed("tokens", pd.concat(owned, ignore_index=True)))
    return place, pd.DataFrame(twins, columns=["trial", "base_uid", "profile_uid"]), pd.concat(taken)[TAKEN]


def _inventory(tokens: pd.DataFrame, uid: str) -> dict[str, Any]:
    rows = tokens[tokens["token_uid"] == uid].sort_values("valid_from")
    return rows.iloc[-1].to_dict() if len(rows) else {}


def _owned(tokens: pd.DataFrame, base_uid: str, uids: list[str], edited: Edited, start: pd.Timestamp) -> pd.DataFrame:
    """The twin's rows of the inventory: the token's own; from the start on with what the scenario changes."""
    rows = tokens[tokens["token_uid"] == base_uid].assign(token_uid=uids[0], token_key=identity.twin(uids[0]))
    if edited.inventory:
        later = rows.assign(**({"valid_from": start.as_unit("us")} | edited.inventory))
        rows = pd.concat([rows.assign(valid_to=start.as_unit("us")), later])
    if edited.rotated_at is not None:
        successor = {"token_uid": uids[1], "token_key": identity.twin(uids[1]), "rotated_from_uid": uids[0],
                     "created_time": edited.rotated_at, "valid_from": edited.rotated_at}  # fmt: skip
        rows = pd.concat([rows.assign(valid_to=edited.rotated_at), rows.assign(**successor)])
    return rows


def _stored(made: pd.DataFrame, uids: list[str], rotated_at: pd.Timestamp | None) -> list[pa.Table]:
    """A twin's events as the lake stores them."""
    parts = [made] if rotated_at is None else [made[made["time"] < rotated_at], made[made["time"] >= rotated_at]]
    stored = []
    for uid, part in zip(uids, parts, strict=False):
        frame = part.drop(columns=["attack", "excess_bytes"]).assign(
            token_uid=uid, token_key=identity.twin(uid), token_kind="api_key", source=OWN, class_uid=6003,
            event_uid=part["event_key"].astype("str"), day=part["time"].dt.date,
        )  # fmt: skip
        stored.append(_conformed("events", frame))
    return stored


def _conformed(name: str, frame: pd.DataFrame) -> pa.Table:
    return schema.conform(name, pa.Table.from_pandas(frame, preserve_index=False))


def _write_dimension(ground: Workspace, place: Workspace, name: str, fresh: pa.Table) -> None:
    """What the twins' events name: rows that the organisation has, and those that the scenarios made."""
    key = schema.table(name).names[0]
    with engine.connect(place.settings.engine, place.scratch) as connection:
        lake.scan(connection, ground.lake, name).create_view("known")
        lake.scan(connection, place.lake, "events").create_view("events")
        connection.register("fresh", fresh)
        rows = connection.sql(
            f"select * from known semi join (select distinct {key} from events) using ({key})"
            f" union all by name select distinct on ({key}) * from fresh anti join known using ({key}) order by {key}"
        ).to_arrow_table()
    lake.replace(place.lake, name, schema.conform(name, rows))


def _append_by_day(place: Workspace, batches: list[pa.Table]) -> None:
    order = [("day", "ascending"), ("token_key", "ascending"), ("time", "ascending"), ("event_key", "ascending")]
    lake.append(place.lake, "events", pa.concat_tables(batches).sort_by(order))


def _put(matrix: np.ndarray, rows: np.ndarray, other: np.ndarray) -> np.ndarray:
    changed = matrix.copy()
    changed[rows] = other
    return changed


def _measured(ground: Benign, place: Workspace, twins: pd.DataFrame) -> tuple[np.ndarray, Days, pd.DataFrame]:
    """Of the twins, in their order: the row in whose place each stands, their days, and graded hours."""
    periods = ground.evidence.periods
    assert periods.reference is not None
    first = periods.reference[0]
    uids = twins["profile_uid"].to_numpy(dtype=object)
    groups = pd.Series(ground.groups.loc[twins["base_uid"]].to_numpy(), index=uids)
    with engine.connect(place.settings.engine, place.scratch) as connection:
        daily = lake.scan(connection, place.lake, "fingerprint", first, periods.end).filter("\"window\" = 'day'").df()
    days = baseline.day_matrices(daily, groups, periods)
    row = pd.Index(days.profiles).get_indexer(uids)
    days = replace(
        days, profiles=uids, values={name: matrix[row] for name, matrix in days.values.items()},
        reference=days.reference[row], maturity=days.maturity[row], shared=days.shared[row],
    )  # fmt: skip
    hours = novelty.graded_hours(
        place, groups, first, periods.end, None, ground.crowds, dict(zip(uids, twins["base_uid"], strict=True))
    )
    return pd.Index(ground.evidence.days.profiles).get_indexer(twins["base_uid"]), days, hours


def _truth(trials: Sequence[Trial], twins: pd.DataFrame, taken: pd.DataFrame) -> pd.DataFrame:
    rows = []
    by_trial = dict(list(taken.groupby("trial")))
    for trial in trials:
        theirs = by_trial.get(trial.number)
        whole = trial.scenario.days
        start, end = trial.start, min(trial.start + pd.Timedelta(days=whole), trial.end) if whole else trial.end
        if theirs is not None:
            start, end = theirs["time"].min(), theirs["time"].max() + pd.Timedelta("1s")
        found = [0, 0, 0] if theirs is None else [
            int(theirs["bytes"].sum()), int(theirs.loc[theirs["object_key"] != 0, "object_key"].nunique()), len(theirs)
        ]  # fmt: skip
        for twin in twins[twins["trial"] == trial.number].itertuples():
            rows.append([trial.number, trial.seed, trial.scenario.id, trial.variant, trial.intensity, twin.base_uid,
                         twin.profile_uid, start, end, trial.end, *found])  # fmt: skip
    frame = pd.DataFrame(rows, columns=TRIALS)
    return frame.assign(**{c: pd.to_datetime(frame[c], utc=True).dt.as_unit("us") for c in ("start", "end", "horizon")})
