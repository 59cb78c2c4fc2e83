"""A real HAProxy on loopback that runs docs/respond/haproxy.cfg, with paths and ports of its own."""

import contextlib
import hashlib
import hmac
import http.client
import http.server
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path

from tokenkit import config

CONFIG = Path(__file__).parents[2] / "docs" / "respond" / "haproxy.cfg"
KEY = b64decode(re.search(r"hmac\(sha256,([^)]+)\)", CONFIG.read_text()).group(1))  # type: ignore[union-attr]


def executable() -> str | None:
    """HAProxy's path; Debian keeps it where not every user's PATH looks."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


def handle(key: str) -> str:
    """What HAProxy makes of a key."""
    return hmac.new(KEY, key.encode(), hashlib.sha256).hexdigest()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class _Service(http.server.BaseHTTPRequestHandler):
    """The service behind the gateway: 200 to everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments: object) -> None:
        """Say nothing: HAProxy drops idle connections when it is stopped."""


@dataclass
class Gateway:
    """HAProxy and the service behind it."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {n: free_port() for n in ("api", "probe", "service")})

    def __post_init__(self) -> None:
        self.socket, self.map, self.log = self.folder / "hap.sock", self.folder / "actions.map", self.folder / "log"
        self.map.touch()
        self.process: subprocess.Popen[bytes] | None = None
        self.service = _Server(("127.0.0.1", self.ports["service"]), _Service)
        threading.Thread(target=self.service.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def settings(self) -> config.Respond:
        probe = f"http://127.0.0.1:{self.ports['probe']}/"
        return config.Respond(haproxy=config.HAProxy(socket=str(self.socket), map=str(self.map), probe=probe))

    def start(self) -> None:
        text = CONFIG.read_text()
        for old, new in (
            ("/run/haproxy/tokenkit.sock", str(self.socket)), ("/etc/haproxy/token_actions.map", str(self.map)),
            ("0.0.0.0:8080", f"127.0.0.1:{self.ports['api']}"), ("127.0.0.1:8405", f"127.0.0.1:{self.ports['probe']}"),
            ("127.0.0.1:8000", f"127.0.0.1:{self.ports['service']}"),
        ):  # fmt: skip
            assert old in text
            text = text.replace(old, new)
        (self.folder / "haproxy.cfg").write_text(text)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(executable()), "-f", str(self.folder / "haproxy.cfg"), "-db"], stdout=log, stderr=log
            )
        for _ in range(200):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
                s.connect(str(self.socket))
                return
            time.sleep(0.02)
        raise AssertionError(f"HAProxy did not start: {self.log.read_text()}")

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.stop()
        self.service.shutdown()
        self.service.server_close()

    def call(self, key: str, method: str = "GET") -> tuple[int, str]:
        """Status and challenge that the holder of a key meets."""
        link = http.client.HTTPConnection("127.0.0.1", self.ports["api"], timeout=5)
        try:
            link.request(method, "/v1/orders/17", headers={"X-Api-Key": key, "User-Agent": 'sdk "1"/2'})
            answer = link.getresponse()
            answer.read()
            return answer.status, answer.getheader("WWW-Authenticate") or ""
        finally:
            link.close()

    def ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.socket))
            s.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def required() -> str | None:
    """Why the tests at a gateway cannot run, or None. With CI=true that is a failure."""
    return None if executable() else "no HAProxy: sudo apt-get install haproxy"


def in_ci() -> bool:
    return os.environ.get("CI") == "true"
