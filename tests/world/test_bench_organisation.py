"""The bench's organisation: every archetype behaves as its kind does, and what is benign is often new."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tokenkit.sources.fields.sensitive import sensitive_because
from tokenkit.world.archetypes import ARCHETYPES
from tokenkit.world.bench_organisation import bench_mean_requests, bench_organisation
from tokenkit.world.benign_changes import DailyVariation, daily_variation
from tokenkit.world.catalogue import ENDPOINTS
from tokenkit.world.draws import network_of
from tokenkit.world.organisation import DAY, Token
from tokenkit.world.traffic import position_in_mix, request_times, token_requests

BENCH: dict[str, Any] = {"tokens": 63, "days": 70, "start": date(2026, 1, 5), "seed": 3}


class Bench:
    """The bench's organisation and the requests of its tokens, by number."""

    def __init__(self, events_per_token: float = 2_000.0) -> None:
        self.org, self.entries = bench_organisation(**BENCH)
        self.rows = []
        for token, mean in zip(self.org.tokens, bench_mean_requests(self.org, events_per_token), strict=True):
            self.rows.append(token_requests(token, self.org, mean, daily_variation(token, self.org)))
        self.asked = events_per_token * len(self.rows)

    def of(self, archetype: str) -> list[tuple[Token, Any]]:
        """Its tokens of an archetype that were used, with their requests."""
        pairs = zip(self.org.tokens, self.rows, strict=True)
        return [(token, rows) for token, rows in pairs if token.job.archetype == archetype and len(rows)]

    def day(self, rows: Any) -> Any:
        return (rows["time"] - self.org.begin) // DAY

    def calls(self, rows: Any) -> list[str]:
        return [ENDPOINTS[i] for i in rows["endpoint"].tolist()]


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def test_a_few_tokens_of_the_bench_have_all_archetypes(bench):
    first = {token.job.archetype for token in bench.org.tokens[:20]}
    assert first == {"cron", "webhook", "ci", "mobile", "partner", "human", "llm", "dormant"} == set(ARCHETYPES)


def test_the_bench_has_about_the_events_it_was_asked_for(bench):
    assert sum(map(len, bench.rows)) == pytest.approx(bench.asked, rel=0.25)  # three tokens a job, heavy-tailed
    org, _ = bench_organisation(1000, 90, date(2026, 1, 5), 0)
    assert sum(bench_mean_requests(org, 20_500)) == pytest.approx(1000 * 20_500 * 1.04, rel=0.04)


def test_a_rule_on_new_networks_alone_would_drown(bench):
    found = 0
    for rows in bench.rows:
        networks = np.array([network_of(address) for address in bench.org.addresses], object)[rows["address"]]
        seen = pd.DataFrame({"day": bench.day(rows), "network": networks}).groupby("network")["day"].min()
        found += seen[seen >= 42].nunique()  # days of a token with a network it never had
    alarms = found / (BENCH["days"] - 42) / len(bench.rows) * 1000
    assert alarms > 20 * 5  # the budget is five incidents a day for each 1,000 profiles


def test_telephones_share_the_pools_of_their_carriers(bench):
    busy = [pair for pair in bench.of("mobile") if len(pair[1]) > 500]
    zone = Counter(token.timezone for token, _ in busy).most_common(1)[0][0]
    one, other, *_ = [rows for token, rows in busy if token.timezone == zone]
    networks = [{network_of(bench.org.addresses[i]) for i in np.unique(rows["address"])} for rows in (one, other)]
    assert min(map(len, networks)) > 200
    assert len(networks[0] & networks[1]) > 20


def test_an_endpoint_follows_from_the_one_before(bench):
    _, rows = max(bench.of("webhook"), key=lambda pair: len(pair[1]))
    soon = np.diff(rows["time"]) < 600_000
    first, then = rows["endpoint"][:-1][soon], rows["endpoint"][1:][soon]

    def told(first: Any, then: Any) -> float:
        """Mutual information, bits."""
        share = pd.crosstab(first, then, normalize=True).to_numpy()
        alone = share.sum(axis=1, keepdims=True) * share.sum(axis=0, keepdims=True)
        return float((share[share > 0] * np.log2((share / alone)[share > 0])).sum())

    assert told(first, then) > 5 * told(first, np.random.default_rng(0).permutation(then)) + 0.1


