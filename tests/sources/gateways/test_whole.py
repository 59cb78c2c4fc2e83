"""What is read from many lines at once is what would be read from each line by itself."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateway_lines import FORMATS, TRUSTED, Call
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenkit import sources
from tokenkit.config import Gateway
from tokenkit.sources import Reading, Tally
from tokenkit.sources.gateways import whole

SOME = settings(max_examples=40, deadline=None)
AT_ONCE = [n for n in FORMATS if n.startswith(("nginx", "apache")) or n.endswith("_json")]
texts = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.sampled_from(
        ["-", "", '"', "\\", "a b", "key_0123456789ab", "/v1/orders/17", "[", "203.0.113.9", "\ufeff", "1"]
    ),
)
changes = st.fixed_dictionaries(
    {}, optional={"path": texts.map(lambda t: f"/{t}"), "agent": texts, "forwarded": texts, "request_id": texts,
                  "user": texts.map(lambda t: t.replace(":", "")),
                  "method": st.sampled_from(["GET", "post", "<X>", ""]),
                  "status": st.sampled_from([0, -1, 200, 401, 999]), "answered": st.integers(-1, 1 << 60),
                  "peer": st.sampled_from([TRUSTED, "2001:db8::1", "unix:", "-"])},
)  # fmt: skip
damage = st.sampled_from(
    [b"", b"x", b'"', b"\\", b"\r", b"\0", b"{}", b"[]", b"}", b'{"a": {}', b"\xff", b" ", b"\t", b"null", b"007"]
)


def read(content: bytes, name: str, **gateway: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """Events and what is set aside, each in the order of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "access.log"
        path.write_bytes(content)
        tally = Tally()
        batches = list(sources.get(name).read(path, Reading(b"k" * 32, Gateway(**gateway)), tally))
    events = [event for batch in batches for event in batch.events.to_pylist()]
    for event in events:
        event["raw_ref"] = event["raw_ref"].rpartition("#")[2]
    handles = {
        row["token_uid"]: row["enforce_handle"] for b in batches for row in b.dimensions["dim_token"].to_pylist()
    }
    assert tally.read == len(events) + len(tally.quarantined)
    placed = sorted(tally.quarantined, key=lambda one: one.place)
    return sorted(events, key=lambda event: int(event["raw_ref"])), [placed, handles]


def nothing_at_once(lines: list[bytes], *_: Any) -> tuple[None, np.ndarray]:
    return None, np.zeros(len(lines), dtype=bool)


@SOME
@given(st.sampled_from(AT_ONCE), st.lists(changes, min_size=1, max_size=5), st.booleans(),
       st.lists(st.tuples(st.integers(0, 4), st.integers(0, 400), damage), max_size=2))  # fmt: skip
def test_lines_at_once_give_what_each_line_gives(
    name: str, called: list[dict[str, Any]], behind: bool, damaged: list[tuple[int, int, bytes]]
) -> None:
    source, line, _ = FORMATS[name]
    lines = [line(Call(**{"agent": "curl/8.5.0", **change})) for change in called]
    for number, at, piece in damaged:
        whole_line = lines[number % len(lines)]
        lines[number % len(lines)] = (
            whole_line[: at % (len(whole_line) + 1)] + piece + whole_line[at % len(whole_line) :]
        )
    content = b"\n".join(lines)
    settings = {"trusted_proxies": [TRUSTED]} if behind else {}
    at_once = read(content, source, **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "read", nothing_at_once)
        assert at_once == read(content, source, **settings)


ODD = [None, {}, [], [None], "text", 7, True, ["203.0.113.9", "203.0.113.8"], [{"id": "a"}], {"headers": None}]


@SOME
@given(st.sampled_from(["kong_json", "caddy_json", "api_gateway_json"]), st.data())
def test_objects_of_any_shape_give_what_each_line_gives(name: str, data: st.DataObject) -> None:
    source, line, _ = FORMATS[name]
    records = [json.loads(line(Call(forwarded="203.0.113.5", path=f"/v1/{n}"))) for n in range(3)]
    at = data.draw(st.integers(0, 2))
    inside = records[at].get("request", records[at])
    place = data.draw(st.sampled_from([p for p in (records[at], inside, inside.get("headers")) if p]))
    key = data.draw(st.sampled_from([*place, "request.id", "request.headers.X-Request-Id", "identity", "authorizer"]))
    place[key] = data.draw(st.sampled_from(ODD))
    content = b"\n".join(json.dumps(record).encode() for record in records)
    settings = {"trusted_proxies": [TRUSTED]} if data.draw(st.booleans()) else {}
    at_once = read(content, source, **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "read", nothing_at_once)
        assert at_once == read(content, source, **settings)


@pytest.mark.parametrize("name", [n for n in AT_ONCE if n not in ("nginx_common", "apache_vhost")])
def test_usual_lines_are_read_at_once(name: str) -> None:
    source, line, _ = FORMATS[name]
    profile = next(p for p in sources.gateways.PROFILES if p.name == source)
    calls, taken = whole.read([line(Call(path=f"/v1/{n}")) for n in range(10)], profile, Reading(b"k"))
    assert calls is not None and taken.all() and len(calls.path) == 10


def test_an_odd_line_sends_its_slice_alone_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "SLICE", 3)
    source, line, _ = FORMATS["nginx_combined"]
    profile = next(p for p in sources.gateways.PROFILES if p.name == source)
    lines = [line(Call(agent="\\" if n == 4 else "curl/8.5.0")) for n in range(9)]
    _, taken = whole.read(lines, profile, Reading(b"k"))
    assert taken.tolist() == [True] * 3 + [False] * 3 + [True] * 3


@pytest.mark.parametrize("name", AT_ONCE)
def test_calls_of_which_no_address_is_known_are_read(name: str) -> None:
    source, line, _ = FORMATS[name]
    calls = [Call(peer="-"), Call(), Call(peer="-")]
    events, _ = read(b"\n".join(map(line, calls)), source, trusted_proxies=[TRUSTED])
    assert [event["src_ip"] for event in events if event["src_ip"]] == ["203.0.113.7"]
    assert len(events) == 1 or events[1]["src_ip"] == "203.0.113.7"


def test_a_field_that_the_first_line_lacks_is_not_lost() -> None:
    records = [json.loads(FORMATS["nginx_json"][1](Call())) for _ in range(3)]
    del records[0]["remote_user"]
    events, _ = read(b"\n".join(json.dumps(record).encode() for record in records), "nginx")
    assert [event["principal_uid"] for event in events] == [None, "ana", "ana"]
