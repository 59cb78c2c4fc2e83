"""Lock, restrict, step up and undo at a real HAProxy: what the holder of the key meets, and what is written down."""

import json
import multiprocessing
import time

import pytest
from filelock import FileLock
from respond.conftest import SECRET, TOKEN, incident
from respond.gateway import Gateway, handle

from tokenkit import config, respond
from tokenkit.errors import InputError, LockedError, RespondError
from tokenkit.respond import act, haproxy, journal

pytestmark = pytest.mark.haproxy
H = handle(SECRET)


def only(workspace):
    (proposal,) = respond.newest_proposals(workspace)
    return proposal


def entries(gateway):
    """What HAProxy says and what its file says."""
    return [" ".join(line.split()[1:]) for line in gateway.ask(f"show map {gateway.map}").splitlines() if line], (
        gateway.map.read_text()
    )


def test_a_lock_passes_refuses_and_passes_again_and_the_journal_says_who_and_why(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    assert gateway.call(SECRET)[0] == 200
    done = respond.apply(workspace, only(workspace), "ana", "ticket 12")
    assert (done.state, done.acted) == ("applied", True)
    assert {c["what"]: c["found"] for c in done.checks} == {"show map": "lock", "map file": "lock", "probe GET": "403"}
    assert gateway.call(SECRET)[0] == gateway.call(SECRET, "POST")[0] == 403
    assert gateway.call("k-another")[0] == 200, "nobody else is touched"
    assert entries(gateway) == ([f"{H} lock"], f"{H} lock\n")
    undone = respond.undo(workspace, done.action_uid, "raj", "it was our test")
    assert undone.state == "undone" and gateway.call(SECRET)[0] == 200
    assert entries(gateway) == ([], "")
    rows = journal.read(workspace)
    assert [(r.phase, r.record["operation"], r.record["who"]) for r in rows] == [
        ("intent", "apply", "ana"), ("result", "apply", "ana"), ("intent", "undo", "raj"), ("result", "undo", "raj"),
    ]  # fmt: skip
    assert rows[0].record["why"] == "ticket 12" and rows[0].record["prior"] is None
    assert journal.check(rows) is None


def test_step_up_answers_401_with_the_challenge_of_rfc_9470(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "step_up")], gateway.settings)
    respond.apply(workspace, only(workspace), "ana", "new network")
    status, challenge = gateway.call(SECRET)
    assert status == 401
    assert challenge.startswith('Bearer error="insufficient_user_authentication"') and "acr_values=" in challenge


def test_restrict_lets_reads_pass_and_nothing_else(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "restrict")], gateway.settings)
    done = respond.apply(workspace, only(workspace), "ana", "a walk")
    assert (gateway.call(SECRET)[0], gateway.call(SECRET, "POST")[0], gateway.call(SECRET, "DELETE")[0]) == (
        200,
        403,
        403,
    )
    assert [c["found"] for c in done.checks][2:] == ["204", "403"]


