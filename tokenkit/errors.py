"""Errors: one small tree, so that a caller can catch all of them or one kind.

TokenkitError            an error with a message for a person: where, what was expected, what to do
├── InputError           a path, an option or a file the user gave cannot be used      (exit code 2)
│   ├── ConfigError      tokenkit.toml or an option of it
│   ├── SourceError      no such source, or files of no known source
│   └── InventoryError   the list of owners
├── DetectorError        a detector cannot be used: unknown, or its scores depend on the batch (exit code 2)
├── SchemaError          a table lacks a column or has another type                    (exit code 2)
├── IdentityError        the workspace key is missing or is another one                (exit code 2)
├── LockedError          another run works in this workspace                           (exit code 3)
├── ReportError          the report could not be made; the last one stays in place     (exit code 4)
└── RespondError         an action failed or could not be verified                     (exit code 5)
"""


class TokenkitError(Exception):
    """An error with a message for a person; the command line ends with its ``exit_code`` and without a traceback."""

    exit_code = 2


class InputError(TokenkitError):
    """A path, an option or a file that the user gave cannot be used."""


class ConfigError(InputError):
    """``tokenkit.toml`` or an option of it."""


class SourceError(InputError):
    """No such source, or files of no known source."""


class InventoryError(InputError):
    """The list of owners cannot be used."""


class DetectorError(TokenkitError):
    """A detector cannot be used: there is none of that name, its file is refused, or it breaks a rule."""


class SchemaError(TokenkitError):
    """A table lacks a column, or has it with another type."""


class IdentityError(TokenkitError):
    """The workspace key is missing, unreadable or another one."""


class LockedError(TokenkitError):
    """Another run works in this workspace."""

    exit_code = 3


class ReportError(TokenkitError):
    """The report could not be made; what was published before stays in place."""

    exit_code = 4


class RespondError(TokenkitError):
    """An action at a gateway failed, or could not be verified; the message says what is in force."""

    exit_code = 5


MAX_LISTED = 20  # known words that an error lists


def did_you_mean(word: str, known: list[str]) -> str:
    """Return which of the known words was probably meant, or a list of them.

    Examples
    --------
    >>> did_you_mean("budgte", ["budget", "shares"])
    'did you mean budget?'
    >>> did_you_mean("x", ["budget", "shares"])
    'known: budget, shares'
    """
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    some = ", ".join(known[:MAX_LISTED]) + (f" and {len(known) - MAX_LISTED} more" if len(known) > MAX_LISTED else "")
    return f"did you mean {close[0]}?" if close else f"known: {some}"
