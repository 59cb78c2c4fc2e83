"""What a check shows of a file that nobody has looked at: no credential, in any format, at any place."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import raw_logs
from hypothesis import given
from hypothesis import strategies as st

from tokenkit import sources
from tokenkit.sources.fields import masking

PLANTED = {
    "AWS key id": "AKIAQ3EGR7LZX5KWPT2N",
    "AWS secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXaMPLEKEY",
    "GitHub": "ghp_0123456789abcdefghij0123456789abcdef",
    "GitLab": "glpat-x9K2mP4qR7sT1vW3yZ5a",
    "Slack": "xoxb-123456789012-abcdefghijkl",
    "Stripe-like": "sk_live_51H8xYzKq2mN4pR6",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "basic": "Basic YW5hOmh1bnRlcjIxMjM0NTY=",
    "bearer, hex": "Bearer 9f86d081884c7d659a2feaa0c55ad015",
    "opaque, base64": "q7XkR2vN8mPz4LwTb6YcHg==",
    "vendor's own": "key_live_0001aaaabbbb",
    "UUID": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "PEM": "-----BEGIN RSA PRIVATE KEY-----MIIEpAIBAAKCAQEA7bq",
    "user in a URL": "https://ana:hunter2hunter2@internal.example.com/x",
    "cookie": "PHPSESSID=r2t5uvjq435r4q7ib3vtdjq120",
    "letters": "qwjzkxvbnmplkjhgfdsaqwrt",
    "letters in both cases": "XkQzPwLmNvBtRsYdFgHjKc",
}
# what of them must be seen nowhere
PARTS = {"user in a URL": "hunter2hunter2", "cookie": "r2t5uvjq435r4q7ib3vtdjq120", "basic": "YW5hOmh1bnRlcjIxMjM0NTY",
         "bearer, hex": "9f86d081884c7d659a2feaa0c55ad015", "PEM": "MIIEpAIBAAKCAQEA7bq"}  # fmt: skip
ROW = {"at": "2026-03-01T10:20:30Z", "who": "acc-0123456789ab", "verb": "GET", "url": "/v1/orders/17",
       "agent": "curl/8.5.0", "host": "api.example.com", "body": "-"}  # fmt: skip
TOML = """name = "orders"
issuer = "orders-api"
[columns]
time = "at"
native_id = "who"
method = "verb"
path = "url"
user_agent = "agent"
service = "host"
resource = "body"
"""


def as_csv(row: dict[str, str]) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerows([row, row | {"at": "2026-03-01T10:20:31Z"}, row | {"at": "yesterday"}])
    return out.getvalue()


def lines(row: dict[str, Any]) -> str:
    return "".join(json.dumps(row | {"at": at}) + "\n" for at in (row["at"], "2026-03-01T10:20:31Z", "yesterday"))


PLACES = {
    "header of the request": lambda secret: ("a.jsonl", lines(ROW | {"headers": {"X-Custom": secret}, "host": secret})),
    "query": lambda secret: ("a.jsonl", lines(ROW | {"url": f"/v1/orders?k={secret}", "host": f"a?k={secret}"})),
    "path": lambda secret: ("a.csv", as_csv(ROW | {"url": f"/v1/x/{secret}/y"})),
    "body": lambda secret: ("a.csv", as_csv(ROW | {"body": json.dumps({"note": f"it is {secret}"})})),
    "user agent": lambda secret: ("a.csv", as_csv(ROW | {"agent": f"tool/1.0 ({secret})"})),
    "prefix word": lambda secret: ("a.log", f"{secret} " + lines(ROW).replace("\n", f"\n{secret} ", 2)),
    "name of a CSV's column": lambda secret: ("a.csv", as_csv(ROW | {secret: "x"})),
    "name of a JSON field": lambda secret: ("a.jsonl", lines(ROW | {secret: "x", "o": {secret: 1}})),
    "name of the file": lambda secret: (f"export-{secret.replace('/', '_')}.csv", as_csv(ROW)),
    "no header": lambda secret: ("a.csv", f"{secret},b\n{secret},d\n"),
    "NGINX": lambda secret: (
        "a.log",
        json.dumps(raw_logs.nginx("r", uri=f"/x/{secret}", http_user_agent=secret, consumer=secret) | {secret: 1}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_check_shows_no_credential(place: str, tmp_path: Path, command: Any) -> None:
    (tmp_path / "orders.toml").write_text(TOML)
    shown = {}
    for kind, secret in PLANTED.items():
        if place == "name of the file" and "://" in secret:
            continue  # no file is called so
        name, content = PLACES[place](secret)
        (tmp_path / name).write_text(content)
        mapped = (name, "--source", "orders.toml")
        words_of_all: tuple[tuple[str, ...], ...] = ((name,), (name, "--draft"), mapped, (*mapped, "--json"))
        for words in words_of_all if kind in ("vendor's own", "cookie") else words_of_all[:3]:
            left = command("sources", "check", *words, cwd=tmp_path)
            part = PARTS.get(kind, secret)
            if part in left.out + left.err or (
                place == "name of the file" and part.replace("/", "_") in left.out + left.err
            ):
                shown[kind, words[1:]] = left.out + left.err
    assert shown == {}


@pytest.mark.parametrize(
    "text", ["curl/8.5.0 python-requests/2.31.0", "GET /v1/organisations/{id}/exports", "DescribeInstanceInformation",
             "arn:aws:iam::111122223333:user/ana", "requestParameters.bucketName", "X-Amzn-Trace-Id", "203.0.113.0/24",
             "2026-03-01T10:20:30.123456Z", "1772445600123456789", "authenticated_original_destination_ip_address",
             "key_...89ab", "access_key_1_last_rotated", "kubernetes.io/serviceaccount", "internationalization",
             "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
             "http_x_forwarded_for", "sourceIPAddress", "base64url", "oauth2token", "urn:ietf:params:oauth:grant-type"]
)  # fmt: skip
def test_what_is_no_credential_is_shown_as_it_is(text: str) -> None:
    assert masking.hidden(text) == text


@given(st.text(alphabet="abcdef0123456789", min_size=24, max_size=64))
def test_hexadecimal_is_hidden_wherever_it_stands(word: str) -> None:
    if not word.isdigit() and sum(map(str.isdigit, word)) >= 3:
        for around in ("%s", "x: %s;", "/a/%s/b", "{'k': '%s'}", "id_%s", "a.%s"):
            assert word not in masking.hidden(around % word)


@given(st.text(max_size=200))
def test_hiding_raises_nothing_and_is_done_once(text: str) -> None:
    once = masking.hidden(text)
    assert masking.hidden(once) == once or "[masked]" in once


def test_what_would_be_stored_does_not_depend_on_what_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(json.dumps(raw_logs.nginx("r", uri="/v1/orders/0f1e2d3c4b5a69788796")))
    (batch,) = sources.get("nginx").read(path, sources.Reading(b"k" * 32), sources.Tally())
    assert batch.events["url_path"].to_pylist() == ["/v1/orders/0f1e2d3c4b5a69788796"]
