"""Overlay: lay trials over an organisation: each changes a copy of one token's events and measures it.

Reads  the lake of an unattacked organisation. Writes a small lake of *twins*, the copies, into a folder of its own.
The pipeline's own functions count a twin's activity and form its fingerprint, and ``counterfactual`` judges it by what
was learned from the organisation. So hundreds of trials share one organisation, none sees another, and each gives the
scores that attacking the whole organisation would give.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenkit import activity, config, fingerprint, identity, schema
from tokenkit.bench.scenarios import scenario
from tokenkit.bench.scenarios.scenario import EditedToken, Setting
from tokenkit.bench.trials import keys
from tokenkit.bench.trials.draws import Trial, trial_stream
from tokenkit.bench.trials.unattacked import UnattackedOrganisation
from tokenkit.config import Workspace
from tokenkit.ingest import open_key
from tokenkit.normal import deviation, familiarity, novelty
from tokenkit.normal.counterfactual import counterfactual
from tokenkit.normal.day_matrices import Days, day_matrices
from tokenkit.normal.evidence import Evidence
from tokenkit.store import engine, lake, state

OWN = "bench"  # the issuer in the identity of a twin: no token of the organisation can have it
TRIALS = ["trial", "seed", "scenario", "variant", "intensity", "base_uid", "behaviour", "profile_uid", "start", "end",
          "horizon", "bytes", "objects", "events"]  # fmt: skip
TAKEN = ["trial", "event_key", "time", "bytes", "object_key"]


@dataclass(frozen=True)
class AttackedProfiles:
    """The profiles that some trials changed: their evidence, and the truth beside it.

    ``trials`` has one row a trial and twin (``TRIALS``; of a cohort several, with ``bytes``, ``objects`` and times of
    the whole trial), ``taken`` one row an event of the attacker (``TAKEN``); no part of the pipeline is given either.
    ``profile_names`` says by which ``profile_uid`` the evidence has those of the lake, where it is another.
    """

    evidence: Evidence
    trials: pd.DataFrame
    taken: pd.DataFrame
    workspace: Workspace
    profile_names: dict[str, str] = field(default_factory=dict)


# ---- doing it ----
def attack(
    organisation: UnattackedOrganisation, trials: Sequence[Trial], events: dict[str, pd.DataFrame], folder: Path
) -> AttackedProfiles:
    """Do the trials and measure the twins.

    Parameters
    ----------
    events : ``events_of`` the tokens of the trials
    folder : empty or absent; holds the lake of the twins afterwards
    """
    place, twins, taken = write_twins(organisation, trials, events, folder)
    rows, theirs, hours, unfamiliarity = _measure_twins(organisation, place, twins)
    trial = twins["trial"].to_numpy()
    evidence = counterfactual(
        organisation.evidence, rows, theirs.profiles, theirs.values, hours, unfamiliarity, trial
    )  # fmt: skip
    return AttackedProfiles(evidence, _truth(organisation, trials, twins, taken), taken, place)


def replace_tokens(
    organisation: UnattackedOrganisation, trials: Sequence[Trial], events: dict[str, pd.DataFrame], folder: Path
) -> tuple[UnattackedOrganisation, AttackedProfiles]:
    """Return the organisation with the twins in place of their tokens, and everything learned from it anew.

    For attacks that change what is learned: those on days of the reference, and on those of calibration. All trials
    happen in one organisation, so they should be few of its tokens, each attacked once.

    Returns
    -------
    (UnattackedOrganisation, AttackedProfiles)
        The organisation, and those of its profiles that were attacked, with the ``profile_uid`` of their tokens.
    """
    place, twins, taken = write_twins(organisation, trials, events, folder)
    rows, theirs, *tables = _measure_twins(organisation, place, twins)
    days = organisation.evidence.days
    changed = replace(
        days, values={name: _with_rows(matrix, rows, theirs.values[name]) for name, matrix in days.values.items()},
        reference=_with_rows(days.reference, rows, theirs.reference),
        shared=_with_rows(days.shared, rows, theirs.shared),
        maturity=_with_rows(days.maturity, rows, theirs.maturity),
    )  # fmt: skip
    names = dict(zip(twins["profile_uid"], twins["base_uid"], strict=True))
    measured = [
        _in_place(table, whole, names)
        for table, whole in zip(tables, (organisation.evidence.hours, organisation.evidence.unfamiliarity), strict=True)
    ]
    evidence = Evidence(organisation.evidence.periods, changed, *deviation.day_deviations(changed), *measured)
    truth = _truth(organisation, trials, twins, taken)
    truth = truth.assign(profile_uid=truth["base_uid"])
    attacked = AttackedProfiles(evidence.of_profiles(np.unique(rows)), truth, taken, place, names)
    return replace(organisation, evidence=evidence), attacked


def _in_place(twins: pd.DataFrame, whole: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """The rows of a table, with those of twins in place of their tokens'."""
    others = whole[~whole["profile_uid"].isin(names.values())]
    return pd.concat([others, twins.assign(profile_uid=twins["profile_uid"].map(names))], ignore_index=True)


