"""Where a handle comes from, what of a map file an edit touches, and what the report and the command say in a run."""

import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from tokenkit import config, respond, schema, sources
from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.respond.haproxy import edit_map, parse_line
from tokenkit.store import lake

HMAC = "76ca9a91aee79028ae4f8b19bb56b17db41ca150f4f6a659fc9b8f37427779ff"


def read(tmp_path, source="haproxy", gateway=None, **fields):
    line = {"ts_ms": 1772360430123, "src_ip": "203.0.113.7", "method": "GET", "path": "/v1/o", "status": 200} | fields
    if source == "nginx":
        line = {"msec": 1772360430.1, "remote_addr": "203.0.113.7", "uri": "/v1/o", "status": 200} | fields
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(line) + "\n")
    reading = sources.Reading(b"k" * 32, gateway or config.Gateway())
    (batch,) = sources.get(source).read(path, reading, sources.Tally())
    (token,) = batch.dimensions["dim_token"].to_pylist()
    return token["enforce_connector"], token["enforce_handle"]


def test_an_hmac_made_inside_haproxy_is_the_handle(tmp_path):
    assert read(tmp_path, key_hmac=HMAC, consumer="ana") == ("haproxy", HMAC)
    assert sources.get("haproxy").handle_field == "key_hmac" and sources.get("nginx").handle_field is None


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("haproxy", {"api_key_id": HMAC}),  # may be the key itself
        ("haproxy", {"api_key_id": "key_17", "key_hmac": HMAC}),  # the id that was taken is another
        ("haproxy", {"key_hmac": "sk_live_" + "0123456789abcdef0123456789abcdef01"}),  # a key under the wrong name
        ("haproxy", {"consumer": HMAC}),
        ("nginx", {"key_hmac": HMAC}),  # NGINX makes none
    ],
)
def test_nothing_else_is_kept(tmp_path, source, fields):
    assert read(tmp_path, source, **fields) == (None, None)


def test_a_workspace_that_does_not_read_the_field_keeps_no_handle(tmp_path):
    gateway = config.Gateway(key_fields=["api_key_id"])
    assert read(tmp_path, gateway=gateway, api_key_id=HMAC, key_hmac=HMAC) == (None, None)


def tokens(*rows):
    from tokenkit.sources.fields.normalise import token_rows

    return token_rows(b"k" * 32, [(f"tok1_{n:024x}", "gateway:x", "api_key", "long_lived", "m", None, None, None, *more)
                                  for n, *more in rows])  # fmt: skip


def test_a_token_that_was_stored_without_a_handle_gets_it_when_it_is_seen_with_one(tmp_path):
    one, two = (1 << 40, ("haproxy", HMAC)), (2 << 40, None)
    lake.grow_dimension(tmp_path, "dim_token", tokens((1 << 40,), two))
    version = lake.version(tmp_path, "dim_token")
    lake.grow_dimension(tmp_path, "dim_token", tokens(one))
    assert sorted(map(str, lake.read(tmp_path, "dim_token")["enforce_handle"].to_pylist())) == [HMAC, "None"]
    lake.grow_dimension(tmp_path, "dim_token", tokens(one, two))
    assert lake.version(tmp_path, "dim_token") == version + 1, "once is enough"


def test_a_lake_of_before_still_reads_and_grows(tmp_path):
    old = tokens((1 << 80,)).drop_columns(["enforce_connector", "enforce_handle"])
    write_deltalake(str(tmp_path / "dim_token"), old)
    assert lake.read(tmp_path, "dim_token")["enforce_handle"].to_pylist() == [None]
    lake.grow_dimension(tmp_path, "dim_token", tokens((2 << 80, ("haproxy", HMAC)), (1 << 80,)))
    lake.grow_dimension(tmp_path, "dim_token", tokens((1 << 80, ("haproxy", HMAC[::-1]))))
    assert set(lake.read(tmp_path, "dim_token")["enforce_handle"].to_pylist()) == {HMAC, HMAC[::-1]}


# ---- the map file ----
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [b"# a comment", b"", b"  ", b"abcd lock", b"abcd\trestrict ", b"abcde lock", b"abc", b"#abcd x"]
        ),
        st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")),
    )
)