def test_a_chain_keeps_the_mix_of_the_job(bench):
    _, rows = max(bench.of("webhook"), key=lambda pair: len(pair[1]))
    where = position_in_mix(np.random.default_rng(0), bench.org.tokens[int(rows["token"][0])], bench.org, rows)
    assert np.histogram(where, 10, (0, 1))[0] / len(rows) == pytest.approx([0.1] * 10, abs=0.03)


def test_people_rest_on_the_public_holidays_of_their_own_country(bench):
    days = bench.org.around.holidays["America/New_York"]
    assert [bench.org.start + timedelta(days=day) for day in days] == [date(2026, 1, 19), date(2026, 2, 16)]
    token, _ = bench.of("human")[0]
    token = replace(token, timezone="America/New_York")
    hours, _ = request_times(np.random.default_rng(1), token, bench.org, 20_000, calm(bench))
    used = np.bincount(hours // 24, minlength=BENCH["days"])
    assert max(used[days]) < 0.2 * used[days[0] + 1]
    elsewhere = request_times(
        np.random.default_rng(1), replace(token, timezone="Europe/Lisbon"), bench.org, 20_000, calm(bench)
    )
    assert min(np.bincount(elsewhere[0] // 24)[days]) > 0.3 * used[days[0] + 1]


def test_the_day_of_a_token_follows_daylight_saving(bench):
    token = replace(bench.of("webhook")[0][0], timezone="America/New_York")
    hours, _ = request_times(np.random.default_rng(1), token, bench.org, 200_000, calm(bench))
    change = (date(2026, 3, 8) - bench.org.start).days  # clocks go forward: the same local hour is an hour earlier
    clock = np.exp(2j * np.pi * hours / 24)
    before, after = (clock[(hours // 24 >= day) & (hours // 24 < day + 7)].sum() for day in (change - 7, change + 1))
    assert np.angle(before / after) * 24 / (2 * np.pi) == pytest.approx(1, abs=0.4)


def calm(bench: Bench) -> DailyVariation:
    return DailyVariation(np.ones(BENCH["days"]), np.ones(BENCH["days"]), [])


def test_sensitive_calls_are_the_daily_work_of_some_tokens(bench):
    shares = []
    for rows in bench.rows:
        sensitive = [sensitive_because(name.split(" ")[1] if name[0].islower() else name) is not None
                     for name in bench.calls(rows)]  # fmt: skip
        shares.append(np.mean(sensitive) if sensitive else 0.0)
    assert np.mean(np.array(shares) > 0) > 0.2
    assert np.mean(np.array(shares) > 0.1) > 0.08


def test_a_language_model_answers_long_prompts_at_length_and_while_it_speaks(bench):
    _, rows = max(bench.of("llm"), key=lambda pair: len(pair[1]))
    chats = rows[(np.array(bench.calls(rows)) == "POST /v1/chat/completions") & (rows["status"] == 200)]
    assert np.corrcoef(np.log(chats["received"]), np.log(chats["sent"]))[0, 1] > 0.3
    assert np.corrcoef(chats["latency"], chats["sent"])[0, 1] > 0.9


def test_a_dormant_token_is_used_on_few_days(bench):
    used = [np.unique(bench.day(rows)) for _, rows in bench.of("dormant")]
    assert used
    assert all(len(days) <= 7 for days in used)


def test_for_an_hour_a_deploy_brings_errors_and_then_another_version(bench):
    rates, versions = [], 0
    for token, rows in zip(bench.org.tokens, bench.rows, strict=True):
        hours, hour = bench.org.around.deploys[token.job.purpose], (rows["time"] - bench.org.begin) // 3_600_000
        failed = rows["status"] >= 400
        during = np.isin(hour, hours)
        rates.append([failed[during].sum(), during.sum(), failed[~during].sum(), (~during).sum()])
        agents = [bench.org.clients[i] for i in np.unique(rows["client"])]
        versions += sum(agent.startswith(f"{token.job.slug}/") for agent in agents) > 2
    failed, n, others, m = np.sum(rates, axis=0)
    assert n > 100
    assert failed / n > 2 * others / m
    assert versions > 0


def test_keys_are_replaced_and_owners_leave_in_the_bench_too(bench):
    kinds = Counter(note["kind"] for note in bench.entries)
    assert {"rotation", "egress_change", "deploy", "public_holiday", "sdk_release", "outage"} <= kinds.keys()
    for note in bench.entries:
        if note["kind"] == "rotation":
            (token,) = [token for token in bench.org.tokens if token.native_id == note["native_ids"][0]]
            assert token.rotated_id == note["native_ids"][1]
