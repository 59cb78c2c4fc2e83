"""The code of docs/api.md runs as it stands, in order, on a workspace that has a report."""

import re
from pathlib import Path

import organisation as small
import pages
import pytest

import tokenkit

PAGE = (pages.DOCS / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LABELLED = "inc1_0123456789abcdef"  # the example's incident


def test_the_examples_run_in_order(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKENKIT_WORKSPACE", raising=False)
    monkeypatch.chdir(workspace)
    ws = tokenkit.open()
    incident = ws.incidents().iloc[0]["incident_uid"]
    code = "".join(BLOCKS)
    for example, ours in (("2026-02-20", small.BUSY[0]), ("2026-03-06", small.BUSY[1]), (LABELLED, incident)):
        assert example in code
        code = code.replace(example, ours)
    # the page says of both what they hold; its second block opens a workspace made of the first
    frame, daily = ws.events(*small.BUSY), ws.fingerprint()
    names = {"frame": frame, "daily": daily, "opened": ws}
    code = code.replace("from tokenkit.workbench import tune", "ws = opened\nfrom tokenkit.workbench import tune")

    exec(compile(code, "docs/api.md", "exec"), names)

    assert len(names["X"]) == len(names["index"]) > 0
    assert len(names["ws"].incidents()) > 0
    newest = tokenkit.open().incidents().set_index("incident_uid").loc[incident]
    assert newest["verdict"] == "benign"
