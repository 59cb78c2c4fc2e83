"""What a card tells of an incident's calls: values with their past, who else uses them, examples, calls by hour."""

from pathlib import Path

import pandas as pd
import pytest
import raw_logs
from raw_logs import moment, nginx

from tokenkit.judge import calls
from tokenkit.judge.calls import Calls
from tokenkit.store import engine, lake

MINE, PEER, OTHER = "key_0123456789ab", "key_peer_4567890", "key_other_456789"
KNOWN, NEW, ELSEWHERE = "203.0.113.7", "198.51.100.9", "192.0.2.1"
INCIDENT = (moment(6, 12), moment(6, 14))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Calls]:
    """Of an incident at noon of day 6 of a token with a peer, and of one in which the third token made no call."""
    folder = tmp_path_factory.mktemp("calls")
    place = raw_logs.workspace(folder / "w")
    lines = [nginx(f"m{d}", moment(d, 12), api_key_id=MINE) for d in (2, 3)]  # two calls before, from the known place
    lines += [nginx(f"p{d}", moment(d, 9), api_key_id=PEER, remote_addr=NEW) for d in (4, 8)]
    lines += [nginx("o1", moment(4, 10), api_key_id=OTHER, remote_addr=ELSEWHERE)]
    lines += [nginx("early", moment(6, 11, 59), api_key_id=MINE, remote_addr=ELSEWHERE)]  # the minute before it
    lines += [nginx(f"k{n}", moment(6, 12, n), api_key_id=MINE) for n in range(30)]
    lines += [nginx(f"n{n}", moment(6, 13, n), api_key_id=MINE, remote_addr=NEW, status=403) for n in range(3)]
    lines += [nginx("late", moment(6, 14), api_key_id=MINE, remote_addr=ELSEWHERE)]  # its end is not of it
    raw_logs.form(place, raw_logs.write(folder / "a.log", lines))
    tokens = lake.read(place.lake, "dim_token").to_pandas()[["token_key", "token_uid"]]
    tokens = tokens.rename(columns={"token_uid": "profile_uid"})
    uid = {key: profile_of(place.lake, key) for key in (MINE, PEER, OTHER)}
    groups = pd.Series({uid[MINE]: 1, uid[PEER]: 1})  # the third is compared with nobody
    start, end = (pd.Timestamp(t) for t in INCIDENT)
    incidents = pd.DataFrame(
        [{"profile_uid": who, "start": start, "end": end, "chart_start": start.normalize(), "chart_end": end}
         for who in (uid[MINE], uid[OTHER])]
    )  # fmt: skip
    with engine.connect(place.settings.engine, place.scratch) as connection:
        return calls.calls_of(connection, place, raw_logs.periods(5, 9, calibration=False), incidents, tokens, groups)


def profile_of(root: Path, key: str) -> str:
    """The profile of a key, by a moment at which it alone was used."""
    events = lake.read(root, "events").to_pandas()
    moments = {MINE: moment(2, 12), PEER: moment(8, 9), OTHER: moment(4, 10)}
    return str(events.loc[events["time"] == moments[key], "token_uid"].item())


def test_a_value_has_its_calls_now_and_before_and_the_newest_come_first(found: list[Calls]) -> None:
    networks = found[0].values["network"]
    assert networks["value"].tolist() == ["198.51.100.0/24", "203.0.113.0/24"]
    assert networks[["now", "before", "hours_before"]].to_numpy().tolist() == [[3, 0, 0], [30, 2, 2]]
    assert len(found[0].values["client"]) == len(found[0].values["operation"]) == 1


def test_who_else_uses_a_value_counts_peers_that_used_it_before(found: list[Calls]) -> None:
    new, _ = found[0].values["network"]["key"]
    assert found[0].users["network"] == {new: 1}, "of the known place nobody else has made a call"
    (client,) = found[0].values["client"]["key"]
    assert found[0].users["client"] == {client: 1}, "the token of another group is no peer"


def test_examples_are_calls_of_the_incident_and_those_with_new_values_come_first(found: list[Calls]) -> None:
    assert found[0].total == 33 and found[0].last == pd.Timestamp(moment(6, 13, 2))
    examples = found[0].examples
    assert len(examples) == calls.EXAMPLES and examples["time"].is_monotonic_increasing
    assert (examples["src"] == NEW).sum() == 3 and set(examples["src"]) == {KNOWN, NEW}
    assert set(examples.loc[examples["src"] == NEW, "status_code"]) == {"403"}


def test_the_chart_has_the_calls_by_hour_of_its_own_span(found: list[Calls]) -> None:
    by_hour = {pd.Timestamp(second, unit="s").hour: count for second, count in found[0].hours.items()}
    assert by_hour == {11: 1, 12: 30, 13: 3}


def test_what_was_called_before_is_counted_up_to_its_first_day(found: list[Calls]) -> None:
    assert found[0].before["calls"].tolist() == [2], "not the calls of the incident's own day"
    assert found[0].before["operation"].item() == found[0].values["operation"]["value"].item()


def test_an_incident_without_a_call_has_nothing_to_tell(found: list[Calls]) -> None:
    nothing = found[1]
    assert nothing.total == 0 and nothing.last is None and nothing.examples.empty and nothing.hours.empty
    assert all(rows.empty for rows in nothing.values.values()) and not any(nothing.users.values())
