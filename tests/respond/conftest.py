"""A real HAProxy, and a workspace whose newest report has incidents that can be acted on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from respond.gateway import Gateway, handle, in_ci, required

from tokenkit import config, respond
from tokenkit.config import Workspace
from tokenkit.store import state


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """HAProxy on loopback with an empty map. Without HAProxy the test is skipped, or fails where CI=true."""
    if reason := required():
        pytest.fail(reason) if in_ci() else pytest.skip(reason)
    made = Gateway(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.close()


def incident(uid: str, token_uid: str, verb: str, **more: Any) -> dict[str, Any]:
    """An incident's record, as far as a response reads it."""
    return {
        "incident_uid": uid, "profile_uid": token_uid, "token_uids": [token_uid], "evidence": [],
        "start": "2026-03-03T02:00:00Z", "risk_level": "high", "headline": "ci-deploy was used from a network.",
        "token": {"label": "ci-deploy", "mask": "76ca...79ff"}, "owner": {"name": "Ana", "type": "human"},
        "sure": {"level": "high"},
        "action": {"verb": verb, "title": "Lock the key now", "text": "Lock it.", "cost": "It stops.", "how": []},
    } | more  # fmt: skip


TOKEN = "tok1_" + "a" * 24
SECRET = "k-live-1"  # the key that a client holds
Make = Callable[..., Workspace]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A workspace with these incidents in its newest report; ``handles`` stands for the lake's two tables."""

    def build(records: list[dict[str, Any]], settings: config.Respond | None = None,
              handles: dict[str, tuple[str, str]] | None = None) -> Workspace:  # fmt: skip
        opened = config.init(tmp_path / "workspace")
        if settings:
            lines = [f'{k} = "{v}"' for k, v in settings.haproxy.model_dump().items()]
            path = opened.root / config.FILE_NAME
            path.write_text("\n".join([path.read_text(), "[respond.haproxy]", *lines, ""]))
            opened = config.init(opened.root)
        with state.connect(opened.state) as db:
            state.save_run(db, "run1_test", "2026-03-03", "2026-03-04", {})
            for r in records:
                db.execute(
                    "insert or replace into incidents values ('run1_test', ?, ?, 'opened', ?)",
                    [r["incident_uid"], r["profile_uid"], json.dumps(r)],
                )
        known = {TOKEN: ("haproxy", handle(SECRET))} if handles is None else handles
        monkeypatch.setattr(respond, "handles", lambda workspace, when: known)
        return opened

    return build
