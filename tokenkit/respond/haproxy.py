"""HAProxy: a map from handle to verb, changed through the admin socket and in its file, so that it survives a reload.

Reads and writes  the map file and the runtime map (``show map``, ``add map``, ``set map``, ``del map``).
The file is replaced by one rename; its other lines, its comments, owner and mode stay as they are.
A probe is a request to HAProxy's second frontend (docs/respond/haproxy.cfg), which takes the handle in a header and
goes through the same rules, since tokenkit never holds the key itself.
"""

import http.client
import os
import re
import socket
import stat
import urllib.parse
from pathlib import Path

from tokenkit import config
from tokenkit.errors import RespondError
from tokenkit.respond.connector import Check, GatewayState, Verification

TIMEOUT_S = 2.0
HEADER = "X-Tokenkit-Handle"
CHALLENGE = "insufficient_user_authentication"  # RFC 9470, section 3
# what is one word to the command line of the socket and in a line of the map file
_HANDLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._~:@=+/-]{3,255}")
_VALUE = re.compile(r"[a-z_]{1,32}")


class HAProxy:
    """The connector to an HAProxy; ``settings`` names the socket, the map and the probe."""

    name = "haproxy"

    def __init__(self, settings: config.HAProxy) -> None:
        self.socket, self.map, self.probe = settings.socket, settings.map, settings.probe

    def unusable(self, handle: str) -> str | None:
        """Return why this handle cannot be a key of the map, or None.

        Examples
        --------
        >>> HAProxy(config.HAProxy()).unusable("76ca9a91aee7")
        >>> HAProxy(config.HAProxy()).unusable("a; shutdown sessions")
        'it holds other characters than A-Z a-z 0-9 . _ ~ : @ = + / -, or is shorter than 4 or longer than 256'
        """
        if _HANDLE.fullmatch(handle):
            return None
        return "it holds other characters than A-Z a-z 0-9 . _ ~ : @ = + / -, or is shorter than 4 or longer than 256"

    def read(self, handle: str) -> GatewayState:
        """Read what HAProxy does with the handle now (``show map``), and what its file says for the next start."""
        return GatewayState(self.runtime_map().get(handle), self.file_map().get(handle))

    def write(self, handle: str, value: str | None) -> None:
        """Change the file first: if this is interrupted, a reload brings what was decided, never less."""
        if self.unusable(handle) or (value is not None and not _VALUE.fullmatch(value)):
            raise RespondError(f"haproxy: {handle[:4]}... or {value} cannot stand in a map. Correct enforce_handle.")
        self._replace_file(handle, value)
        current = self.runtime_map().get(handle)
        if current == value:
            return
        command = f"del map {self.map} {handle}" if value is None else (
            f"{'add' if current is None else 'set'} map {self.map} {handle} {value}")  # fmt: skip
        answer = self.ask(command).strip()
        if answer:
            raise RespondError(
                f"{self.socket}: HAProxy refused {command.split()[0]} map: {_first_line(answer)}. "
                "Check that the stats socket says: level admin"
            )

    def verify(self, handle: str, expected: str | None) -> Verification:
        """Check ``show map``, the file, and the answer to a request with this handle."""
        state = self.read(handle)
        wanted = expected or "nothing"
        checks = [
            Check("show map", wanted, state.in_force or "nothing", state.in_force == expected),
            Check("map file", wanted, state.after_restart or "nothing", state.after_restart == expected),
        ]
        return Verification((*checks, *self._probe(handle, expected)))

    def commands(self, handle: str, value: str | None) -> list[str]:
        """Return the commands of the socket and the line of the file."""
        if value is None:
            return [f"HAProxy's socket: del map {self.map} {handle}", f"{self.map}: remove the line of {handle}"]
        return [
            f"HAProxy's socket: add map {self.map} {handle} {value} (set map, where it has an entry)",
            f"{self.map}: {handle} {value}",
        ]

    # ---- the socket ----
    def ask(self, command: str) -> str:
        """Send a command of the runtime API and return its answer.

        Raises
        ------
        RespondError
            There is no such socket, it may not be used or may not change maps, HAProxy does not answer, or the map is
            not loaded.
        """
        answer = self.send(command)
        if answer.startswith("Unknown map identifier"):
            raise RespondError(
                f"{self.map}: HAProxy has not loaded this map; it has {self._maps(command)}. "
                "Check respond.haproxy.map, which must be written as in HAProxy's configuration, and reload HAProxy."
            )
        if answer.startswith("Permission denied"):
            raise RespondError(
                f"{self.socket}: this socket may not change maps. Check that the stats socket says: level admin"
            )
        return answer

    def send(self, command: str) -> str:
        """Send a command and return its answer, also where that is a refusal."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(TIMEOUT_S)
                link.connect(self.socket)
                link.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: link.recv(65536), b"")).decode("utf-8", "replace")
        except FileNotFoundError as error:
            raise RespondError(
                f"{self.socket}: there is no such socket. Check respond.haproxy.socket against HAProxy's stats socket, "
                "and that HAProxy runs. Nothing was asked of it."
            ) from error
        except PermissionError as error:
            raise RespondError(
                f"{self.socket}: you may not use this socket. Run as a member of its group "
                f"({_owner(Path(self.socket))}), or change mode and group of HAProxy's stats socket."
            ) from error
        except ConnectionRefusedError as error:
            raise RespondError(
                f"{self.socket}: HAProxy does not answer: it is down. Start it (systemctl start haproxy), then repeat."
            ) from error
        except OSError as error:
            raise RespondError(f"{self.socket}: HAProxy does not answer ({error}). Check that it runs.") from error

    def runtime_map(self) -> dict[str, str]:
        """Read the map as HAProxy has it now."""
        entries: dict[str, str] = {}
        for line in self.ask(f"show map {self.map}").splitlines():
            parts = line.split()
            if len(parts) >= 2 and parts[0].startswith("0x"):
                entries.setdefault(parts[1], " ".join(parts[2:]))  # of two entries HAProxy uses the first
        return entries

    def _maps(self, command: str) -> str:
        if command == "show map":
            return "none"
        maps = re.findall(r"^-?\d+ \(([^)]+)\)", self.ask("show map"), flags=re.MULTILINE)
        return ", ".join(maps[:5]) or "none"

    # ---- the file ----
    def file_map(self) -> dict[str, str]:
        """Read the map from its file, which is for HAProxy's next start."""
        entries: dict[str, str] = {}
        for line in self._content().splitlines():
            if (pair := parse_line(line)) is not None:
                entries.setdefault(*pair)
        return entries

    def _content(self) -> bytes:
        try:
            return Path(self.map).read_bytes()
        except FileNotFoundError as error:
            raise RespondError(
                f"{self.map}: there is no such map file, and HAProxy would not start without it. Make it: "
                f"touch {self.map}"
            ) from error
        except OSError as error:
            raise RespondError(f"{self.map}: the map file cannot be read: {error.strerror}. Check its mode.") from error

    def _replace_file(self, handle: str, value: str | None) -> None:
        before = self._content()
        content = edit_map(before, handle, value)
        if content == before:
            return
        path = Path(self.map).resolve()  # a link stays a link
        # always the same name, so that a killed run leaves at most one file, which the next write replaces
        temporary = path.with_name(f".{path.name}.tokenkit")
        try:
            former = path.stat()
            if not os.access(path, os.W_OK):  # a rename would not check that
                raise PermissionError(13, "it is read-only")
            number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(number, "wb") as file:
                file.write(content)
                if (former.st_uid, former.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), former.st_uid, former.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(former.st_mode))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise RespondError(
                f"{self.map}: the map file cannot be written: {error.strerror}. Run as its owner ({_owner(path)}), who "
                "must also be allowed to write to its folder; the file was not changed."
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    # ---- the probe ----
    def _probe(self, handle: str, expected: str | None) -> list[Check]:
        answers = _ANSWERS.get(expected or "allow")
        if answers is None:
            return [Check("probe", "an answer we know for it", f"the value {expected} is not ours", False)]
        checks = []
        for method, wanted in answers:
            answer = self._request(method, handle)
            checks.append(Check(f"probe {method}", wanted, answer, answer == wanted))
        return checks

    def _request(self, method: str, handle: str) -> str:
        """Return the answer to a request with this handle, or why there is none."""
        target = urllib.parse.urlsplit(self.probe)
        link: http.client.HTTPConnection
        try:
            kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
            link = kind(target.hostname or "", target.port, timeout=TIMEOUT_S)
            try:
                link.request(method, target.path or "/", headers={HEADER: handle, "User-Agent": "tokenkit-probe"})
                answer = link.getresponse()
                challenge = CHALLENGE in (answer.getheader("WWW-Authenticate") or "")
            finally:
                link.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            return f"no answer from {self.probe} ({error})"
        return f"{answer.status} with a challenge" if challenge else str(answer.status)


# how the reference configuration answers a probe; 204 means that the call passes
_ANSWERS = {
    "allow": [("GET", "204")],
    "lock": [("GET", "403")],
    "step_up": [("GET", "401 with a challenge")],
    "restrict": [("GET", "204"), ("POST", "403")],
}


def connector(settings: config.Respond) -> HAProxy | str:
    """Return the connector, or a text that says what its settings lack."""
    lacking = [f"respond.haproxy.{k}" for k in ("socket", "map", "probe") if not getattr(settings.haproxy, k)]
    if lacking:
        return f"the haproxy connector is not set up: {', '.join(lacking)} in {config.FILE_NAME} (docs/respond.md)"
    return HAProxy(settings.haproxy)


def parse_line(line: bytes) -> tuple[str, str] | None:
    """Return key and value of a line of a map file, or None for a comment or an empty line."""
    text = line.strip(b" \t\r\n")
    if not text or text.startswith(b"#"):
        return None
    key, _, value = text.replace(b"\t", b" ").partition(b" ")
    return key.decode("utf-8", "replace"), value.strip().decode("utf-8", "replace")


def edit_map(content: bytes, handle: str, value: str | None) -> bytes:
    r"""Return a map file with one key set, or removed; every other byte stays as it was.

    Examples
    --------
    >>> edit_map(b"# ours\nabcd lock\nefgh lock\n", "abcd", None)
    b'# ours\nefgh lock\n'
    >>> edit_map(b"# ours\n", "abcd", "restrict")
    b'# ours\nabcd restrict\n'
    """
    lines, is_set = [], False
    for line in content.split(b"\n"):
        pair = parse_line(line)
        if pair is None or pair[0] != handle:
            lines.append(line)
        elif value is not None and not is_set:
            lines.append(line if pair[1] == value else f"{handle} {value}".encode())
            is_set = True
    text = b"\n".join(lines)
    if value is not None and not is_set:
        text += (b"" if not text or text.endswith(b"\n") else b"\n") + f"{handle} {value}\n".encode()
    return text


def _owner(path: Path) -> str:
    """Return ``user:group`` of a file, or unknown."""
    try:
        return f"{path.owner()}:{path.group()}"
    except (OSError, KeyError):
        return "unknown"


def _first_line(text: str) -> str:
    return text.splitlines()[0][:200].rstrip(".")
