"""Connector: the interface to a gateway, which is read, changed and checked by a token's handle.

A connector is one file of this package with a class of these five functions, and one line in ``CONNECTORS``
(``respond/__init__.py``). It keeps no state: what is in force is read from the gateway each time.
"""

from dataclasses import asdict, dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class GatewayState:
    """What a gateway does with a handle: a verb (lock, restrict, step_up), another word somebody set, or None: nothing.

    ``in_force`` is what it does now, ``after_restart`` what it will do once it was restarted.
    """

    in_force: str | None
    after_restart: str | None

    @property
    def agree(self) -> bool:
        """Whether a restart would change nothing."""
        return self.in_force == self.after_restart

    def in_words(self) -> str:
        """Say it in words.

        Examples
        --------
        >>> GatewayState("lock", None).in_words()
        'lock in force, nothing kept for a restart'
        """
        if self.agree:
            return f"{self.in_force or 'nothing'} in force and kept"
        return f"{self.in_force or 'nothing'} in force, {self.after_restart or 'nothing'} kept for a restart"


@dataclass(frozen=True)
class Check:
    """One check of a change: what was expected and what was found. Stored in the journal under these names."""

    what: str
    expected: str
    found: str
    holds: bool


@dataclass(frozen=True)
class Verification:
    """The checks that were made after a change."""

    checks: tuple[Check, ...]

    @property
    def verified(self) -> bool:
        """Whether every check holds; without a check nothing is verified."""
        return bool(self.checks) and all(check.holds for check in self.checks)

    def failures(self) -> str:
        """Say which checks do not hold."""
        return "; ".join(f"{c.what}: expected {c.expected}, found {c.found}" for c in self.checks if not c.holds)

    def records(self) -> list[dict[str, Any]]:
        """Return the checks as the journal stores them."""
        return [asdict(check) for check in self.checks]


class Connector(Protocol):
    """A gateway. Each function may raise ``RespondError``, whose message says what to do."""

    name: str

    def unusable(self, handle: str) -> str | None:
        """Return why this gateway cannot have such a handle, or None."""

    def read(self, handle: str) -> GatewayState:
        """Read what the gateway does with the handle, now and after a restart."""

    def write(self, handle: str, value: str | None) -> None:
        """Make the gateway do that (None: nothing), now and after a restart; harmless where it does so already."""

    def verify(self, handle: str, expected: str | None) -> Verification:
        """Check the result, by other ways than ``write`` uses."""

    def commands(self, handle: str, value: str | None) -> list[str]:
        """Return what ``write`` does as commands for a person; the handle may be masked."""
