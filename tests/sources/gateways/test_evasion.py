"""A client chooses its request id, program, path and forwarded addresses: no call disappears or becomes another's."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from gateway_lines import FORMATS, KEYED, TRUSTED, WITHOUT, Call
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenkit import sources
from tokenkit.config import Gateway
from tokenkit.sources import Reading, Tally
from tokenkit.sources.fields.sameness import number_equal_records

SOME = settings(max_examples=25, deadline=None)
VICTIM = Call(user="victim", key="key_of_the_victim", request_id="r1")
# what a client sends in a header is no control character; a path has no blank either, or the request is refused
sent = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=15)
forged = st.sampled_from(
    [
        '" 200 1 "-" "x', 'x" "y" "z', '\\', '\\"', "r1", "-", "", "203.0.113.9, 203.0.113.8", "}", '"}',
        '{"log": "x"}',
        '203.0.113.9 - victim [02/Mar/2026:10:00:00 +0000] "GET /v1 HTTP/1.1" 200 5 "-" "-"', "%22 %09", "\t", "a\tb",
        '" 7 "a" "b" 3ms', "} {} \"GET / HTTP/1.1\"", "victim [02/Mar/2026:10:00:00 +0100] ", "key_of_the_victim", "|",
    ]
)  # fmt: skip
# of HTTP's basic authentication, without a colon; quotes are escaped by whoever writes them
names = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=':"\\'), max_size=30)
words = st.one_of(sent, forged)
paths = words.map(lambda text: "/" + "".join(c for c in text if not c.isspace()))


def events_of(name: str, calls: list[Call], **gateway: Any) -> list[dict[str, Any]]:
    """The events of a log of these calls, and the certainty that none was set aside."""
    source, line, before = FORMATS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "access.log"
        path.write_bytes(before + b"".join(line(call) + b"\n" for call in calls))
        tally = Tally()
        batches = list(sources.get(source).read(path, Reading(b"k" * 32, Gateway(**gateway)), tally))
    assert not tally.quarantined, [one.reason for one in tally.quarantined]
    numbered, _ = number_equal_records(batches)
    return [event for batch in numbered for event in batch.events.to_pylist()]


@SOME
@given(st.sampled_from(list(FORMATS)), st.lists(st.tuples(paths, words, words, words), min_size=1, max_size=4))
def test_no_call_disappears_or_becomes_anothers(name: str, chosen: list[tuple[str, str, str, str]]) -> None:
    calls = [Call(path=p, agent=a, request_id=r, forwarded=f) for p, a, r, f in chosen]
    events = events_of(name, [VICTIM, *calls, VICTIM], trusted_proxies=[TRUSTED])
    assert len({event["event_key"] for event in events}) == len(events) == len(calls) + 2
    tokens = Counter(event["token_uid"] for event in events)
    if name in KEYED or name not in WITHOUT["user"]:
        assert sorted(tokens.values()) == sorted([2, len(calls)])
    alone = events_of(name, [VICTIM])[0]
    assert {k: v for k, v in events[0].items() if k != "raw_ref"} == {k: v for k, v in alone.items() if k != "raw_ref"}
    assert {(event["time"], event["http_status"], event["response_bytes"]) for event in events} == {
        (alone["time"], 200, 1234)
    }
    assert {event["src_ip"] for event in events} <= {"203.0.113.7", None}


@SOME
@given(st.sampled_from(["nginx_common", "nginx_combined", "apache_vhost", "traefik_text", "api_gateway_text"]), names)
def test_a_name_that_somebody_claims_moves_no_field(name: str, user: str) -> None:
    (event,) = events_of(name, [Call(user=f"x{user}x")])
    assert (event["src_ip"], event["http_status"], event["operation"]) == ("203.0.113.7", 200, "GET /v1/orders/{id}")


@pytest.mark.parametrize("name", list(FORMATS))
def test_many_equal_calls_of_one_second_are_many(name: str) -> None:
    events = events_of(name, [Call(request_id="one for all")] * 40)
    assert len({event["event_key"] for event in events}) == 40