@given(LINES, st.booleans(), st.sampled_from(["lock", "restrict", None]))
def test_an_edit_sets_one_key_and_touches_no_other_line(lines, newline, value):
    before = b"\n".join(lines) + (b"\n" if newline else b"")
    after = edit_map(before, "abcd", value)
    pairs = [p for line in after.split(b"\n") if (p := parse_line(line))]
    assert [v for k, v in pairs if k == "abcd"] == ([value] if value else [])
    foreign = [[x for x in t.split(b"\n") if x and (parse_line(x) or ("",))[0] != "abcd"] for t in (before, after)]
    assert foreign[0] == foreign[1]
    assert edit_map(after, "abcd", value) == after, "a second time changes nothing"


# ---- in a run ----
def test_in_a_run_tokens_of_haproxy_have_handles_and_the_inventory_goes_before(workspace):
    opened, now = config.find(workspace), datetime.now(UTC)
    by_log = respond.handles(opened, now)
    assert by_log and {name for name, _ in by_log.values()} == {"haproxy"}
    tokens = lake.read(opened.lake, "tokens")
    rows = tokens.to_pylist()
    row = next(r for r in rows if r["token_uid"] in by_log and r["valid_to"] is None)
    row |= {"enforce_connector": "vault", "enforce_handle": "accessor-17"}
    lake.replace(opened.lake, "tokens", pa.Table.from_pylist(rows, schema=tokens.schema))
    assert respond.handles(opened, now)[row["token_uid"]] == ("vault", "accessor-17")


def listed(opened, uid, **marks):
    """Put a row about a token into the list of owners of a workspace."""
    row = dict.fromkeys(schema.TOKENS.names) | {"token_uid": uid, "token_key": 1, "issuer": "gateway:x"} | marks
    lake.replace(opened.lake, "tokens", pa.Table.from_pylist([row], schema=schema.TOKENS.arrow))


def test_what_the_list_says_of_a_user_or_role_holds_for_its_tokens(tmp_path):
    opened, now = config.init(tmp_path / "ws"), datetime.now(UTC)
    lake.grow_dimension(opened.lake, "dim_token", tokens((1,), (2,)))
    row = lake.read(opened.lake, "dim_token").to_pylist()[0] | {"token_key": 7, "token_uid": "tok1_" + "7" * 24}
    row |= {"role_token_uid": "tok1_" + "9" * 24}
    lake.grow_dimension(opened.lake, "dim_token", pa.Table.from_pylist([row], schema=schema.DIM_TOKEN.arrow))
    listed(opened, row["role_token_uid"], break_glass=True)
    found = respond.protections(opened, now)
    assert set(found) == {row["role_token_uid"], row["token_uid"]} and found[row["token_uid"]].break_glass


@pytest.mark.parametrize(
    ("marks", "confirmed", "why"),
    [
        ({"break_glass": True}, True, "kept for emergencies"),
        ({"allow_auto": False}, False, "allows no action without a person"),
        ({"reversible": False}, False, "cannot be undone"),
    ],
)
def test_a_protected_token_is_not_acted_on_whatever_an_older_proposal_says(tmp_path, marks, confirmed, why):
    opened, uid = config.init(tmp_path / "ws"), "tok1_" + "7" * 24
    listed(opened, uid, **marks)
    proposal = respond.Proposal("act1_a", "inc1_a", uid, uid, "lock", "haproxy", HMAC, "ci", "Ana", "", "", "high")
    with pytest.raises(InputError, match=why):
        respond.apply(opened, proposal, "raj", "ticket 12", confirmed)


def test_in_a_run_without_a_connector_every_action_is_notify_and_its_card_says_why(workspace, command):
    left = command("respond", "list", "--json", cwd=workspace)
    assert left.code == 0 and left.json
    assert {row["verb"] for row in left.json} == {"notify"}
    asked = [row for row in left.json if row["note"]]
    assert asked and all("enforce_handle" in r["note"] or "not set up" in r["note"] for r in asked)
    left = command("respond", "apply", asked[0]["action_uid"], "--why", "x", "--yes", cwd=workspace)
    assert left.code == 2 and "nothing to apply" in left.err
    (page,) = (p for p in (workspace / "reports").glob("run1_*/index.html"))
    assert "notify only:" in page.read_text()


