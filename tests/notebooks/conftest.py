"""JupyterLab as ``make lab`` starts it, on a copy of the analysed workspace, watched by a browser."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "tests-only"


@dataclass
class Lab:
    """A running JupyterLab: where, on which workspace, and how a notebook is opened in it."""

    url: str
    workspace: Path
    context: BrowserContext
    runtime: Path
    heard: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def open(self, name: str) -> Page:
        """A fresh page with the notebook; what its console says and what it asks of other machines is heard."""
        page = self.context.new_page()
        page.on("console", self.hear_console)
        page.on("pageerror", lambda error: self.heard.append(f"error: {error}"))
        page.on("request", lambda request: self.hear_address(request.url))
        page.on("websocket", lambda socket: self.hear_address(socket.url.replace("ws://", "http://")))
        page.goto(f"{self.url}/lab/workspaces/{name}/tree/{name}.ipynb?token={TOKEN}&reset")
        # it says idle also before it has a kernel, and what is run then is dropped without a word
        cells = len(json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())["cells"])
        ready = """cells => document.querySelectorAll('.jp-Notebook .jp-Cell').length === cells
                   && !document.querySelector('.jp-KernelName').textContent.includes('No Kernel')
                   && document.querySelector('.jp-Notebook-ExecutionIndicator').dataset.status === 'idle'"""
        page.wait_for_function(ready, arg=cells, timeout=60_000)
        asked = page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts()
        assert asked == [], "a question stands in the way"
        self.opened.append(name)
        return page

    def hear_console(self, said: ConsoleMessage) -> None:
        """Note an error of the console, with the address that it is about."""
        if said.type == "error":
            self.heard.append(f"error: {said.text} {said.location['url']}")

    def hear_address(self, url: str) -> None:
        """Note an address of another machine; none would answer (``QUIET``)."""
        if not url.startswith((self.url, "data:", "blob:")):
            self.heard.append(f"asked for {url}")

    def run_all(self, page: Page, timeout_ms: float = 60_000) -> None:
        """Run all cells, and wait until the last has run; a count that was there before is of another run."""
        counts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.textContent)"
        before = page.evaluate(counts)
        page.get_by_role("menuitem", name=re.compile("^Run$")).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        ran = f"before => {counts}.every((now, n) => /^\\[\\d+\\]:$/.test(now) && now !== before[n])"
        page.wait_for_function(ran, arg=before, timeout=timeout_ms)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="module")
def lab(analysed: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on loopback with our own notebooks and a copy of the workspace."""
    folder = tmp_path_factory.mktemp("lab")
    # not below the folder of the test: the path of a socket file may have 107 characters, and a worker's is longer
    runtime = tempfile.TemporaryDirectory(prefix="tk-")
    workspace = Path(shutil.copytree(analysed, folder / "workspace"))
    notebooks = Path(shutil.copytree(ROOT / "notebooks", folder / "notebooks"))
    port = free_port()
    env = os.environ | {
        "TOKENKIT_WORKSPACE": str(workspace),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": runtime.name,
        "IPYTHONDIR": str(folder / "ipython"),
    }
    log = (folder / "lab.log").open("wb")
    jupyter = [str(Path(sys.executable).parent / "jupyter"), "lab", f"--config={ROOT / '.lab/jupyter_lab_config.py'}"]
    options = [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
    more = ["--no-browser", "--ServerApp.ip=127.0.0.1", "--allow-root", str(notebooks)]
    server = subprocess.Popen([*jupyter, *options, *more], env=env, stdout=log, stderr=log, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/api?token={TOKEN}", timeout=1)
                break
            except OSError:
                assert server.poll() is None, (folder / "lab.log").read_text()
                time.sleep(0.1)
        else:
            raise AssertionError(f"JupyterLab did not answer: {(folder / 'lab.log').read_text()}")
        # one for all pages, so that the scripts of JupyterLab are read and compiled once
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        yield Lab(url, workspace, context, Path(runtime.name))
        context.close()
    finally:
        server.terminate()
        server.wait(20)
        log.close()
        runtime.cleanup()
