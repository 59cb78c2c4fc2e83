"""Credentials of every common format, wherever a log can hold one: found in nothing that is stored or printed."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from samples import COLUMNS, KEYS, SAMPLES, Chosen

from tokenkit import config, export

# put together, so that no scanner takes this file for a leak; none was ever valid
RANDOM = "Zq7RkV2mXw9LtB4nYc6HdJ8sPf3GaU5eKo1iQ9vTz2Rr8Wm4Xb7C"
BASE64 = "q8Zt3vXw1LmRk7YbN2cHd9FpGs4JaU6eWx5Vt8Kz0Qy7Mn3Bp6Rf1Ld4Hj9Tg2Sc5Xv8Zw1Ub4Ye7Ai0Dk3=="
CREDENTIALS = {
    "AWS key id": "AKIA" + "PLANTEDQ7XW2MZRT",
    "AWS secret": "aws_secret_access_key=" + BASE64[:40],
    "GitHub": "ghp_" + RANDOM[:36],
    "GitHub fine-grained": "github_pat_" + RANDOM[:22] + "_" + RANDOM[::-1],
    "GitLab": "glpat-" + RANDOM[3:23],
    "Slack": "xoxb-" + "123456789012-1234567890123-" + RANDOM[:24],
    "Stripe": "sk_live_" + RANDOM[5:29],
    "OpenAI": "sk-proj-" + RANDOM[:40],
    "Anthropic": "sk-ant-" + "api03-" + RANDOM[2:42],
    "Google": "AIza" + RANDOM[:35],
    "JWT": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiJwbGFudGVkIn0." + RANDOM[:32],
    "PEM": "-----BEGIN " + "PRIVATE KEY----- MIIEvQ" + BASE64[:60] + " -----END PRIVATE KEY-----",
    "Basic": "Basic " + "YW5hOnBs" + "YW50ZWRwYXNzd29yZA==",
    "Bearer": "Bearer " + RANDOM[7:35],
    "npm": "npm_" + RANDOM[:36],
    "Vault": "hvs." + RANDOM[:24],
    "Azure SAS": "https://acme.blob.core.windows.net/c?sv=2024-11-04&sig=" + quote(BASE64[9:53]),
    "Azure connection": "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=" + BASE64,
    "no known format": "password=" + "correct-horse-planted",
}  # fmt: skip
UNNAMED = {
    "AWS secret",
    "Basic",
    "Bearer",
    "Azure SAS",
    "Azure connection",
    "no known format",
    "PEM",
}  # with words around


def parts(name: str) -> set[str]:
    """What must be found nowhere of a credential: its longest word, and the end of that."""
    words = re.findall(r"[A-Za-z0-9_.+/=%-]{12,}", CREDENTIALS[name].split("sig=")[-1].removeprefix("password="))
    longest = max((word.split("Key=")[-1].split("key=")[-1] for word in words), key=len)
    return {longest, longest[-14:], json.dumps(longest)[1:-1]}


FORBIDDEN = {part: name for name in CREDENTIALS for part in parts(name)}
PATTERN = re.compile("|".join(map(re.escape, sorted(FORBIDDEN, key=len, reverse=True))))


def logs_of(source: str, folder: Path) -> list[Path]:
    """Logs of one source, a file for each place: each holds one call for each credential."""
    sample = SAMPLES[source]
    files: dict[str, list[bytes]] = {}
    for n, (name, text) in enumerate(CREDENTIALS.items()):
        in_path = text.replace(" ", "%20")
        chosen = {
            "agent": Chosen(agent=f"deploy/1.2 ({text})"),
            "query": Chosen(path=f"/v1/orders?x={in_path}&y=1"),
            "path": Chosen(path=f"/v1/{in_path}/use"),
            "forwarded": Chosen(forwarded=text),
            "request": Chosen(request_id=text),
        }
        for place, choice in chosen.items():
            files.setdefault(place, []).append(sample.call(n, "ana", choice))
        call = sample.call(n, "ana", Chosen())
        if name not in UNNAMED:
            files.setdefault("as the key", []).append(call.replace(KEYS["ana"].encode(), text.encode()))
        files.setdefault("before", []).append(text.encode() + b" " + call)
        files.setdefault("cut off", []).append(call.rstrip(b"\n")[:-9] + text.encode() + b"\n")
        if call.startswith(b"{"):
            record: dict[str, Any] = json.loads(call)
            more = {"headers": {"authorization": text, "x-api-key": text}, "body": {"password": text}, text: 1}
            files.setdefault("more", []).append(json.dumps(record | more).encode() + b"\n")
    written = []
    for place, calls in files.items():
        path = folder / source.replace(" ", "_") / place.replace(" ", "_") / sample.name
        path.parent.mkdir(parents=True)
        path.write_bytes(sample.log(*calls))
        written.append(path)
    return written


def everything(folder: Path) -> list[tuple[str, str]]:
    """Each file that was written, as bytes and, of Parquet, as it reads."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.append((str(path.relative_to(folder)), path.read_bytes().decode("utf-8", "ignore")))
            if path.suffix == ".parquet":
                found.append((f"{path.name} as it reads", json.dumps(pq.read_table(path).to_pylist(), default=str)))
    return found


