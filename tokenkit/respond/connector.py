"""Connector: what a gateway is to us: something that is read, written and verified by a token's handle.

A connector is one file of this package with a class of these five functions, and one line in ``CONNECTORS``
(``respond/__init__.py``). It keeps no state: what is in force is read from the gateway each time.
"""

from dataclasses import asdict, dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Standing:
    """What a gateway does with a handle: a verb (lock, restrict, step_up), another word somebody set, or None: nothing.

    ``in_force`` is what it does now, ``kept`` what it will do after a restart.
    """

    in_force: str | None
    kept: str | None

    @property
    def agree(self) -> bool:
        """Whether a restart changes nothing."""
        return self.in_force == self.kept

    def line(self) -> str:
        """In words.

        Examples
        --------
        >>> Standing("lock", None).line()
        'lock in force, nothing kept for a restart'
        """
        if self.agree:
            return f"{self.in_force or 'nothing'} in force and kept"
        return f"{self.in_force or 'nothing'} in force, {self.kept or 'nothing'} kept for a restart"


@dataclass(frozen=True)
class Check:
    """One independent look at the result."""

    what: str
    expected: str
    found: str
    holds: bool


@dataclass(frozen=True)
class Evidence:
    """What was looked at after a change."""

    checks: tuple[Check, ...]

    @property
    def verified(self) -> bool:
        """Whether every look agreed; no look is no proof."""
        return bool(self.checks) and all(check.holds for check in self.checks)

    def failing(self) -> str:
        """What did not agree, in words."""
        return "; ".join(f"{c.what}: expected {c.expected}, found {c.found}" for c in self.checks if not c.holds)

    def record(self) -> list[dict[str, Any]]:
        """For the journal."""
        return [asdict(check) for check in self.checks]


class Connector(Protocol):
    """A gateway. Each function may raise ``RespondError``, which says what to do."""

    name: str

    def unusable(self, handle: str) -> str | None:
        """Why this handle cannot be one, or None."""

    def read(self, handle: str) -> Standing:
        """What the gateway does with the handle, now and after a restart."""

    def write(self, handle: str, value: str | None) -> None:
        """Make it do that (None: nothing), now and after a restart. Harmless where it does so already."""

    def verify(self, handle: str, expected: str | None) -> Evidence:
        """Look again, by other ways than the write."""

    def commands(self, handle: str, value: str | None) -> list[str]:
        """What ``write`` does, as a person would do it by hand; the handle may be a mask of one."""
