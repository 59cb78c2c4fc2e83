"""Secrets in logs and inventories: after a whole run they are found in no file that tokenkit wrote."""

import csv
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import organisation as small
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

# raw tokens of known formats, put together so that no scanner takes this file for a leak; none was ever valid
GITHUB = "ghp_" + "Zq7RkV2mXw9LtB4nYc6HdJ8sPf3GaU5eKo1i"
STRIPE = "sk_live_" + "9hT3vQx7LmZp2RwYbN5cKd8F"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiJwbGFudGVkIn0." + "q8Zt3vXw1LmRk7YbN2cHd9FpGs4JaU6e"
BEARER = "Vf8Qk2ZtXw7LmRy4NbHc9DpGs3Ja"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "PLANTEDKEY"
SESSION = "FwoGZXIvYXdzEPLANTED" + "x7LmRk7YbN2cHd9FpGs4JaU6eq8Zt3vXw1"
PASSWORD = "correct-horse-battery-planted"
OTHER_KEY = "AKIA" + "PLANTEDQ7XW2MZRT"
PLANTED = {"GitHub": GITHUB, "Stripe": STRIPE, "JWT": JWT, "bearer": BEARER, "AWS secret": SECRET, "session": SESSION,
           "password": PASSWORD, "key of another": OTHER_KEY}  # fmt: skip


def plant_in_gateway(raw):
    """In query, path, an extra field that looks like a header, the user agent, a referrer, a body."""
    key, when = small.victim(raw), small.date(2026, 2, 9)
    for n, (path, agent, more) in enumerate(
        [
            (f"/v1/orders?api_key={STRIPE}&access_token={BEARER}&page=2", "curl/8.5.0", {}),
            (f"/v1/tokens/{GITHUB}/revoke", "curl/8.5.0", {}),
            (f"/v1/tokens/{GITHUB[:4]}%5f{GITHUB[4:]}/{JWT}", "curl/8.5.0", {}),
            (f"/login;jwt={JWT}", "curl/8.5.0", {}),
            ("/v1/orders", f"deploy/1.2 (token={PASSWORD}; Bearer {BEARER})", {}),
            ("/v1/orders", f"git/2.4 https://ana:{PASSWORD}@git.example/{GITHUB}", {}),
            ("/v1/orders", "curl/8.5.0", {"http_authorization": f"Bearer {BEARER}", "http_cookie": f"s={SESSION}"}),
            ("/v1/orders", "curl/8.5.0", {"http_referer": f"https://x.example/?s={SECRET}", "body": {"pwd": PASSWORD}}),
        ]
    ):  # fmt: skip
        small.plant(raw / "logs", key, when, range(n, n + 1), agent=agent, path=path, a_hour=20, **more)


def plant_in_cloudtrail(raw):
    """In what was asked, what was answered, the error, the user agent, and additional data, of real records."""
    file = sorted((raw / "logs" / "cloudtrail").rglob("*20260209*Z_*.json.gz"))[0]
    document = orjson.loads(gzip.decompress(file.read_bytes()))
    for n, record in enumerate(document["Records"]):
        if "accessKeyId" not in record["userIdentity"]:
            continue
        record["requestParameters"] = {
            "masterUserPassword": PASSWORD, "accessKeyId": OTHER_KEY, "headers": {"authorization": f"Bearer {BEARER}"},
            "environment": {"variables": {"GITHUB_TOKEN": GITHUB}}, "secretString": STRIPE,
            "key": f"dumps/{GITHUB}/{OTHER_KEY}.sql", "bucketName": "exports",
        }  # fmt: skip
        record["responseElements"] = {
            "accessKey": {"accessKeyId": OTHER_KEY, "secretAccessKey": SECRET, "status": "Active"},
            "credentials": {"sessionToken": SESSION, "secretAccessKey": SECRET},
        }
        record["userAgent"] = f"deploy/{n % 3} token={GITHUB} {JWT}"
        record["errorCode"], record["errorMessage"] = "AccessDenied", f"{OTHER_KEY} may not use {SECRET}"
        record["additionalEventData"] = {"SignatureVersion": "SigV4", "bytesTransferredOut": 5, "token": STRIPE}
        record["serviceEventDetails"] = {"url": f"https://s3.example/x?X-Amz-Security-Token={SESSION}"}
        record.pop("resources", None)
    file.write_bytes(gzip.compress(orjson.dumps(document)))
    # a record that cannot be read is as secret as one that can
    (file.parent / "broken_CloudTrail_x_Z_1.json").write_text(
        '{"Records": [{"eventSource": "' + GITHUB + '", "eventName": '
    )
    (raw / "logs" / "gateway" / "nginx" / "broken.jsonl").write_text('{"uri": "/?t=' + STRIPE + '", "msec": \n')