def write_twins(
    organisation: UnattackedOrganisation, trials: Sequence[Trial], events: dict[str, pd.DataFrame], folder: Path
) -> tuple[Workspace, pd.DataFrame, pd.DataFrame]:
    """Write the twins' lake; return it, a table of the twins, and the attacker's events.

    The table has one row a twin: ``trial``, ``base_uid``, ``profile_uid``; of a benign change from when on it is other
    than its token (``first``), and in how many events (``changes``).
    """
    place = config.init(folder)
    place = replace(place, settings=organisation.workspace.settings.model_copy(update={"lake": ""}))
    place.key.write_bytes(organisation.workspace.key.read_bytes())
    place.key.chmod(0o600)
    with state.connect(place.state) as db:
        key = open_key(place, db)
    batches: list[pa.Table] = []
    fresh: dict[str, list[pa.Table]] = {name: [] for name in keys.DIMENSIONS}
    credentials, inventory, twins, taken = [], [], [], []
    known = lake.read(organisation.workspace.lake, "dim_token").to_pandas().set_index("token_uid")
    for trial in trials:
        rng = trial_stream(trial.name, "attack")
        setting = Setting(rng, trial.start, trial.end, trial.intensity, organisation.operations, organisation.networks)
        shared = scenario.shared_traits(setting) if trial.scenario.cohort > 1 else {}
        for place_in, base_uid in enumerate(trial.base_uids):
            zone = _timezone(organisation.tokens, base_uid)
            edited = trial.scenario.edit(events[base_uid], replace(setting, timezone=zone, shared=shared))
            made = keys.fill_keys(edited.events, f"{trial.name}|{place_in}")
            for name, more in keys.dimension_rows(made[keys.new_texts(edited.events)]).items():
                fresh[name].append(more)
            uids = [identity.token_uid(key, OWN, f"{trial.name}|{place_in}|{n}") for n in range(2)]
            batches += _event_tables(made, uids, edited.rotated_at)
            credentials += [known.loc[[base_uid]].assign(token_uid=uid, token_key=identity.int_key(uid))
                            for uid in uids[: 2 if edited.rotated_at is not None else 1]]  # fmt: skip
            inventory.append(_twin_inventory(organisation.tokens, base_uid, uids, edited, trial.start))
            twins.append([trial.number, base_uid, uids[0], *_changes(events[base_uid], edited, trial)])
            # what the attacker reads while warming the token up is not counted as stolen
            theirs = made["attack"] & (made["time"] >= trial.start)
            stolen = made.loc[theirs, ["event_key", "time", "excess_bytes", "object_key"]]
            asked = events[base_uid].set_index("event_key")["object_key"]  # an object its owner asked for is not stolen
            objects = stolen["object_key"].where(stolen["event_key"].map(asked) != stolen["object_key"], 0)
            stolen = stolen.assign(object_key=objects, trial=trial.number)
            taken.append(stolen.rename(columns={"excess_bytes": "bytes"}))
    order = [(name, "ascending") for name in ("day", "token_key", "time", "event_key")]
    lake.append(place.lake, "events", pa.concat_tables(batches).sort_by(order))
    for name, more in fresh.items():
        _write_dimension(organisation.workspace, place, name, pa.concat_tables(more))
    lake.replace(place.lake, "dim_token", _conformed("dim_token", pd.concat(credentials)))
    lake.replace(place.lake, "tokens", _conformed("tokens", pd.concat(inventory, ignore_index=True)))
    columns = ["trial", "base_uid", "profile_uid", "first", "changes"]
    return place, pd.DataFrame(twins, columns=columns), pd.concat(taken)[TAKEN]