def test_in_a_run_with_a_connector_the_facts_have_the_command_and_follow_the_journal(workspace):
    from tokenkit import report
    from tokenkit.respond import journal
    from tokenkit.store import state

    path = workspace / config.FILE_NAME
    names = 'socket = "/run/h.sock"\nmap = "/etc/a.map"\nprobe = "http://127.0.0.1:1/"\n'
    path.write_text(f"{path.read_text()}\n[respond.haproxy]\n{names}")
    opened = config.find(workspace)
    with state.connect(opened.state) as db:
        last = state.last_run(db)
        records = [json.loads(r[0]) for r in db.execute("select record from incidents").fetchall()]
    wanted = next(r for r in records if r["action"]["verb"] in ("lock", "restrict", "step_up"))
    rows = lake.read(opened.lake, "dim_token").to_pylist()
    for row in rows:
        if row["token_uid"] in wanted["token_uids"]:
            row |= {"enforce_connector": "haproxy", "enforce_handle": HMAC}
    lake.replace(
        opened.lake, "dim_token", pa.Table.from_pylist(rows, schema=lake.read(opened.lake, "dim_token").schema)
    )
    acting = [p for p in respond.newest_proposals(opened) if p.acts]
    assert acting and {p.incident_uid for p in acting} == {wanted["incident_uid"]}
    asked = (opened, last["start"], last["end"])

    def how():
        listed = report.gather(*asked)["incidents"]
        return next(i["action"]["how"] for i in listed if i["incident_uid"] == wanted["incident_uid"])

    assert any(f"respond apply {acting[0].action_uid}" in line for line in how())
    assert HMAC not in json.dumps(report.gather(*asked))
    hidden = Workspace(opened.root, opened.settings.model_copy(update={"report": config.Report(pseudonymous=True)}))
    (shown,) = respond.add_actions(hidden, [wanted], date.fromisoformat(last["end"]))
    assert "HANDLE" in json.dumps(shown["action"]["how"]) and "76ca" not in json.dumps(shown["action"])
    p = acting[0]
    record = {"operation": "apply", "verb": p.verb, "who": "ana", "when": journal.now(), "token_uid": p.token_uid,
              "incident_uid": p.incident_uid}  # fmt: skip
    journal.append(opened, p.action_uid, journal.INTENT, record)
    journal.append(opened, p.action_uid, journal.RESULT, {"operation": "apply", "status": "verified"})
    assert any(f"by ana at {record['when'][:10]}" in line for line in how()), "the journal is part of the key"
    renamed = wanted | {"incident_uid": "inc1_renamed", "aliases": [wanted["incident_uid"]]}
    (again,) = (p for p in respond.propose(opened, [renamed]) if p.token_uid == acting[0].token_uid)
    assert again.action_uid == acting[0].action_uid, "what was done is not proposed again under another name"
    (shown,) = respond.add_actions(opened, [renamed], date.fromisoformat(last["end"]))
    assert shown["action"]["applied"] == acting[0].verb and f"undo {acting[0].action_uid}" in shown["action"]["undo"]
    second = wanted | {"incident_uid": "inc1_second", "aliases": []}
    (shown,) = respond.add_actions(opened, [second], date.fromisoformat(last["end"]))
    assert shown["action"]["applied"] == acting[0].verb, "a token that is locked is not to be locked again"
    assert not any("respond apply" in line for line in shown["action"]["how"])
    weaker = {"lock": "restrict", "restrict": "step_up", "step_up": "notify"}[acting[0].verb]
    journal.append(opened, p.action_uid, journal.INTENT, record | {"verb": weaker})
    journal.append(opened, p.action_uid, journal.RESULT, {"operation": "apply", "status": "verified"})
    (shown,) = respond.add_actions(opened, [second], date.fromisoformat(last["end"]))
    assert "applied" not in shown["action"], "less than this incident asks for is not enough"
    assert any("respond apply" in line for line in shown["action"]["how"])
