"""Scenarios: each does what it says to a token's events, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenkit import config, identity, ingest
from tokenkit.bench import scenarios
from tokenkit.bench.scenarios import scenario as words
from tokenkit.bench.scenarios.scenario import COLUMNS, DAY, EditedToken, Scenario, Setting
from tokenkit.bench.trials import keys
from tokenkit.channels import signs
from tokenkit.channels.drift import DriftAmounts, DriftRequests
from tokenkit.channels.policy import BITS
from tokenkit.errors import InputError
from tokenkit.fingerprint import judged_features
from tokenkit.sources.fields import clients, normalise, operations
from tokenkit.sources.inputs import Input
from tokenkit.store import lake
from tokenkit.world import simulate_logs

START = pd.Timestamp("2026-02-18 10:13", tz="UTC")  # a Wednesday
END = pd.Timestamp("2026-03-06", tz="UTC")
GRID = [(one, intensity) for one in scenarios.ALL.values() for intensity in one.intensities]
WHO = {"client": "user_agent", "network": "network"}


@dataclass(frozen=True)
class Organisation:
    """Canonical events by token, busiest first, and what the organisation calls and where from."""

    lake: Path
    tokens: list[pd.DataFrame]
    operations: pd.DataFrame
    networks: frozenset[str]
    known: dict[tuple[str, float], EditedToken] = field(default_factory=dict)

    def edited(self, one: Scenario, intensity: float) -> EditedToken:
        """What a scenario makes of the token that suits it; not to be changed."""
        if (one.id, intensity) not in self.known:
            self.known[one.id, intensity] = one.edit(self.suited(one), self.setting(intensity))
        return self.known[one.id, intensity]

    def setting(self, intensity: float, seed: int = 5, **more: object) -> Setting:
        made = Setting(np.random.default_rng(seed), START, END, intensity, self.operations, self.networks)
        return replace(made, **more)  # type: ignore[arg-type]

    def suited(self, one: Scenario) -> pd.DataFrame:
        """The busiest token that can be attacked in this way; web calls and work right after the start come first."""
        suited = [events for events in self.tokens if one.suits(events)]
        after = [(t := events["time"] - START)[t > pd.Timedelta(0)] for events in suited]
        works = [(t < DAY).sum() >= 5 for t in after]
        assert any(works), f"{one.id} suits no token"
        soon = [(t < pd.Timedelta("30min")).any() for t in after]
        web = [events["url_path"].notna().any() for events in suited]
        return suited[max(range(len(suited)), key=lambda n: (works[n], soon[n], web[n]))]


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    folder = tmp_path_factory.mktemp("scenarios")
    simulate_logs(folder / "raw", tokens=30, days=60, events=40_000, seed=4, attacks=False)
    workspace = config.init(folder / "workspace")
    ingest.ingest(workspace, [Input(folder / "raw" / "logs")])
    lake.scan(connection := duckdb.connect(), workspace.lake, "events").create_view("events")
    frame = connection.sql("select * from events where token_key <> 0 order by time, event_key").df()
    by_token = [words.event_columns(part) for _, part in frame.groupby("token_key")]
    return Organisation(
        workspace.lake, sorted(by_token, key=len, reverse=True),
        lake.read(workspace.lake, "dim_operation").to_pandas(),
        frozenset(lake.read(workspace.lake, "dim_network")["network"].to_pylist()),
    )  # fmt: skip


# ---- what each one claims ----
SIZED = {"response_bytes", "rows"}
CALLED = {"service", "operation", "operation_key", "activity_id", "http_method", "url_path", "resource_uid",
          "resource_type", "object_key", "http_status", "status_id", "status_code", "is_denied", "request_bytes",
          "response_bytes", "rows"}  # fmt: skip
PLACED = {"src_ip", "network", "network_class", "network_key"}


def rows_more(own: pd.DataFrame, edited: EditedToken) -> float:
    return float(len(edited.events) - len(own))


def bytes_taken(own: pd.DataFrame, edited: EditedToken) -> float:
    return float(edited.events["excess_bytes"].sum())


def rows_changed(own: pd.DataFrame, edited: EditedToken) -> float:
    return float(len(differences(own, edited)))


def rows_gone(own: pd.DataFrame, edited: EditedToken) -> float:
    return float(len(own) - (edited.events["event_key"] != 0).sum())


def networks_more(own: pd.DataFrame, edited: EditedToken) -> float:
    return float(len(set(edited.events["network"].dropna()) - set(own["network"].dropna())))


@dataclass(frozen=True)
class Claim:
    """What of the new events is new to the token, what changes in old ones, and what grows with the intensity."""

    new: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    removes: bool = False
    grows: Callable[[pd.DataFrame, EditedToken], float] | None = rows_more


def claim(new: str = "", changes: set[str] | None = None, **more: object) -> Claim:
    return Claim(frozenset(new.split()), frozenset(changes or ()), **more)  # type: ignore[arg-type]


CLAIMS = {
    "stolen_token": claim("network client operation"),
    "cloned_token": claim("network"),
    "leaked_key_check": claim("network client operation"),
    "reconnaissance": claim("operation"),
    "scope_probing": claim("operation object"),
    "object_enumeration": claim("object"),
    "bulk_spike": claim("object", grows=bytes_taken),
    "slow_exfiltration": claim("object", SIZED, grows=bytes_taken),
    "ramp": claim("object", SIZED, grows=bytes_taken),
    "purpose_creep": claim("", CALLED, grows=rows_changed),
    "pagination_crawl": claim(),
    "dormant_revived": claim("network", removes=True, grows=rows_gone),
    "orphan": claim(grows=None),
    "credential_minting": claim("operation object"),
    "privilege_escalation": claim("operation object"),
    "ci_off_runner": claim("network"),
    "used_by_hand": claim("network client operation"),
    "client_swap": claim("client"),
    "network_rotation": claim("network", grows=networks_more),
    "off_schedule": claim(),
    "destructive_burst": claim("operation"),
    "resource_hijack": claim("operation"),
    "secret_harvesting": claim("operation object"),
    "supply_chain": claim("network client operation"),
    "tracks_covered": claim("operation object"),
    "invalid_token_storm": claim("network client"),
    "refresh_token_reuse": claim("network operation"),
    "deploy": claim("", {"user_agent", "ua_family", "client_key", *CALLED}, grows=None),
    "egress_change": claim("", PLACED),
    "region_failover": claim("", PLACED, grows=rows_changed),
    "key_rotation": claim(grows=None),
    "month_end_batch": claim(),
    "backfill": claim("object"),
    "organic_growth": claim(),
    "clock_shift": claim("", {"time"}, removes=True),
    "holiday": claim(removes=True, grows=rows_gone),
    "load_test": claim("network client"),
    "new_engineer": claim("network client operation"),
    "retry_storm": claim("", {"http_status", "status_id", "status_code", "is_denied", *SIZED}),
}  # fmt: skip
SAME_FOR_EVERY_SEED = {"orphan", "key_rotation"}


def differences(own: pd.DataFrame, edited: EditedToken) -> pd.DataFrame:
    """Which columns of which old events differ: event_key and bool columns, rows without a difference left out."""
    old = edited.events[edited.events["event_key"] != 0].set_index("event_key")[list(COLUMNS)[1:]].sort_index()
    before = own.set_index("event_key").loc[old.index]
    other = pd.DataFrame({c: ~((old[c] == before[c]).fillna(False).astype(bool) | (old[c].isna() & before[c].isna()))
                          for c in old})  # fmt: skip
    return other[other.any(axis=1)]


@pytest.mark.parametrize(("one", "intensity"), GRID, ids=[f"{one.id}-{i:g}" for one, i in GRID])
def test_a_scenario_changes_what_it_claims_and_nothing_else(
    organisation: Organisation, one: Scenario, intensity: float
) -> None:
    own, said = organisation.suited(one), CLAIMS[one.id]
    untouched = own.copy(deep=True)
    edited = organisation.edited(one, intensity)
    pd.testing.assert_frame_equal(own, untouched)  # nor does it edit what it was given
    events = edited.events
    assert list(events) == [*COLUMNS, "attack", "excess_bytes"]
    assert events.dtypes.astype(str).to_dict() == {**COLUMNS, "attack": "bool", "excess_bytes": "int64"}
    assert events["time"].is_monotonic_increasing

    # old events
    old = events[events["event_key"] != 0]
    assert old["event_key"].is_unique and set(old["event_key"]) <= set(own["event_key"])
    other = differences(own, edited)
    touched = own.set_index("event_key").loc[other.index]
    assert set(other.columns[other.any()]) <= said.changes
    assert bool(len(other)) == bool(said.changes)
    assert (touched["time"] >= START).all() and (touched["time"] < END).all()
    gone = own[~own["event_key"].isin(old["event_key"])]
    assert said.removes or gone.empty
    if one.id != "dormant_revived":  # its silence lies before it
        assert (gone["time"] >= START).all()

    # new events
    new = events[events["event_key"] == 0]
    assert (new["time"] >= START).all() and (new["time"] < END).all()
    if one.days is not None:
        assert new.empty or new["time"].max() < START + one.days * DAY + pd.Timedelta("31min")
    assert (new["count"] == 1).all()
    for what, column in WHO.items():
        known = set(own[column].dropna())
        here = set(new[column].dropna())
        if what in said.new:
            assert here and not here & known
        else:
            assert here <= known
    if "network" in said.new and one.id != "load_test":  # that one comes from elsewhere in the organisation
        assert not set(new["network"]) & organisation.networks
    strange = set(new["operation"]) - set(own["operation"])
    assert not strange or "operation" in said.new
    if "operation" in said.new and intensity == max(one.intensities):
        assert strange
    if "object" in said.new and intensity == max(one.intensities):
        assert set(new["resource_uid"].dropna()) - set(own["resource_uid"].dropna())

    # whose they are
    mine = set(events.loc[events["attack"] & (events["event_key"] != 0), "event_key"])
    if one.kind == "confounder":
        assert not events["attack"].any() and not events["excess_bytes"].any()
    elif one.id == "orphan":
        assert (events["attack"] == ((events["time"] >= START) & (events["time"] < END))).all()
        assert not events["excess_bytes"].any()
    else:
        assert new["attack"].all() and mine == set(other.index)
        assert (new["excess_bytes"] == new["response_bytes"].fillna(0)).all()
        assert not events.loc[~events["attack"], "excess_bytes"].any()
        changed = old[old["attack"]].set_index("event_key")
        more = changed["response_bytes"].fillna(0) - touched.loc[changed.index, "response_bytes"].fillna(0)
        assert (changed["excess_bytes"] == more.clip(lower=0)).all()
    assert (edited.rotated_at == START) == (one.id == "key_rotation")
    assert bool(edited.inventory) == (one.id == "orphan")


def test_what_an_attacker_does_from_the_tokens_own_place_comes_from_one_place(organisation: Organisation) -> None:
    for id in ("reconnaissance", "bulk_spike", "pagination_crawl", "object_enumeration", "secret_harvesting"):
        one = scenarios.get(id)
        events = one.edit(organisation.suited(one), organisation.setting(one.intensities[-1])).events
        theirs = events[events["attack"]]
        assert len(theirs[["src_ip", "user_agent"]].drop_duplicates()) == 1


@pytest.mark.parametrize("one", scenarios.ALL.values(), ids=list(scenarios.ALL))
def test_strength_grows_with_the_intensity(organisation: Organisation, one: Scenario) -> None:
    own, grows = organisation.suited(one), CLAIMS[one.id].grows
    if grows is None or len(one.intensities) == 1:
        return
    strength = [grows(own, organisation.edited(one, intensity)) for intensity in one.intensities]
    assert strength == sorted(set(strength)), strength


@pytest.mark.parametrize("one", scenarios.ALL.values(), ids=list(scenarios.ALL))
def test_the_same_seed_gives_the_same_events_and_another_seed_others(organisation: Organisation, one: Scenario) -> None:
    own, intensity = organisation.suited(one), one.intensities[-1]
    first = organisation.edited(one, intensity).events
    again, other = (one.edit(own, organisation.setting(intensity, seed)).events for seed in (5, 6))
    pd.testing.assert_frame_equal(first, again)
    same = len(first) == len(other) and first.equals(other)
    assert same == (one.id in SAME_FOR_EVERY_SEED)


@pytest.mark.parametrize("one", scenarios.ALL.values(), ids=list(scenarios.ALL))
def test_keys_are_those_that_ingest_gives_to_such_texts(organisation: Organisation, one: Scenario) -> None:
    edited = organisation.edited(one, one.intensities[-1]).events
    made = keys.fill_keys(edited, "trial 1")
    rest = [c for c in made if not c.endswith("_key")]
    pd.testing.assert_frame_equal(made[rest], edited[rest])
    changed = made[(edited[["event_key", "network_key", "client_key", "operation_key", "object_key"]] == 0).any(axis=1)]
    for event in changed.drop_duplicates(["src_ip", "user_agent", "operation", "resource_uid"]).head(300).itertuples():
        if isinstance(event.src_ip, str):
            _, network, kind = clients.network(event.src_ip)
            assert (event.network, event.network_class) == (network, kind)
            assert event.network_key == identity.value_key("network", network)
        if isinstance(event.user_agent, str):
            family, version = clients.client(event.user_agent)
            assert event.ua_family == family
            program = f"{family}/{version}" if version else family
            assert event.client_key == identity.value_key("client", program)
        service = event.service if isinstance(event.service, str) else ""
        assert event.operation_key == identity.value_key("operation", f"{service}|{event.operation}")
        named = isinstance(event.resource_uid, str)
        assert event.object_key == (normalise.object_row(event.resource_uid)[0] if named else 0)
        if " /" in event.operation:
            method, route = event.operation.split(" ", 1)
            assert event.activity_id == operations.activity_of_method(method) and event.http_method == method
            assert operations.Routes().template(event.url_path) == route
    assert made["event_key"].is_unique and (made["event_key"] > 0).all()
    kept = edited["event_key"] != 0
    assert (made.loc[kept, "event_key"] == edited.loc[kept, "event_key"]).all()
    names = keys.dimension_rows(made[made["attack"]])
    for dimension, key in {"dim_network": "network_key", "dim_client": "client_key", "dim_operation": "operation_key",
                           "dim_object": "object_key"}.items():  # fmt: skip
        assert set(made.loc[made["attack"], key]) - {0} == set(names[dimension][key].to_pylist())


def test_keys_made_anew_for_real_events_are_those_that_ingest_stored(organisation: Organisation) -> None:
    names = ["network_key", "client_key", "operation_key", "object_key"]
    for own in organisation.tokens[:6]:
        pd.testing.assert_frame_equal(keys.fill_keys(own.assign(**dict.fromkeys(names, 0)), "x")[names], own[names])
        for name, rows in keys.dimension_rows(own).items():
            known = lake.read(organisation.lake, name).to_pandas().set_index(rows.column_names[0])
            found = rows.to_pandas().set_index(rows.column_names[0])
            columns = [c for c in found if c != "activity_id"]
            pd.testing.assert_frame_equal(found[columns], known.loc[found.index, columns], check_dtype=False)


def test_the_key_of_a_new_event_looks_like_any_other(organisation: Organisation) -> None:
    own = organisation.tokens[0]
    edited = scenarios.get("load_test").edit(own, organisation.setting(3000)).events
    fresh = keys.fill_keys(edited, "a")["event_key"][edited["event_key"] == 0]
    other = keys.fill_keys(edited, "b")["event_key"][edited["event_key"] == 0]
    assert not set(fresh) & set(other)
    for some in (fresh, own["event_key"]):  # 63 bits, evenly
        assert abs(float((some / 2**63).mean()) - 0.5) < 0.05 and abs(float((some % 2).mean()) - 0.5) < 0.05


# ---- single claims ----
def test_slow_exfiltration_takes_the_share_that_it_says(organisation: Organisation) -> None:
    one = scenarios.get("slow_exfiltration")
    own = organisation.suited(one)
    usual = own[(own["time"] >= START) & (own["time"] < END) & (own["status_id"] == 1)]["response_bytes"].sum()
    for intensity in one.intensities:
        taken = bytes_taken(own, one.edit(own, organisation.setting(intensity)))
        assert taken / usual == pytest.approx(intensity, rel=0.15)


def test_a_ramp_takes_more_each_week(organisation: Organisation) -> None:
    one = scenarios.get("ramp")
    events = one.edit(organisation.suited(one), organisation.setting(0.05)).events
    week = (events["time"] - START) // (7 * DAY)
    share = events.groupby(week)["excess_bytes"].sum() / events.groupby(week)["response_bytes"].sum()
    assert share[-1] == 0 and 0 < share[0] < share[1]


def test_purpose_creep_leaves_the_volume_as_it_was(organisation: Organisation) -> None:
    one = scenarios.get("purpose_creep")
    own = organisation.suited(one)
    assert rows_more(own, one.edit(own, organisation.setting(0.5))) == 0


def test_enumeration_counts_through_the_numbers(organisation: Organisation) -> None:
    one = scenarios.get("object_enumeration")
    events = one.edit(organisation.suited(one), organisation.setting(50)).events
    theirs = events[events["attack"]]
    numbers = [normalise.object_row(resource)[3] for resource in theirs["resource_uid"]]
    assert (np.diff(np.array(numbers, dtype=float)) == 1).all()
    assert {404} < set(theirs["http_status"].fillna(200)) == {200, 404} and not theirs["is_denied"].any()


def test_probed_scopes_are_refused_and_the_last_call_is_answered(organisation: Organisation) -> None:
    for own in organisation.tokens[:8]:
        events = scenarios.get("scope_probing").edit(own, organisation.setting(10)).events
        theirs = events[events["attack"]]
        assert theirs["is_denied"].tolist() == [True] * 10 + [False]
        assert theirs["operation"].nunique() == 11 and not set(theirs["operation"]) & set(own["operation"])


def test_the_off_schedule_run_is_in_hours_without_any_call(organisation: Organisation) -> None:
    one = scenarios.get("off_schedule")
    own = organisation.suited(one)
    events = one.edit(own, organisation.setting(3)).events
    assert not set(events.loc[events["attack"], "time"].dt.hour) & set(own["time"].dt.hour)


@pytest.mark.parametrize("timezone", ["UTC", "America/Los_Angeles", "Asia/Kolkata"])
def test_used_by_hand_is_in_the_owners_working_hours(organisation: Organisation, timezone: str) -> None:
    one = scenarios.get("used_by_hand")
    own = organisation.suited(one)
    events = one.edit(own, organisation.setting(25, timezone=timezone)).events
    local = events.loc[events["attack"], "time"].dt.tz_convert(timezone)
    assert (local.dt.day_of_week < 5).all() and local.dt.hour.between(9, 18).all()


def test_a_revived_token_was_silent_before(organisation: Organisation) -> None:
    own = organisation.tokens[0]
    events = scenarios.get("dormant_revived").edit(own, organisation.setting(28)).events
    before = events.loc[~events["attack"], "time"]
    assert before.max() < START - 28 * DAY and events["attack"].sum() == 30


def test_an_orphan_changes_the_inventory_alone(organisation: Organisation) -> None:
    edited = scenarios.get("orphan").edit(organisation.tokens[0], organisation.setting(1))
    assert edited.inventory == {"owner_status": "orphaned", "valid_from": START}


def test_a_spent_refresh_token_is_refused_under_its_own_code(organisation: Organisation) -> None:
    one = scenarios.get("refresh_token_reuse")
    events = one.edit(organisation.suited(one), organisation.setting(1)).events
    (theirs,) = events[events["attack"]].to_dict("records")
    assert (theirs["status_code"], theirs["is_denied"]) == ("refresh_token_reused", True)
    assert theirs["operation"].startswith("POST ") and theirs["operation"].endswith("/oauth/token")


@pytest.mark.parametrize("id", ["supply_chain", "invalid_token_storm"])
def test_a_cohort_shares_the_attacker(organisation: Organisation, id: str) -> None:
    one = scenarios.get(id)
    shared = words.shared_traits(organisation.setting(20))
    suited = [own for own in organisation.tokens if one.suits(own)][: one.cohort]
    assert len(suited) == one.cohort == 6
    theirs = []
    for seed, own in enumerate(suited):
        events = one.edit(own, organisation.setting(20, seed, shared=shared)).events
        theirs.append(events[events["attack"]])
    all_of_them = pd.concat(theirs)
    assert all_of_them["network"].nunique() == all_of_them["user_agent"].nunique() == 1
    assert all_of_them["time"].dt.date.nunique() == 1
    if id == "supply_chain":  # the first call is the same in each log's words
        first = [part["operation"].iloc[0] for part in theirs]
        assert len(set(first)) == len({operation.startswith("GET ") for operation in first})


def test_growth_of_a_fifth_a_month_is_that(organisation: Organisation) -> None:
    own = organisation.tokens[0]
    events = scenarios.get("organic_growth").edit(own, organisation.setting(0.4, start=END - 30 * DAY)).events
    after, before = ((frame["time"] >= END - 30 * DAY).sum() for frame in (events, own))
    # the integral of 1.4^t over a month
    assert after / before == pytest.approx(0.4 / np.log(1.4), rel=0.1)


def test_a_clock_shift_moves_each_call_by_one_hour_from_a_midnight_on(organisation: Organisation) -> None:
    own = organisation.tokens[0]
    events = scenarios.get("clock_shift").edit(own, organisation.setting(1)).events.set_index("event_key")
    was = own.set_index("event_key").loc[events.index, "time"]
    moved = was >= START.ceil("D")
    assert set((events["time"] - was)[moved].abs()) == {pd.Timedelta("1h")}
    assert (events["time"] == was)[~moved].all()


def test_a_failover_begins_with_the_next_call_and_lasts_as_long_as_it_says(organisation: Organisation) -> None:
    one = scenarios.get("region_failover")
    own = organisation.suited(one)
    after = own.loc[own["time"] >= START, "time"]
    rest = own[(own["time"] < START) | (own["time"] >= after.min() + pd.Timedelta("9h"))].reset_index(drop=True)
    begun = rest.loc[rest["time"] >= START, "time"].min()
    assert begun >= START + pd.Timedelta("6h"), "the token is not idle for long enough to tell"
    moved = one.edit(rest, organisation.setting(6)).events
    times = moved.loc[(moved["network_key"] == 0) & moved["src_ip"].notna(), "time"]
    assert times.min() == begun and times.max() < begun + pd.Timedelta("6h")


def test_after_an_outage_everything_succeeds(organisation: Organisation) -> None:
    one = scenarios.get("retry_storm")
    own = organisation.suited(one)
    events = one.edit(own, organisation.setting(5)).events
    broken, new = events[events["http_status"] == 503], events[events["event_key"] == 0]
    failed = rows_changed(own, one.edit(own, organisation.setting(5)))
    assert (broken["event_key"] == 0).sum() == 5 * failed and len(new) == 6 * failed


# ---- the poisoned variant ----
@pytest.mark.parametrize("id", ["stolen_token", "slow_exfiltration", "purpose_creep", "bulk_spike"])
def test_a_poisoned_token_is_warmed_a_little_more_each_day(organisation: Organisation, id: str) -> None:
    one = scenarios.get(id)
    own, strong = next(events for events in organisation.tokens if one.suits(events)), one.intensities[-1]
    events = words.with_warm_up(one).edit(own, organisation.setting(strong)).events
    assert list(events) == [*COLUMNS, "attack", "excess_bytes"]
    kept = events.loc[events["event_key"] != 0, "event_key"]
    assert kept.is_unique and set(kept) == set(own["event_key"])
    theirs = events[events["attack"]]
    early = theirs[theirs["time"] < START]
    assert theirs["time"].min() >= START - 14 * DAY and len(early)
    weeks = early.groupby(early["time"] >= START - 7 * DAY)["excess_bytes" if id != "purpose_creep" else "time"]
    first, second = weeks.sum() if id != "purpose_creep" else weeks.count().reindex([False, True], fill_value=0)
    assert first < second
    if id == "stolen_token":
        assert theirs["network"].nunique() == theirs["user_agent"].nunique() == 1
        assert early.groupby(early["time"].dt.date).size().max() <= strong / 4 + 1


@pytest.mark.parametrize("id", ["used_by_hand", "ci_off_runner", "client_swap", "cloned_token"])
def test_who_warms_a_token_up_is_who_attacks_it(organisation: Organisation, id: str) -> None:
    one = scenarios.get(id)
    own = organisation.suited(one)
    events = words.with_warm_up(one).edit(own, organisation.setting(one.intensities[-1])).events
    theirs = events[events["attack"]]
    assert (theirs["time"] < START).any() and (theirs["time"] >= START).any()
    if id != "client_swap":
        assert theirs["network"].nunique() == 1
    if id in ("client_swap", "used_by_hand"):
        assert theirs["user_agent"].nunique() == 1


def test_what_cannot_begin_small_has_no_poisoned_variant() -> None:
    with pytest.raises(InputError, match="dormant_revived cannot begin small"):
        words.with_warm_up(scenarios.get("dormant_revived"))


# ---- any log ----
UNSIZED = ["request_bytes", "response_bytes", "rows"]
POOR = {
    "neither sizes nor services": [*UNSIZED, "service"],
    "nobody and nothing": ["src_ip", "network", "network_class", "network_key", "user_agent", "ua_family", "client_key",
                           "resource_uid", "resource_type", "object_key", "url_path"],
}  # fmt: skip


@pytest.mark.parametrize("lacks", POOR)
@pytest.mark.parametrize("one", scenarios.ALL.values(), ids=list(scenarios.ALL))
def test_a_scenario_works_on_a_log_that_says_little_or_does_not_suit_it(
    organisation: Organisation, one: Scenario, lacks: str
) -> None:
    poor = {name: 0 if name.endswith("_key") else None for name in POOR[lacks]}
    own = words.event_columns(organisation.suited(one).assign(**poor))
    if not one.suits(own):
        return
    made = keys.fill_keys(one.edit(own, organisation.setting(one.intensities[0])).events, "x")
    keys.dimension_rows(made)
    new = made[~made["event_key"].isin(own["event_key"])]
    if "sizes" in lacks:  # what the log never says, the attacker's events do not say either
        assert new[UNSIZED].isna().all().all()


def test_a_log_of_names_is_attacked_in_names(organisation: Organisation) -> None:
    own = organisation.tokens[0].assign(service="billing", operation="get_invoice", url_path=None, http_method=None)
    events = scenarios.get("reconnaissance").edit(own, organisation.setting(15)).events
    theirs = events[events["attack"]]
    assert theirs["operation"].str.fullmatch(r"\w+").all() and theirs["url_path"].isna().all()


def test_times_are_as_fine_as_the_log_has_them(organisation: Organisation) -> None:
    for own in organisation.tokens[:10]:
        events = scenarios.get("stolen_token").edit(own, organisation.setting(40)).events
        whole = not (own["time"].dt.microsecond % 1_000_000).any()
        theirs = events.loc[events["attack"], "time"].dt.microsecond
        assert (theirs % (1_000_000 if whole else 1_000) == 0).all()


def test_events_without_a_column_are_refused_by_name(organisation: Organisation) -> None:
    own = organisation.tokens[0]
    with pytest.raises(InputError, match="events lack rows, count"):
        scenarios.get("stolen_token").edit(own.drop(columns=["rows", "count"]), organisation.setting(10))
    with pytest.raises(InputError, match="the token has no events"):
        scenarios.get("stolen_token").edit(own.iloc[:0], organisation.setting(10))


# ---- the registry ----
def test_there_are_27_attacks_and_12_benign_changes_in_order() -> None:
    assert [one.number for one in scenarios.ATTACKS.values()] == list(range(1, 28))
    assert [one.number for one in scenarios.BENIGN_CHANGES.values()] == list(range(1, 13))
    assert set(CLAIMS) == set(scenarios.ALL) and all(one.how.__doc__ for one in scenarios.ALL.values())


def test_what_should_show_an_attack_is_a_part_of_a_score() -> None:
    parts = {"network", "client", "operation", "hour_of_week", *judged_features(), *BITS}
    parts |= {*signs.UNFAMILIAR, "silence", "foreign_objects"}
    parts |= {f"drift_{name}" for name in (*DriftAmounts.amounts, *DriftRequests.amounts)}
    for one in scenarios.ATTACKS.values():
        assert one.shown_by and set(one.shown_by) <= parts, one.id
        assert one.attack_ids and set(one.unchecked) <= set(one.attack_ids)


def test_intensities_go_from_mild_to_strong() -> None:
    for one in scenarios.ALL.values():
        assert 1 <= len(one.intensities) <= 5 and list(one.intensities) == sorted(set(one.intensities))
        assert one.unit and (one.days is None or one.days > 0)


def test_a_wrong_id_is_met_with_the_one_that_was_meant() -> None:
    with pytest.raises(InputError, match="did you mean stolen_token"):
        scenarios.get("stolen_tokens")


# ---- words ----
@given(st.integers(1, 400), st.floats(0.01, 800), st.integers(0, 2**32))
@settings(max_examples=60)
def test_moments_lie_in_their_hours_by_time_and_begin_with_the_start(n: int, hours: float, seed: int) -> None:
    moments = words.early_times(START, hours, n, np.random.default_rng(seed))
    assert len(moments) == n and moments[0] == START and moments.is_monotonic_increasing
    assert moments[-1] < START + pd.Timedelta(hours=hours)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(st.lists(st.tuples(TEXT, TEXT, st.none() | TEXT, st.ip_addresses()), min_size=1, max_size=8))
@settings(max_examples=60)
def test_hostile_texts_get_the_keys_of_ingest_and_stay_texts(rows: list[tuple[str, str, str | None, object]]) -> None:
    frame = pd.DataFrame({name: [None] * len(rows) for name in COLUMNS})
    frame = frame.assign(time=START, event_key=0, network_key=0, client_key=0, operation_key=0, object_key=0)
    agents, called, resources, addresses = zip(*rows, strict=True)
    ips = [str(ip) for ip in addresses]
    frame = words.event_columns(frame.assign(user_agent=agents, operation=called, resource_uid=resources, src_ip=ips))
    made = keys.fill_keys(frame, "hostile")
    reading = {"address": ips, "user_agent": agents, "resource_uid": resources}
    coded = {name: normalise.Coded.of(values, 256 if name == "user_agent" else 1024)
             for name, values in reading.items()}  # fmt: skip
    data: dict[str, object] = {}
    normalise.network_rows(coded["address"], data)
    normalise.client_rows(coded["user_agent"], data)
    normalise.object_rows(coded["resource_uid"], data)
    for name in ("network_key", "client_key", "object_key"):
        assert made[name].tolist() == data[name].to_pylist()  # type: ignore[attr-defined]
    assert made["user_agent"].tolist() == list(agents) and made["event_key"].is_unique
    pd.testing.assert_frame_equal(keys.fill_keys(made, "hostile"), made)