def _changes(own: pd.DataFrame, edited: EditedToken, trial: Trial) -> tuple[pd.Timestamp, int]:
    """Of a benign change the first moment, and the number of events: new, gone, or others than before."""
    if trial.scenario.kind == "attack":
        return trial.start, 0  # what is the attacker's is marked
    if edited.rotated_at is not None:
        return trial.start, int((edited.events["time"] >= trial.start).sum())
    both = pd.concat(
        [f[list(scenario.COLUMNS)] for f in (scenario.event_columns(own), edited.events)], ignore_index=True
    )
    times = both.loc[~both.duplicated(keep=False), "time"]
    return (times.min(), len(times)) if len(times) else (trial.start, 0)


def _timezone(tokens: pd.DataFrame, uid: str) -> str:
    """The owner's time zone, the newest that the inventory names; else UTC."""
    zones = tokens[tokens["token_uid"] == uid].sort_values("valid_from")["owner_timezone"]
    known = [zone for zone in zones.dropna() if zone]
    return str(known[-1]) if known else "UTC"


def _twin_inventory(
    tokens: pd.DataFrame, base_uid: str, uids: list[str], edited: EditedToken, start: pd.Timestamp
) -> pd.DataFrame:
    """The twin's rows of the inventory: the token's own; from the start on with what the scenario changes."""
    rows = tokens[tokens["token_uid"] == base_uid].assign(token_uid=uids[0], token_key=identity.int_key(uids[0]))
    if edited.inventory:
        later = rows.assign(**({"valid_from": start.as_unit("us")} | edited.inventory))
        rows = pd.concat([rows.assign(valid_to=start.as_unit("us")), later])
    if edited.rotated_at is not None:
        successor = {"token_uid": uids[1], "token_key": identity.int_key(uids[1]), "rotated_from_uid": uids[0],
                     "created_time": edited.rotated_at, "valid_from": edited.rotated_at}  # fmt: skip
        rows = pd.concat([rows.assign(valid_to=edited.rotated_at), rows.assign(**successor)])
    return rows


def _event_tables(made: pd.DataFrame, uids: list[str], rotated_at: pd.Timestamp | None) -> list[pa.Table]:
    """A twin's events as the lake stores them."""
    parts = [made] if rotated_at is None else [made[made["time"] < rotated_at], made[made["time"] >= rotated_at]]
    tables = []
    for uid, part in zip(uids, parts, strict=False):
        frame = part.drop(columns=["attack", "excess_bytes"]).assign(
            token_uid=uid, token_key=identity.int_key(uid), token_kind="api_key", source=OWN, class_uid=6003,
            event_uid=part["event_key"].astype("str"), day=part["time"].dt.date,
        )  # fmt: skip
        tables.append(_conformed("events", frame))
    return tables


def _conformed(name: str, frame: pd.DataFrame) -> pa.Table:
    return schema.conform(name, pa.Table.from_pandas(frame, preserve_index=False))


