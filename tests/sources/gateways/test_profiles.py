"""What each gateway's log says becomes the same event, whatever its names and its format."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from gateway_lines import (
    FORMATS,
    IIS_FIELDS,
    KEYED,
    TRUSTED,
    WITHOUT,
    Call,
    caddy_json,
    cloudfront_text,
    iis_text,
    nginx_main,
)

from tokenkit import identity, sources
from tokenkit.config import Gateway
from tokenkit.sources import Reading, Tally, files, gateways
from tokenkit.sources.gateways import text, w3c
from tokenkit.sources.gateways.profile import Profile

KEY = b"k" * 32
NAMES = list(FORMATS)


def write(folder: Path, name: str, *calls: Call) -> Path:
    """A log of these calls."""
    _, line, before = FORMATS[name]
    path = folder / f"{name}.log"
    path.write_bytes(before + b"".join(line(call) + b"\n" for call in calls))
    return path


def read(path: Path, **gateway: Any) -> tuple[list[dict[str, Any]], Tally]:
    """The events of a file by the source that knows it."""
    source = sources.recognise(path)
    assert source, f"{path.name} is not recognised"
    tally = Tally()
    batches = list(source.read(path, Reading(KEY, Gateway(**gateway)), tally))
    events = [event for batch in batches for event in batch.events.to_pylist()]
    assert tally.read == len(events) + sum(tally.ignored.values()) + len(tally.quarantined)
    return events, tally


@pytest.mark.parametrize("name", NAMES)
def test_a_call_is_the_same_event_in_every_format(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, Call(), Call(status=403, method="POST", path="/v1/keys"))
    (event, refused), tally = read(path)
    assert event["source"] == FORMATS[name][0] and not tally.quarantined
    assert event["time"].isoformat() == "2026-03-02T10:00:00+00:00"
    assert (event["src_ip"], event["operation"], event["url_path"]) == (
        "203.0.113.7", "GET /v1/orders/{id}", "/v1/orders/17",
    )  # fmt: skip
    assert (event["http_status"], event["response_bytes"]) == (200, 1234)
    assert event["principal_uid"] == (None if name in WITHOUT["user"] else "ana")
    native = "key_0123456789ab" if name in KEYED else "ana" if name not in WITHOUT["user"] else None
    assert event["token_uid"] == (identity.token_uid(KEY, "gateway:default", native) if native else "")
    assert event["user_agent"] == (None if name in WITHOUT["agent"] else "curl/8.5.0")
    assert event["request_bytes"] == (None if name in WITHOUT["sent"] else 321)
    assert event["duration_ms"] == pytest.approx(None if name in WITHOUT["duration"] else 12)
    assert (refused["operation"], refused["is_denied"]) == ("POST /v1/keys", True)


@pytest.mark.parametrize("name", NAMES)
def test_one_odd_line_costs_itself_alone(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, Call(), Call())
    lines = path.read_bytes().split(b"\n")
    for odd in (b"restarted", lines[-2][:-30], b'{"msg": "started"}', b"\xff\xfe", b"[", b'"'):
        path.write_bytes(b"\n".join([*lines[:-2], odd, *lines[-2:]]))
        events, tally = read(path)
        assert len(events) + len(tally.quarantined) == 3 and len(events) >= 2
        assert all(repr(odd)[2:-1] not in one.reason for one in tally.quarantined if len(odd) > 3)


WRAPPERS = {
    "cri": lambda line: b"2026-03-02T10:00:00.1Z stdout F " + line,
    "docker": lambda line: json.dumps(
        {"log": line.decode("utf-8", "replace") + "\n", "stream": "stdout", "time": "2026-03-02T10:00:00.1Z"}
    ).encode(),
    "rfc3164": lambda line: b"<134>Mar  2 10:00:00 lb gateway[4711]: " + line,
    "rfc5424": lambda line: b"<134>1 2026-03-02T10:00:00Z lb gateway 4711 - - " + line,
    "fluent": lambda line: json.dumps({"@timestamp": 1.5, "message": line.decode("utf-8", "replace")}).encode(),
    "journald": lambda line: json.dumps({"MESSAGE": line.decode("utf-8", "replace"), "_PID": "1"}).encode(),
}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("cloudfront_text", "iis_text")])
def test_a_line_in_a_wrapper_is_the_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, *(Call(path=f"/v1/{wrapper}") for wrapper in WRAPPERS))
    plain, _ = read(path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"".join(wrap(line) + b"\n" for wrap, line in zip(WRAPPERS.values(), lines, strict=True)))
    wrapped, tally = read(path)
    assert wrapped == plain and not tally.quarantined


def test_json_and_text_may_stand_in_one_packed_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log.gz"
    lines = [FORMATS[name][1](Call(path=f"/{name}")) for name in ("nginx_combined", "nginx_json", "nginx_main")]
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    events, _ = read(path)
    assert [event["url_path"] for event in events] == ["/nginx_combined", "/nginx_json", "/nginx_main"]


# ---- who called ----
@pytest.mark.parametrize("name", [n for n in NAMES if n not in WITHOUT["user"] and n not in KEYED])
def test_a_name_in_an_answer_of_401_was_only_claimed(tmp_path: Path, name: str) -> None:
    (event,), _ = read(write(tmp_path, name, Call(status=401)))
    assert (event["token_uid"], event["principal_uid"], event["is_denied"]) == ("", None, True)


def test_the_settings_name_where_the_key_stands(tmp_path: Path) -> None:
    record = json.loads(caddy_json(Call()))
    record["request"]["headers"]["X-Api-Key-Id"] = ["key_0001"]
    path = tmp_path / "caddy.log"
    path.write_text(json.dumps(record) + "\n")
    (event,), _ = read(path, key_fields=["request.headers.X-Api-Key-Id"])
    assert event["token_uid"] == identity.token_uid(KEY, "gateway:default", "key_0001")
    (event,), _ = read(write(tmp_path, "haproxy_text", Call(agent="key_0002")), key_fields=["request_header_1"])
    assert event["token_uid"] == identity.token_uid(KEY, "gateway:default", "key_0002")


def test_kong_keeps_neither_headers_nor_query(tmp_path: Path) -> None:
    source = sources.get("kong")
    batches = list(source.read(write(tmp_path, "kong_json", Call()), Reading(KEY), Tally()))
    stored = str(
        [b.events.to_pylist() for b in batches] + [t.to_pylist() for b in batches for t in b.dimensions.values()]
    )
    assert "the-raw-key" not in stored


# ---- from where ----
@pytest.mark.parametrize("name", NAMES)
def test_without_trusted_proxies_the_peer_counts(tmp_path: Path, name: str) -> None:
    (event,), _ = read(write(tmp_path, name, Call(forwarded="198.51.100.9")))
    assert event["src_ip"] == "203.0.113.7"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT["forwarded"]])
def test_behind_a_trusted_proxy_the_address_before_it_counts(tmp_path: Path, name: str) -> None:
    call = Call(peer=TRUSTED, forwarded="198.51.100.9, 203.0.113.8")
    (event,), _ = read(write(tmp_path, name, call), trusted_proxies=["10.0.0.0/8"])
    assert event["src_ip"] == "203.0.113.8"
    (event,), _ = read(write(tmp_path, name, call.but(peer="203.0.113.7")), trusted_proxies=["10.0.0.0/8"])
    assert event["src_ip"] == "203.0.113.7", "who is no proxy of ours says nothing about others"


def test_the_address_of_the_proxy_protocol_is_behind_what_the_client_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    record = json.loads(FORMATS["nginx_json"][1](Call(peer=TRUSTED, forwarded="198.51.100.9")))
    path.write_text(json.dumps(record | {"proxy_protocol_addr": "203.0.113.8"}) + "\n")
    (event,), _ = read(path, trusted_proxies=["10.0.0.2"])
    assert event["src_ip"] == "203.0.113.8"


def test_a_long_list_of_addresses_is_not_shortened_before_its_end_is_read(tmp_path: Path) -> None:
    call = Call(peer=TRUSTED, forwarded="198.51.100.9, " * 300 + "203.0.113.8")
    (event,), _ = read(write(tmp_path, "nginx_main", call), trusted_proxies=["10.0.0.2"])
    assert event["src_ip"] == "203.0.113.8"


# ---- traps of single formats ----
def test_what_was_escaped_is_read_as_it_was_sent(tmp_path: Path) -> None:
    agent = 'tool/1 "quoted" \\ café'
    for name in ("nginx_combined", "apache_combined", "nginx_main"):
        (event,), _ = read(write(tmp_path, name, Call(agent=agent, path="/caf\u00e9/17")))
        assert (event["user_agent"], event["url_path"]) == (agent, "/café/17"), name


def test_a_request_that_is_no_http_is_a_call_without_a_method(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b'203.0.113.7 - - [02/Mar/2026:10:00:00 +0000] "\\x16\\x03\\x01" 400 150 "-" "-"\n')
    (event,), _ = read(path)
    assert (event["operation"], event["http_status"]) == ("OTHER /", 400)


def test_a_time_of_haproxys_text_is_of_the_zone_in_the_settings(tmp_path: Path) -> None:
    (event,), _ = read(write(tmp_path, "haproxy_text", Call()), timezone="Europe/Berlin")
    assert event["time"].isoformat() == "2026-03-02T09:00:00+00:00"


def test_a_duration_that_is_no_number_costs_no_call(tmp_path: Path) -> None:
    record = json.loads(caddy_json(Call())) | {"duration": "12ms"}
    path = tmp_path / "a.log"
    path.write_text(json.dumps(record) + "\n")
    (event,), _ = read(path)
    assert event["duration_ms"] is None


def test_columns_of_a_w3c_file_may_change_in_its_middle(tmp_path: Path) -> None:
    path = tmp_path / "u_ex260302.log"
    other = b"#Fields: time date c-ip cs-method cs-uri-stem sc-status s-port\n"
    path.write_bytes(
        IIS_FIELDS + iis_text(Call()) + b"\n" + other + b"10:00:01 2026-03-02 203.0.113.9 GET /v2 200 443\n1 2 3\n"
    )
    events, tally = read(path)
    assert [event["src_ip"] for event in events] == ["203.0.113.7", "203.0.113.9"]
    assert tally.ignored == {"lines that are directives (#)": 3}
    assert [one.reason for one in tally.quarantined] == ["the line has 3 columns, but #Fields names 7"]


def test_a_w3c_file_without_columns_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(cloudfront_text(Call()) + b"\n")
    tally = Tally()
    assert not list(sources.get("cloudfront").read(path, Reading(KEY), tally))
    assert [one.reason for one in tally.quarantined] == ["no #Fields directive stands before the line"]


def test_names_that_a_file_does_not_have_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"a line\n" * 100)
    opened: list[int] = []
    head = files.Reader.head
    monkeypatch.setattr(files.Reader, "head", lambda self, size: opened.append(size) or head(self, size))
    parse = w3c.parser(path)
    for _ in range(100):
        with pytest.raises(ValueError, match="no #Fields directive"):
            parse(b"a line")
    assert len(opened) == 1


def test_cloudfronts_json_has_date_and_time_in_two_fields(tmp_path: Path) -> None:
    record = {"date": "2026-03-02", "time": "10:00:00", "x-edge-location": "FRA2", "c-ip": "203.0.113.7",
              "cs-method": "GET", "cs-uri-stem": "/v1/orders/17", "sc-status": "200", "sc-bytes": "1234",
              "cs(User-Agent)": "curl/8.5.0%20(x)", "time-taken": "0.012"}  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps(record) + "\n")
    (event,), _ = read(path)
    assert event["time"].isoformat() == "2026-03-02T10:00:00+00:00" and event["user_agent"] == "curl/8.5.0 (x)"


def test_check_says_which_fields_of_a_text_are_read(tmp_path: Path) -> None:
    from tokenkit.sources.check import check

    result = check(write(tmp_path, "nginx_main", Call()), sources.get("nginx"), Reading(KEY))
    assert result.counts["stored"] == 1 and result.records[0]["operation"] == "GET /v1/orders/{id}"
    assert nginx_main(Call()) not in str(result).encode()


@pytest.mark.parametrize("unit", [b"x", b"1", b'"', b"\\", b" ", b"x ", b"1.", b":", b"-", b"[", b"a, "])
@pytest.mark.parametrize("profile", [p for p in gateways.PROFILES if p.lines], ids=lambda p: p.name)
def test_a_long_line_that_is_none_is_refused_in_linear_time(profile: Profile, unit: bytes) -> None:
    with pytest.raises(ValueError, match="neither JSON nor a line"):
        text.parser(profile)(unit * 100_000)


def test_the_two_texts_that_a_client_sent_traefik_share_their_quotes(tmp_path: Path) -> None:
    (event,), _ = read(write(tmp_path, "traefik_text", Call(agent='a" "b" 9 "x" "y" 1ms" "c')))
    assert (event["principal_uid"], event["user_agent"], event["duration_ms"]) == ("ana", "c", 12)


AT, REST_ID, HTTP_ID = "02/Mar/2026:10:00:00 +0000", "0b1a2c3d-0000-4000-8000-0123456789ab", "JKJaXmPLvHcESHA="
WHO = f"<ip>203.0.113.7</ip> <caller>-</caller> <user>ana</user> <requestTime>{AT}</requestTime>"
CALLED = "<status>404</status> <protocol>HTTP/1.1</protocol> <responseLength>17</responseLength>"
CONSOLE = {
    "REST, CLF": f'203.0.113.7 - ana [{AT}]"GET /v1/orders/{{id}} HTTP/1.1" 404 17 {REST_ID} XyZ=',
    "REST, CLF, without the extended id": f'203.0.113.7 - ana [{AT}]"GET /v1/orders/{{id}} HTTP/1.1" 404 17 {REST_ID}',
    "HTTP, CLF": f'203.0.113.7 - - [{AT}] "GET GET /v1/orders/{{id}} HTTP/1.1" 404 17 {HTTP_ID} {HTTP_ID}',
    "REST, CSV": f"203.0.113.7,-,ana,{AT},GET,/v1/orders/{{id}},HTTP/1.1,404,17,{REST_ID},XyZ=",
    "REST, CSV, without the extended id": f"203.0.113.7,-,ana,{AT},GET,/v1/orders/{{id}},HTTP/1.1,404,17,{REST_ID}",
    "HTTP, CSV": f"203.0.113.7,{AT},GET,GET /v1/orders/{{id}},HTTP/1.1,404,17,{HTTP_ID},{HTTP_ID}",
    "REST, XML": f'<request id="{REST_ID}"> <extendedRequestId>XyZ=</extendedRequestId> {WHO}'
    f" <httpMethod>GET</httpMethod> <resourcePath>/v1/orders/{{id}}</resourcePath> {CALLED} </request>",
    "HTTP, XML": f'<request id="{HTTP_ID}"> <ip>203.0.113.7</ip> <requestTime>{AT}</requestTime>'
    f" <httpMethod>GET</httpMethod> <routeKey>GET /v1/orders/{{id}}</routeKey> {CALLED}"
    f" <extendedRequestId>{HTTP_ID}</extendedRequestId> </request>",
    "HTTP, JSON": json.dumps(
        {
            "requestId": HTTP_ID,
            "ip": "203.0.113.7",
            "requestTime": AT,
            "httpMethod": "GET",
            "responseLength": "17",
            "routeKey": "GET /v1/orders/{id}",
            "status": "404",
            "protocol": "HTTP/1.1",
        }
    ),
}


@pytest.mark.parametrize("name", CONSOLE)
def test_the_formats_that_api_gateways_console_offers_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "access.log"
    path.write_text(f"{CONSOLE[name]}\n" * 3)
    assert sources.recognise(path) is sources.get("api-gateway")
    events, tally = read(path)
    assert len(events) == 3 and not tally.quarantined
    event = events[0]
    assert (event["operation"], event["http_status"], event["response_bytes"]) == ("GET /v1/orders/{id}", 404, 17)
    assert event["src_ip"] == "203.0.113.7" and f"{event['time']:%Y-%m-%dT%H:%M:%S}" == "2026-03-02T10:00:00"
    assert (event["principal_uid"] or "").endswith("ana") == ("REST" in name)