def plant_in_inventory(raw):
    """A raw secret given as a token's id, and in other columns; every id is one that is stored nowhere."""
    path = raw / "inventory.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows += [{**rows[0], "native_id": STRIPE, "token_name": f"old {STRIPE}", "rotated_from": "", "source": "gateway"},
             {**rows[1], "native_id": GITHUB, "purpose": f"clone {GITHUB}", "rotated_from": "", "source": "github"},
             {**rows[2], "native_id": OTHER_KEY, "scopes": f"repo {GITHUB}", "rotated_from": ""}]  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory):
    """Folder with the raw logs, folder with all that tokenkit wrote; its standard output and error are files, too."""
    raw, written = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("written")
    small.make(raw)
    plant_in_gateway(raw)
    plant_in_cloudtrail(raw)
    plant_in_inventory(raw)
    temporary = tmp_path_factory.mktemp("tmp")
    env = {**os.environ, "TMPDIR": str(temporary), "HOME": str(temporary)}
    asked = ["--events", raw / "logs", "--inventory", raw / "inventory.csv", "--out", "out"]
    asked += ["--start", "2026-02-08", "--end", "2026-02-12"]  # around the day of the secrets
    workspace = written / "out" / "workspace"
    commands = [(written, f"run{n}", "run", *asked, *more) for n, more in enumerate(([], ["--json"]))]
    for name, *more in (["ingest", raw / "logs", "--json"], ["tokens", "--json"], ["tokens"], ["doctor"], ["config"]):
        commands.append((workspace, f"{name}{len(more)}", name, *more))
    lines = [json.dumps([str(cwd), str(written / f"{log}.log"), *map(str, words)]) for cwd, log, *words in commands]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("several_commands.py")],
        input="\n".join(lines), env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["0"] * len(commands), (done.stderr, (written / "run0.log").read_text())
    assert len(list(written.glob("*.log"))) == len(commands)
    (temporary / ".keep").touch()
    return raw, (written, temporary)


def everything(folders):
    """Each piece of what was written, raw and as it reads: (file, text)."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            yield path, path.read_bytes().decode("utf-8", "ignore")
            if path.suffix == ".parquet":
                table = pq.ParquetFile(path).read()
                for name, column in zip(table.column_names, table.columns, strict=True):
                    if not pa.types.is_primitive(column.type):
                        if pa.types.is_list(column.type):
                            column = column.combine_chunks().flatten()
                        distinct = {str(v) for v in column.unique().to_pylist() if v is not None}
                        yield path.with_name(f"{path.name}:{name}"), "\n".join(distinct)


@pytest.fixture(scope="module")
def texts(left_behind):
    """Each piece of what was written, read once for all tests."""
    return list(everything(left_behind[1]))


def native_ids(raw):
    """Keys as their issuers know them: of the inventory, and of whoever called."""
    with (raw / "inventory.csv").open(encoding="utf-8") as file:
        found = {row["native_id"] for row in csv.DictReader(file)}
    for file in (raw / "logs").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            content = gzip.decompress(content) if file.suffix == ".gz" else content
            found |= {m.decode() for m in re.findall(rb'"(?:accessKeyId|api_key_id|key_hmac)":"([^"]+)"', content)}
    return {n for n in found if not n.startswith("arn:")}


def test_the_secrets_are_in_the_raw_logs_and_were_read(left_behind):
    raw, (written, _) = left_behind
    logs = b"".join(
        gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes()
        for p in (raw / "logs").rglob("*")
        if p.is_file()
    )
    assert all(secret.encode() in logs for secret in PLANTED.values())
    texts = "\n".join(text for _, text in everything([written / "out" / "workspace" / "lake"]))
    assert "deploy/1.2 (token=[masked]" in texts and "/v1/tokens/[masked]/revoke" in texts, (
        "those calls are in the lake"
    )


@pytest.mark.parametrize("name", PLANTED)
def test_a_secret_is_found_nowhere(name, texts):
    secret = PLANTED[name]
    forms = {
        secret,
        secret[-12:],
        orjson.dumps(secret).decode()[1:-1],
        secret.replace("/", "%2F"),
        secret.encode().hex(),
    }
    assert [str(path) for path, text in texts if any(form in text for form in forms)] == []


def declared(raw):
    """Ids that HAProxy's log declares to be no secret: HMACs made inside the proxy, the handles to lock by."""
    logs = b"".join(path.read_bytes() for path in (raw / "logs").rglob("haproxy-*.jsonl"))
    return {m.decode() for m in re.findall(rb'"key_hmac":"([^"]+)"', logs)}


def test_a_declared_handle_is_kept_in_one_column_and_shown_nowhere(left_behind, texts):
    raw, _ = left_behind
    handles = declared(raw)
    pattern = re.compile("|".join(sorted(handles)))
    places = {path for path, text in texts if pattern.search(text)}
    assert handles and places
    assert all("dim_token" in path.parts for path in places)  # with Delta's log, which has the least and the greatest
    assert {path.name.partition(":")[2] for path in places} <= {"", "enforce_handle"}


def test_no_native_id_is_found_anywhere(left_behind, texts):
    raw, _ = left_behind
    known = native_ids(raw) - declared(raw)
    assert len(known) > 60
    pattern = re.compile("|".join(map(re.escape, sorted(known))))
    assert [(str(path), hit.group()) for path, text in texts if (hit := pattern.search(text))] == []


def test_only_the_key_file_holds_the_key_and_only_its_owner_reads_it(left_behind, texts):
    _, folders = left_behind
    path = folders[0] / "out" / "workspace" / ".tokenkit" / "key"
    key = path.read_text().strip()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p for p, text in texts if key in text or key[:32] in text] == [path]


def test_the_names_of_secret_columns_are_in_no_schema():
    from tokenkit import schema

    words = {"secret", "password", "authorization", "cookie", "native"}
    assert not [c.name for t in schema.TABLES.values() for c in t.columns if words & set(c.name.split("_"))]