def _write_dimension(base: Workspace, place: Workspace, name: str, fresh: pa.Table) -> None:
    """What the twins' events name: rows that the organisation has, and those that the scenarios made."""
    key = schema.table(name).names[0]
    with engine.connect(place.settings.engine, place.scratch) as connection:
        lake.scan(connection, base.lake, name).create_view("known")
        lake.scan(connection, place.lake, "events").create_view("events")
        connection.register("fresh", fresh)
        rows = connection.sql(
            f"select * from known semi join (select distinct {key} from events) using ({key})"
            f" union all by name select distinct on ({key}) * from fresh anti join known using ({key}) order by {key}"
        ).to_arrow_table()
    lake.replace(place.lake, name, schema.conform(name, rows))


def _with_rows(matrix: np.ndarray, rows: np.ndarray, other: np.ndarray) -> np.ndarray:
    changed = matrix.copy()
    changed[rows] = other
    return changed


def _measure_twins(
    organisation: UnattackedOrganisation, place: Workspace, twins: pd.DataFrame
) -> tuple[np.ndarray, Days, pd.DataFrame, pd.DataFrame]:
    """Form the twins' fingerprints; return, in their order, the row of each one's token and its days.

    And the graded hours and the unfamiliarity of them all.
    """
    activity.build(place)
    fingerprint.build(place)
    periods = organisation.evidence.periods
    assert periods.reference is not None
    first = periods.reference[0]
    uids = twins["profile_uid"].to_numpy(dtype=object)
    groups = pd.Series(organisation.groups.loc[twins["base_uid"]].to_numpy(), index=uids)
    with engine.connect(place.settings.engine, place.scratch) as connection:
        daily = lake.scan(connection, place.lake, "fingerprint", first, periods.end).filter("\"window\" = 'day'").df()
    behaviour = pd.Series(organisation.people["behaviour"].loc[twins["base_uid"]].to_numpy(), index=uids)
    days = day_matrices(daily, groups, periods, None, behaviour)
    row = pd.Index(days.profiles).get_indexer(uids)
    days = replace(
        days, profiles=uids, values={name: matrix[row] for name, matrix in days.values.items()},
        behaviour=days.behaviour[row], reference=days.reference[row], maturity=days.maturity[row],
        shared=days.shared[row],
    )  # fmt: skip
    replaces = dict(zip(uids, twins["base_uid"], strict=True))
    hours = novelty.graded_hours(place, groups, first, periods.end, None, organisation.others, replaces)
    used = familiarity.usage(place, groups, first, periods.end, None, organisation.usage, replaces)
    unfamiliarity = familiarity.unfamiliarity(used, organisation.usage, replaces)
    return pd.Index(organisation.evidence.days.profiles).get_indexer(twins["base_uid"]), days, hours, unfamiliarity


def _truth(
    organisation: UnattackedOrganisation, trials: Sequence[Trial], twins: pd.DataFrame, taken: pd.DataFrame
) -> pd.DataFrame:
    """When each trial happened and how much it took: an attack by its events, a benign change from its first one on.

    An alert after the end of a benign change counts too. ``behaviour`` is the token's kind before all that.
    """
    rows = []
    kinds = dict(zip(organisation.evidence.days.profiles, organisation.evidence.days.behaviour, strict=True))
    by_trial = dict(list(taken.groupby("trial")))
    for trial in trials:
        mine = twins[twins["trial"] == trial.number]
        theirs = by_trial.get(trial.number)
        if theirs is not None:
            start, end = theirs["time"].min(), theirs["time"].max() + pd.Timedelta("1s")
            objects = theirs.loc[theirs["object_key"] != 0, "object_key"].nunique()
            found = [int(theirs["bytes"].sum()), int(objects), len(theirs)]
        else:
            start, end, found = mine["first"].min(), trial.end, [0, 0, int(mine["changes"].sum())]
        for twin in mine.itertuples():
            rows.append([trial.number, trial.seed, trial.scenario.id, trial.variant, trial.intensity, twin.base_uid,
                         kinds[twin.base_uid], twin.profile_uid, start, end, trial.end, *found])  # fmt: skip
    frame = pd.DataFrame(rows, columns=TRIALS)
    return frame.assign(**{c: pd.to_datetime(frame[c], utc=True).dt.as_unit("us") for c in ("start", "end", "horizon")})