def test_a_restart_of_haproxy_keeps_a_lock(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    respond.apply(workspace, only(workspace), "ana", "stolen")
    gateway.stop()
    gateway.start()
    assert gateway.call(SECRET)[0] == 403


def test_applying_twice_acts_once_and_undoing_twice_acts_once(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    first = respond.apply(workspace, only(workspace), "ana", "x")
    before = gateway.map.stat()
    again = respond.apply(workspace, only(workspace), "raj", "y")
    assert (again.acted, again.state) == (False, "applied") and "applied by ana" in again.message
    assert (gateway.map.stat().st_ino, gateway.map.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(journal.read(workspace)) == 2 and entries(gateway)[0] == [f"{H} lock"]
    assert respond.undo(workspace, first.action_uid, "ana", "x").acted
    assert not respond.undo(workspace, first.action_uid, "ana", "x").acted
    assert len(journal.read(workspace)) == 4


def test_an_incident_without_a_handle_changes_nothing_anywhere(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings, handles={})
    proposal = only(workspace)
    assert proposal.verb == "notify" and "no enforce_handle in the inventory" in proposal.why_not
    before = entries(gateway), workspace.state.read_bytes()
    with pytest.raises(InputError, match="nothing to apply: no enforce_handle"):
        respond.apply(workspace, proposal, "ana", "x")
    assert (entries(gateway), workspace.state.read_bytes()) == before
    assert journal.read(workspace) == [] and gateway.call(SECRET)[0] == 200


def test_foreign_lines_comments_and_mode_of_the_map_file_stay_as_they_are(gateway, make):
    foreign = b"# by hand, caf\xe9\r\n\n  0123abcd\tallow  \nlast-without-newline lock"
    gateway.map.write_bytes(foreign)
    gateway.map.chmod(0o640)
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    done = respond.apply(workspace, only(workspace), "ana", "x")
    assert gateway.map.read_bytes() == foreign + f"\n{H} lock\n".encode()
    assert gateway.map.stat().st_mode & 0o777 == 0o640
    respond.undo(workspace, done.action_uid, "ana", "x")
    assert gateway.map.read_bytes() == foreign + b"\n"
    assert sorted(p.name for p in gateway.folder.iterdir() if p.name.startswith(".actions")) == []


def test_what_was_there_before_is_put_back(gateway, make):
    gateway.map.write_text(f"{H} restrict\n")
    gateway.stop()
    gateway.start()
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    done = respond.apply(workspace, only(workspace), "ana", "x")
    assert gateway.call(SECRET)[0] == 403
    assert "in force again: restrict" in respond.undo(workspace, done.action_uid, "ana", "x").message
    assert entries(gateway) == ([f"{H} restrict"], f"{H} restrict\n")


def test_two_actions_on_one_token_are_undone_last_one_first(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "restrict"), incident("inc1_b", TOKEN, "lock")], gateway.settings)
    first, second = (respond.apply(workspace, p, "ana", "x").action_uid for p in respond.newest_proposals(workspace))
    with pytest.raises(InputError, match=f"{second} was applied later"):
        respond.undo(workspace, first, "ana", "x")
    with pytest.raises(InputError, match=f"{second} was applied later"):
        respond.apply(workspace, respond.find_proposal(workspace, first), "ana", "x")
    assert gateway.call(SECRET)[0] == 403
    respond.undo(workspace, second, "ana", "x")
    assert (gateway.call(SECRET)[0], gateway.call(SECRET, "POST")[0]) == (200, 403)
    respond.undo(workspace, first, "ana", "x")
    assert entries(gateway) == ([], "")


def test_an_entry_that_somebody_else_changed_is_left_alone(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    done = respond.apply(workspace, only(workspace), "ana", "x")
    gateway.ask(f"set map {gateway.map} {H} restrict")
    (row,) = respond.overview(workspace)
    assert "disagrees with itself: restrict in force, lock kept" in row["note"]
    with pytest.raises(InputError, match="somebody changed the entry"):
        respond.undo(workspace, done.action_uid, "ana", "x")
    assert entries(gateway)[0] == [f"{H} restrict"]


def test_what_a_reload_without_the_file_lost_is_marked_and_applied_again(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    done = respond.apply(workspace, only(workspace), "ana", "x")
    gateway.ask(f"del map {gateway.map} {H}")
    (row,) = respond.overview(workspace)
    assert row["state"] == "applied" and "the journal says lock" in row["note"]
    assert respond.apply(workspace, only(workspace), "ana", "again").acted
    assert gateway.call(SECRET)[0] == 403
    respond.undo(workspace, done.action_uid, "ana", "x")
    assert entries(gateway) == ([], ""), "what was there before the first time is put back, not our own lock"


def test_the_hold_file_refuses_every_apply_and_allows_undo(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    done = respond.apply(workspace, only(workspace), "ana", "x")
    workspace.hold.touch()
    assert respond.undo(workspace, done.action_uid, "ana", "x").state == "undone"
    with pytest.raises(InputError, match=r"hold is there.*rm "):
        respond.apply(workspace, only(workspace), "ana", "x")
    assert entries(gateway) == ([], "")


# ---- interrupted ----
def interrupted(workspace, gateway, file=None, runtime=None):
    """An apply that ended right after its intent, or after the file, or after both."""
    p, connector = only(workspace), respond.connectors(workspace)["haproxy"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(act, "_carry_out", lambda *a: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            respond.apply(workspace, p, "ana", "stolen")
    if file:
        connector._replace_file(H, file)
    if runtime:
        gateway.ask(f"add map {gateway.map} {H} {runtime}")
    assert [r["state"] for r in respond.overview(workspace)] == ["in doubt"]


@pytest.mark.parametrize(("file", "runtime"), [(None, None), ("lock", None), ("lock", "lock")])
def test_an_interrupted_apply_is_finished_by_the_next_command_which_says_so(gateway, make, command, file, runtime):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    interrupted(workspace, gateway, file, runtime)
    left = command("respond", "list", "--json", cwd=workspace.root)
    assert left.code == 0 and left.json[0]["state"] == "applied"
    assert "apply by ana at" in left.err and "was interrupted; finished now" in left.err
    assert gateway.call(SECRET)[0] == 403 and entries(gateway) == ([f"{H} lock"], f"{H} lock\n")
    assert [r.record.get("settled") for r in journal.read(workspace)] == [None, True]


def test_an_interrupted_apply_is_put_back_while_on_hold(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    interrupted(workspace, gateway, file="lock")
    workspace.hold.touch()
    (said,) = respond.settle(workspace, "raj")
    assert "put back: nothing in force and kept" in said and entries(gateway) == ([], "")
    assert respond.overview(workspace)[0]["state"] == "failed"


def test_an_interrupted_apply_whose_entry_somebody_changed_is_left_alone(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    interrupted(workspace, gateway, runtime="restrict")
    (said,) = respond.settle(workspace, "raj")
    assert "left alone" in said and entries(gateway)[0] == [f"{H} restrict"]


def test_what_is_in_doubt_stays_so_while_haproxy_is_down_and_list_still_works(gateway, make, command):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    interrupted(workspace, gateway)
    gateway.stop()
    left = command("respond", "list", "--json", cwd=workspace.root)
    assert left.code == 0 and left.json[0]["state"] == "in doubt"
    assert "still in doubt" in left.err and "Start it" in left.err


# ---- what a person meets ----
def refused(gateway, make, *words):
    """Applying fails with these words, and the map is as it was."""
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    before = gateway.map.read_bytes()
    with pytest.raises(RespondError) as caught:
        respond.apply(workspace, only(workspace), "ana", "x")
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert gateway.map.read_bytes() == before
    return workspace


def test_haproxy_that_is_down(gateway, make):
    gateway.stop()
    workspace = refused(gateway, make, "HAProxy does not answer: it is down", "Start it")
    assert journal.read(workspace) == []


def test_a_socket_that_is_missing(gateway, make):
    gateway.socket.unlink()
    refused(gateway, make, "there is no such socket", "respond.haproxy.socket")


def test_a_socket_that_may_not_be_used(gateway, make, monkeypatch):
    def forbidden(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(haproxy.socket, "socket", type("S", (haproxy.socket.socket,), {"connect": forbidden}))
    refused(gateway, make, "you may not use this socket", "group")


@pytest.mark.parametrize("answer", ["Permission denied\n", "Out of memory.\n"])
def test_a_socket_that_refuses_the_change_puts_the_file_back(gateway, make, monkeypatch, answer):
    real = haproxy.HAProxy.send
    refusing = lambda self, command: real(self, command) if command.startswith("show") else answer  # noqa: E731
    monkeypatch.setattr(haproxy.HAProxy, "send", refusing)
    workspace = refused(gateway, make, "level admin")
    (row,) = respond.overview(workspace)
    assert row["state"] == "failed" and gateway.call(SECRET)[0] == 200
    assert journal.read(workspace)[1].record["found"] == [None, None]


def test_a_map_that_haproxy_has_not_loaded(gateway, make, tmp_path):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    other = tmp_path / "other.map"
    other.touch()
    text = (workspace.root / config.FILE_NAME).read_text().replace(str(gateway.map), str(other))
    (workspace.root / config.FILE_NAME).write_text(text)
    workspace = config.init(workspace.root)
    with pytest.raises(RespondError, match=f"has not loaded this map; it has {gateway.map}"):
        respond.apply(workspace, only(workspace), "ana", "x")


def test_a_map_file_that_is_missing(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    gateway.map.unlink()
    with pytest.raises(RespondError, match=r"no such map file.*touch"):
        respond.apply(workspace, only(workspace), "ana", "x")
    gateway.map.touch()


def test_a_map_file_that_is_read_only(gateway, make, monkeypatch):
    monkeypatch.setattr(haproxy.os, "access", lambda path, mode: False)  # root may write anything
    workspace = refused(gateway, make, "the map file cannot be written", "Run as its owner")
    assert entries(gateway)[0] == [] and respond.overview(workspace)[0]["state"] == "failed"


def test_a_probe_that_nobody_answers_is_unverified_and_verified_when_asked_again(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    text = (workspace.root / config.FILE_NAME).read_text()
    broken = text.replace(gateway.settings.haproxy.probe, "http://127.0.0.1:9/")
    (workspace.root / config.FILE_NAME).write_text(broken)
    with pytest.raises(RespondError, match=r"not verified: probe GET: expected 403, found no answer.*stays as it is"):
        respond.apply(config.init(workspace.root), only(workspace), "ana", "x")
    assert gateway.call(SECRET)[0] == 403
    assert respond.overview(workspace)[0]["state"] == "unverified"
    (workspace.root / config.FILE_NAME).write_text(text)
    assert respond.apply(workspace, only(workspace), "ana", "x").state == "applied"
    assert [r.phase for r in journal.read(workspace)] == ["intent", "result", "result"], "acted once, looked twice"


def test_the_second_of_two_people_waits_and_is_then_told(gateway, make, monkeypatch):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    monkeypatch.setattr(act, "TIMEOUT_S", 0.1)
    with FileLock(workspace.root / ".tokenkit" / "respond.lock"), pytest.raises(LockedError, match="Wait until"):
        respond.apply(workspace, only(workspace), "ana", "x")


def _apply(workspace, proposal):
    respond.apply(workspace, proposal, "ana", "x")


def test_two_people_at_once_act_once(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    fork = multiprocessing.get_context("fork")
    both = [fork.Process(target=_apply, args=(workspace, only(workspace))) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [p.exitcode for p in both] == [0, 0]
    assert len(journal.read(workspace)) == 2 and entries(gateway) == ([f"{H} lock"], f"{H} lock\n")


# ---- the command line ----
def test_the_command_line_lists_shows_applies_and_undoes(gateway, make, command):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    (row,) = command("respond", "list", "--json", cwd=workspace.root).json
    uid = row["action_uid"]
    assert (row["state"], row["verb"], row["token"], row["owner"]) == ("proposed", "lock", "ci-deploy", "Ana")
    assert uid in command("respond", "list", cwd=workspace.root).out
    shown = command("respond", "show", uid, cwd=workspace.root).out
    assert f"add map {gateway.map} {H} lock" in shown and f"respond undo {uid}" in shown
    dry = command("respond", "apply", "inc1_a", "--dry-run", cwd=workspace.root).out
    assert "add map" in dry and dry.endswith("dry run: nothing was changed\n")
    left = command("respond", "show", "inc1_b", cwd=workspace.root)
    assert left.code == 2 and "no action or incident 'inc1_b'; did you mean inc1_a" in left.err
    left = command("respond", "apply", uid, "--why", "x", cwd=workspace.root)
    assert left.code == 2 and "add --yes" in left.err
    left = command("respond", "apply", uid, "--yes", cwd=workspace.root)
    assert left.code == 2 and "--why REASON" in left.err
    left = command("respond", "apply", uid[:-2] + "zz", "--why", "x", "--yes", cwd=workspace.root)
    assert left.code == 2 and f"did you mean {uid}" in left.err
    assert journal.read(workspace) == [] and gateway.call(SECRET)[0] == 200
    left = command("respond", "apply", uid, "--why", "x token=abcdef", "--yes", cwd=workspace.root)
    assert left.code == 0 and "applied, verified" in left.out and "probe GET: 403" in left.out
    assert command("respond", "list", "--json", cwd=workspace.root).json[0]["state"] == "applied"
    shown = command("respond", "show", uid, cwd=workspace.root).out
    assert "token=[masked]" in shown and "abcdef" not in shown
    left = command("respond", "undo", "inc1_a", "--why", "y", "--yes", "--json", cwd=workspace.root)
    assert left.json["state"] == "undone" and gateway.call(SECRET)[0] == 200
    left = command("respond", "undo", "act1_0", "--why", "y", cwd=workspace.root)
    assert left.code == 2 and "no such action was applied" in left.err
    gateway.stop()
    left = command("respond", "apply", uid, "--why", "x", "--yes", cwd=workspace.root)
    assert left.code == 5 and "Start it" in left.err


# ---- its log ----
def test_the_log_of_the_example_is_read_by_the_source_and_gives_the_handle(gateway, tmp_path):
    from tokenkit import sources

    gateway.call(SECRET)
    gateway.call(SECRET, "POST")
    time.sleep(0.1)
    gateway.stop()
    lines = [line for line in gateway.log.read_text().splitlines() if line.startswith("{")]
    assert [json.loads(line)["ua"] for line in lines] == ['sdk "1"/2', 'sdk "1"/2'], "probes are not logged"
    path = tmp_path / "haproxy.jsonl"
    path.write_text("\n".join(lines) + "\n")
    assert sources.recognise(path).name == "haproxy"
    tally = sources.Tally()
    (batch,) = sources.get("haproxy").read(path, sources.Reading(b"k" * 32), tally)
    token = batch.dimensions["dim_token"].to_pylist()[0]
    assert (token["enforce_connector"], token["enforce_handle"]) == ("haproxy", H)
    assert tally.quarantined == [] and batch.events.num_rows == 2


def test_two_keys_in_one_call_are_refused(gateway: Gateway):
    import http.client

    link = http.client.HTTPConnection("127.0.0.1", gateway.ports["api"], timeout=5)
    link.putrequest("GET", "/")
    link.putheader("X-Api-Key", SECRET)
    link.putheader("X-Api-Key", "other")
    link.endheaders()
    assert link.getresponse().status == 400
    link.close()


def test_a_gateway_that_disagrees_with_itself_is_left_alone(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    entry = f"{handle(SECRET)} restrict\n"
    gateway.map.write_text(entry)  # in the file, and not in force
    with pytest.raises(InputError, match=r"disagrees with itself.*Nothing was changed"):
        respond.apply(workspace, only(workspace), "ana", "x")
    assert gateway.map.read_text() == entry and journal.read(workspace) == []


def test_what_was_finished_first_is_told_to_who_asked_for_something_else(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock"), incident("inc1_b", TOKEN, "restrict")], gateway.settings)
    first = next(p for p in respond.newest_proposals(workspace) if p.incident_uid == "inc1_a")
    record = {"operation": "apply", "verb": "lock", "value": "lock", "prior": None, "before": [None, None],
              "connector": first.connector, "handle": first.handle, "token_uid": first.token_uid,
              "incident_uid": first.incident_uid, "label": first.label, "owner": first.owner,
              "first_seen": first.first_seen, "risk_level": first.risk_level, "who": "raj", "why": "x",
              "when": journal.now(), "commands": [], "undo": []}  # fmt: skip
    journal.append(workspace, first.action_uid, journal.INTENT, record)
    other = next(p for p in respond.newest_proposals(workspace) if p.incident_uid == "inc1_b")
    outcome = respond.apply(workspace, other, "ana", "x")
    assert len(outcome.settled) == 1 and "was interrupted; finished now" in outcome.settled[0]