def leaks(texts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted({(where, FORBIDDEN[hit]) for where, text in texts for hit in PATTERN.findall(text)})


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    for source in SAMPLES:
        logs_of(source, folder)
    (folder / "own.toml").write_text(SAMPLES["a mapping of CSV"].mapping)
    return folder


def inputs(raw: Path) -> list[str]:
    named = [(source, raw / source.replace(" ", "_")) for source in SAMPLES]
    return [f"{raw / 'own.toml' if SAMPLES[source].mapping else source}={path}" for source, path in named]


def test_no_credential_is_stored_or_said_by_an_ingest(raw: Path, tmp_path: Path, command: Any) -> None:
    made = command("init", "ws", cwd=tmp_path)
    said = [command("ingest", *inputs(raw), *more, cwd=tmp_path / "ws") for more in ((), ("--json",))]
    assert [one.code for one in (made, *said)] == [0, 0, 0], said[0].err
    workspace = config.find(tmp_path / "ws")
    export.export_ocsf(workspace, tmp_path / "ws" / "a.jsonl")
    said += [command(*words, cwd=tmp_path / "ws") for words in (("tokens", "--json"), ("doctor",), ("sources",))]
    texts = everything(tmp_path / "ws") + [("output", one.out + one.err) for one in said]
    assert leaks(texts) == []


@pytest.mark.parametrize("source", sorted(SAMPLES))
def test_no_credential_is_printed_by_a_check(source: str, raw: Path, tmp_path: Path, command: Any) -> None:
    texts = []
    for path in sorted((raw / source.replace(" ", "_")).rglob("a.*")):
        known_as = raw / "own.toml" if SAMPLES[source].mapping else source
        for words in ((), ("--source", known_as), ("--draft",), ("--json",)):
            said = command("sources", "check", path, *words, cwd=tmp_path)
            texts.append((f"{path.parent.name} {words}", said.out + said.err))
    assert leaks(texts) == []


def test_no_credential_in_the_name_of_a_file_or_column_is_stored_or_printed(
    raw: Path, tmp_path: Path, command: Any
) -> None:
    logs, own = tmp_path / "logs", raw / "own.toml"
    logs.mkdir()
    for n, text in enumerate(CREDENTIALS.values()):
        log = SAMPLES["nginx"].log(SAMPLES["nginx"].call(n, "ana", Chosen()))
        (logs / f"{text.replace('/', '_')}.log").write_bytes(log + b'{"broken')
    names = ",".join('"' + text + '"' for text in CREDENTIALS.values())
    row = SAMPLES["a mapping of CSV"].usual(1)[0].rstrip(b"\n")
    rows = b"".join(row.replace(b"curl/8.5.0", text.encode()) + b"\n" for text in CREDENTIALS.values())
    (tmp_path / "header.csv").write_bytes(
        ",".join(COLUMNS).encode() + b"," + names.encode() + b"\n" + row + b"," * len(CREDENTIALS)
    )
    (tmp_path / "no_header.csv").write_bytes(rows)
    command("init", "ws", cwd=tmp_path)
    checks = [("sources", "check", *words) for words in (
        ("../logs",), ("../header.csv",), ("../no_header.csv",), ("../header.csv", "--draft"),
        ("../header.csv", "--source", own), ("../no_header.csv", "--source", own))]  # fmt: skip
    reads = [("ingest", *words) for words in (("../logs",), (f"{own}=../header.csv",), ("../no_header.csv",))]
    said = [command(*words, cwd=tmp_path / "ws") for words in (*reads, *checks)]
    assert said[0].code == 0 and f"{len(CREDENTIALS)} stored" in said[0].out
    texts = everything(tmp_path / "ws") + [(f"output {i}", one.out + one.err) for i, one in enumerate(said)]
    assert leaks(texts) == []


def test_no_credential_in_what_was_typed_is_printed_again(tmp_path: Path, command: Any) -> None:
    command("init", "ws", cwd=tmp_path)
    said = [
        command(*words, cwd=tmp_path / "ws")
        for text in CREDENTIALS.values()
        for words in (
            ("ingest", f"../{text}"),
            ("ingest", f"../{text}.toml=../logs"),
            ("sources", "check", f"../{text}"),
        )
    ]
    assert {one.code for one in said} == {2}
    assert leaks([(f"output {i}", one.out + one.err) for i, one in enumerate(said)]) == []
