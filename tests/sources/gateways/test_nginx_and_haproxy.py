"""What becomes of the lines of a gateway."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from tokenkit import config, identity, schema, sources
from tokenkit.sources import Quarantined, files

KEY = b"k" * 32
READING = sources.Reading(KEY)


def nginx(**fields: Any) -> dict[str, Any]:
    return {
        "request_id": "r1",
        "msec": 1772360430.123,
        "remote_addr": "203.0.113.7",
        "request_method": "GET",
        "uri": "/v1/orders/17",
        "status": 200,
        "bytes_sent": 1234,
        "request_length": 321,
        "request_time": 0.25,
        "http_user_agent": "python-requests/2.31.0",
        "api_key_id": "key_0123456789ab",
    } | fields


def haproxy(**fields: Any) -> dict[str, Any]:
    return {
        "ts_ms": 1772360430123,
        "key_hmac": "76ca9a91aee79028ae4f8b19bb56b17db41ca150f4f6a659fc9b8f37427779ff",
        "action": "allow",
        "src_ip": "203.0.113.7",
        "method": "GET",
        "path": "/v1/orders/17",
        "status": 200,
        "bytes_out": 1234,
        "bytes_in": 321,
        "latency_ms": 250,
        "ua": "python-requests/2.31.0",
    } | fields


def read_bytes(
    folder: Path, content: bytes, source: str = "nginx", reading: sources.Reading = READING
) -> tuple[pd.DataFrame, sources.Tally, list[sources.Batch]]:
    path = folder / "access.log"
    path.write_bytes(content)
    tally = sources.Tally()
    batches = list(sources.get(source).read(path, reading, tally))
    events = pa.concat_tables([b.events for b in batches]) if batches else schema.empty("events")
    assert tally.read == events.num_rows + sum(tally.ignored.values()) + len(tally.quarantined)
    assert events.schema.equals(schema.EVENTS.arrow)
    return events.to_pandas(), tally, batches


@pytest.fixture
def read(tmp_path: Path):
    def of(
        *records: Any, source: str = "nginx", **gateway: Any
    ) -> tuple[pd.DataFrame, sources.Tally, list[sources.Batch]]:
        content = b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in records) + b"\n"
        return read_bytes(tmp_path, content, source, sources.Reading(KEY, config.Gateway(**gateway)))

    return of


@pytest.mark.parametrize(("source", "line"), [("nginx", nginx()), ("haproxy", haproxy())])
def test_both_profiles_give_the_same_event(read, source: str, line: dict[str, Any]) -> None:
    events, tally, batches = read(line, source=source)
    e = events.iloc[0]
    native = line.get("api_key_id") or line["key_hmac"]
    assert (tally.read, tally.quarantined) == (1, [])
    assert e["time"] == pd.Timestamp("2026-03-01 10:20:30.123", tz="UTC")
    assert e["token_uid"] == identity.token_uid(KEY, "gateway:default", native)
    assert (e["token_kind"], e["token_lifetime"], e["token_type_id"]) == ("api_key", "long_lived", 7)
    assert (e["operation"], e["url_path"], e["http_method"], e["activity_id"]) == (
        "GET /v1/orders/{id}",
        "/v1/orders/17",
        "GET",
        2,
    )
    assert e["resource_uid"] == "/v1/orders/17"
    assert (e["response_bytes"], e["request_bytes"], e["duration_ms"]) == (1234, 321, 250.0)
    assert (e["http_status"], e["status_id"], e["is_denied"]) == (200, 1, False)
    assert (e["network"], e["ua_family"]) == ("203.0.113.0/24", "python-requests")
    token = batches[0].dimensions["dim_token"].to_pandas().iloc[0]
    assert token["issuer"] == "gateway:default" and token["mask"] == identity.mask(native)
    assert batches[0].dimensions["dim_object"].to_pandas()["number"].tolist() == [17]


def test_one_key_seen_through_two_gateways_is_one_token(read) -> None:
    a, _, _ = read(nginx(api_key_id="k1"))
    b, _, _ = read(haproxy(key_hmac="k1"), source="haproxy")
    assert a["token_key"].tolist() == b["token_key"].tolist()
    assert a["operation_key"].tolist() == b["operation_key"].tolist()


def test_the_key_is_the_first_field_of_the_settings_that_says_something(read) -> None:
    lines = [
        nginx(a="x1", b="y"),
        nginx(a="-", b="y"),
        nginx(a="", b="y"),
        nginx(a=None, b="y"),
        nginx(b=7),
        nginx(a="-"),
    ]
    events, _, _ = read(
        *(line | {"request_id": str(i)} for i, line in enumerate(lines)), key_fields=["a", "b"], realm="eu"
    )
    expected = [identity.token_uid(KEY, "gateway:eu", n) if n else "" for n in ("x1", "y", "y", "y", "7", None)]
    assert events["token_uid"].tolist() == expected
    assert events["token_kind"].tolist() == ["api_key"] * 5 + ["none"]
    assert (events["token_key"] == 0).tolist() == [False] * 5 + [True]


def test_a_user_without_a_key_is_a_principal(read) -> None:
    events, _, _ = read(nginx(api_key_id="-", remote_user="ana"))
    assert events["token_kind"][0] == "principal" and events["principal_uid"][0] == "ana"
    assert events["token_uid"][0] == identity.token_uid(KEY, "gateway:default", "ana")


@pytest.mark.parametrize(
    ("status", "status_id", "denied"),
    [
        (200, 1, False),
        (304, 1, False),
        (401, 2, True),
        (403, 2, True),
        ("403", 2, True),
        (404, 2, False),
        (429, 2, False),
        (503, 2, False),
        (-1, 0, False),
        (0, 0, False),
        ("-", 0, False),
    ],
)
def test_a_status_is_success_refusal_failure_or_unknown(read, status: Any, status_id: int, denied: bool) -> None:
    events, tally, _ = read(nginx(status=status))
    assert (events["status_id"][0], events["is_denied"][0]) == (status_id, denied) and not tally.quarantined


def test_numbers_may_be_text_and_a_duration_of_minus_one_is_none(read) -> None:
    events, _, _ = read(
        nginx(msec="1772360430.123", bytes_sent="12", request_length="3", request_time="-", status="200"),
        nginx(request_id="2", request_time=-1),
    )
    assert events["time"][0] == events["time"][1]
    assert events["response_bytes"].tolist() == [12, 1234] and events["duration_ms"].isna().all()


def test_whole_and_broken_seconds_may_stand_in_one_file(read) -> None:
    events, _, _ = read(nginx(msec=1772360430), nginx(request_id="2", msec=1772360430.5))
    assert events["time"].dt.strftime("%S.%f").tolist() == ["30.000000", "30.500000"]


def test_a_refusal_by_the_proxy_is_an_event(read) -> None:
    events, _, _ = read(haproxy(action="deny", status=403), source="haproxy")
    assert events["is_denied"].tolist() == [True]


def test_lines_have_one_key_where_they_are_equal_in_all_that_they_say(read) -> None:
    for more in ({}, {"unique_id": "of the client"}):
        lines = [haproxy(**more), haproxy(**more), haproxy(bytes_out=1, **more)]
        events, _, batches = read(*lines, source="haproxy")
        assert events["event_key"].nunique() == 2 and batches[0].by_content.all()


def test_a_line_without_an_id_keeps_the_key_that_earlier_versions_gave_it(read) -> None:
    line = json.dumps(haproxy()).encode()
    events, _, _ = read(line, source="haproxy")
    digest = hashlib.sha256(line).hexdigest()
    assert events["event_uid"].tolist() == [digest]
    assert events["event_key"].tolist() == [identity.value_key("event", f"haproxy|{digest}")]


def test_a_declared_request_id_is_the_key_alone(read) -> None:
    lines = [nginx(), nginx(bytes_sent=1), nginx(request_id="r2"), nginx(request_id="-")]
    events, _, batches = read(*lines, unique_ids=True)
    assert events["event_key"].nunique() == 3 and batches[0].by_content.tolist() == [False, False, False, True]
    assert events["event_key"][0] == identity.value_key("event", "nginx|r1")


@pytest.mark.parametrize(
    ("path", "route", "stored"),
    [
        ("/v1/orders?token=abc", "/v1/orders", "/v1/orders"),
        ("/v1/orders%3Ftoken=abc", "/v1/orders", "/v1/orders"),
        ("/v1/orders%253Ftoken=abc", "/v1/orders", "/v1/orders"),
        ("/v1/orders#abc", "/v1/orders", "/v1/orders"),
        ("/v1/orders;jsessionid=abc/17", "/v1/orders/{id}", "/v1/orders/17"),
        ("https://u:abc@api.example/v1/orders?x", "/v1/orders", "/v1/orders"),
        ("/v2/users/ana%40example.com", "/v2/users/{id}", "/v2/users/ana@example.com"),
        ("/u/550e8400-e29b-41d4-a716-446655440000/x", "/u/{id}/x", "/u/550e8400-e29b-41d4-a716-446655440000/x"),
        ("/r/" + "a/" * 20, "/r/a/a/a/a/a/a/a/...", "/r/" + "a/" * 20),
        ("", "/", "/"),
        ("*", "/*", "*"),
    ],
)
def test_a_path_loses_its_query_and_its_route_loses_its_ids(read, path: str, route: str, stored: str) -> None:
    events, _, batches = read(nginx(uri=path))
    assert (events["operation"][0], events["url_path"][0]) == (f"GET {route}", stored)
    assert "abc" not in events.to_csv() + "".join(d.to_pandas().to_csv() for d in batches[0].dimensions.values())
    assert pd.isna(events["resource_uid"][0]) == ("{id}" not in route)


def test_invented_methods_are_one_method(read) -> None:
    events, _, _ = read(nginx(request_method="<BADREQ>"), nginx(request_id="2", request_method=None))
    assert events["http_method"].tolist() == ["OTHER", "OTHER"] and events["activity_id"].tolist() == [99, 99]


def test_a_secret_is_stored_nowhere(read) -> None:
    token = "sk_live_" + "a1B2c3D4" * 4
    events, _, batches = read(
        nginx(
            uri=f"/v1/hook/{token}/x?key={token}",
            http_user_agent=f"tool/1 key={token}",
            authorization=f"Bearer {token}",
            headers={"x-api-key": token},
            request_id=f"id-{token}",
            remote_addr=token,
            remote_user=token,
            api_key_id=token,
        )
    )
    assert token not in events.to_csv() + "".join(d.to_pandas().to_csv() for d in batches[0].dimensions.values())
    assert events["operation"][0] == "GET /v1/hook/{id}/x"
    assert batches[0].dimensions["dim_token"]["mask"].to_pylist() == ["sk_..."]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b'{"msec": ', "the line is not JSON"),
        (b"[1]", "the line is not an object"),
        (b"[" * 100_000, "the line is nested too deep"),
        (nginx(msec=None), "msec is missing, expected a time"),
        (nginx(msec=True), "msec is true or false, expected a time"),
        (nginx(msec=17), "msec is not between 2000 and 2100"),
        (nginx(msec=1e300), "msec is not between 2000 and 2100"),
        (nginx(msec="soon"), "msec is not a time"),
        (nginx(http_user_agent=["secret-content"]), "http_user_agent is a list, expected text"),
        (nginx(api_key_id={"secret-content": 1}), "api_key_id is an object, expected text or a number"),
        (nginx(bytes_sent=-5), "bytes_sent is out of range"),
        (nginx(bytes_sent="secret-content"), "bytes_sent is text, expected a number"),
        (nginx(uri=None, request_method=None), "uri is missing"),
    ],
)
def test_a_broken_line_is_quarantined_and_its_neighbours_are_kept(read, broken: Any, reason: str) -> None:
    events, tally, _ = read(nginx(request_id="before"), broken, nginx(request_id="after"))
    assert events["event_uid"].tolist() == ["before", "after"]
    raw = broken if isinstance(broken, bytes) else json.dumps(broken).encode()
    assert tally.quarantined == [Quarantined.of("line 2", raw, reason)]
    assert [ref.rsplit("#")[1] for ref in events["raw_ref"]] == ["1", "3"]


def test_blank_lines_are_no_lines_and_keep_the_count_of_lines(tmp_path: Path) -> None:
    line = json.dumps(nginx()).encode()
    events, tally, _ = read_bytes(tmp_path, b"\n  \r\n" + line + b"\r\n\r\nbroken\n" + line)
    assert len(events) == 2 and tally.read == 3
    assert [b.place for b in tally.quarantined] == ["line 5"]


def test_of_a_half_written_gzip_every_whole_line_is_kept_and_the_rest_is_one_piece(tmp_path: Path) -> None:
    packed = gzip.compress(
        b"".join(json.dumps(nginx(request_id=f"{i * 7919:x}")).encode() + b"\n" for i in range(5000))
    )
    events, tally, _ = read_bytes(tmp_path, packed[: len(packed) // 2])
    assert 1000 < len(events) < 4000
    (one,) = tally.quarantined
    assert one.place == f"line {len(events) + 1}" and "cut off" in one.reason


def test_a_damaged_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    packed = bytearray(
        gzip.compress(b"".join(json.dumps(nginx(request_id=f"{i * 7919:x}")).encode() + b"\n" for i in range(9000)))
    )
    packed[-1000:-900] = bytes(100)
    events, tally, _ = read_bytes(tmp_path, bytes(packed))
    assert len(events) > 1000 and len(tally.quarantined) >= 1


def test_batches_do_not_change_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"".join(json.dumps(nginx(request_id=str(i), uri=f"/v1/a/{i}")).encode() + b"\n" for i in range(1000))
    whole, _, _ = read_bytes(tmp_path, content)
    monkeypatch.setattr("tokenkit.sources.gateways.reader.BATCH", 7)
    monkeypatch.setattr(files, "BLOCK", 100)
    parts, _, batches = read_bytes(tmp_path, content)
    assert len(batches) > 100
    pd.testing.assert_frame_equal(whole, parts)


def test_a_line_without_end_is_given_up_and_the_next_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE", 10_000)
    monkeypatch.setattr(files, "BLOCK", 1_000)
    line = json.dumps(nginx()).encode()
    events, tally, _ = read_bytes(tmp_path, line + b"\n" + b"x" * 50_000 + b"\n" + line + b"\nbroken\n")
    assert len(events) == 2
    assert {(b.place, b.reason[:11]) for b in tally.quarantined} == {
        ("line 2", "longer than"),
        ("line 4", "the line is"),
    }


# ---- the names that NGINX logs have for what was asked for ----
def put(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / "a.log"
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    return path


def test_the_requested_path_counts_and_not_what_a_rewrite_made_of_it(tmp_path: Path) -> None:
    paths = ["/v1/orders/17?x=1", "/v1/customers", "/admin/keys"]
    lines = [nginx(request_id=f"r{i}", uri="/index.php", request_uri=path) for i, path in enumerate(paths)]
    (batch,) = sources.get("nginx").read(put(tmp_path, *lines), READING, sources.Tally())
    assert batch.events["operation"].to_pylist() == ["GET /v1/orders/{id}", "GET /v1/customers", "GET /admin/keys"]
    assert batch.events["url_path"].to_pylist() == ["/v1/orders/17", "/v1/customers", "/admin/keys"]


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /v1/orders/17?x=1 HTTP/1.1", ("GET /v1/orders/{id}", "/v1/orders/17")),
        ("delete /v1/orders HTTP/2.0", ("DELETE /v1/orders", "/v1/orders")),
        ("GET /a b HTTP/1.1", ("GET /a b", "/a b")),
        ("GET /v1/orders", ("GET /v1/orders", "/v1/orders")),
    ],
)
def test_a_request_in_one_field_is_method_and_path(
    tmp_path: Path, request_line: str, expected: tuple[str, str]
) -> None:
    line = nginx(request=request_line, time_local="02/Mar/2026:11:00:00 +0100")
    for name in ("uri", "request_method", "msec"):
        del line[name]
    path = put(tmp_path, line, line | {"request": "-", "request_id": "r2"})
    found = sources.recognise(path)
    assert found is not None and found.name == "nginx"
    tally = sources.Tally()
    (batch,) = found.read(path, READING, tally)
    (event,) = batch.events.to_pylist()
    assert (event["operation"], event["url_path"]) == expected
    assert event["time"].isoformat() == "2026-03-02T10:00:00+00:00"
    assert [q.place for q in tally.quarantined] == ["line 2"], "a request that is none"


@pytest.mark.parametrize("text", ["02/Mrz/2026:11:00:00 +0100", "32/Mar/2026:11:00:00 +0100", "02/Mar/2026", ""])
def test_a_local_time_that_is_none_costs_its_line(tmp_path: Path, text: str) -> None:
    line = nginx(time_local=text)
    del line["msec"]
    tally = sources.Tally()
    assert list(sources.get("nginx").read(put(tmp_path, line), READING, tally)) == []
    assert len(tally.quarantined) == 1
