"""Coverage: the types of what a page says about the logs that were read, and about what is missing."""

from typing_extensions import TypedDict  # pydantic checks the one of typing only from Python 3.12 on


class Source(TypedDict):
    """What was ever read of one log. ``read`` is the sum of stored, duplicates, quarantined and ignored."""

    source: str
    files: int
    read: int  # records
    stored: int
    duplicates: int
    quarantined: int  # could not be used, also where a whole version of the file was read later
    ignored: int  # records left out by rule
    repeated: int  # of the stored: equal to an earlier record of their file, calls of their own
    differing: int  # of the duplicates: the id of another event, and another content
    unattributed: int  # without a token
    first: str | None
    last: str | None
    lag_s: float | None  # delay of the log, s


class Quarantined(TypedDict):
    """A record, or another piece of a file, that could not be used. The piece itself is stored nowhere."""

    file: str
    place: str
    reason: str


class Gap(TypedDict):
    """Hours without a call of a source that is usually busy then."""

    source: str
    start: str
    end: str


class Ownership(TypedDict):
    """The list of owners."""

    rows: int
    source: str | None  # name of the file; None: none was given
    with_owner: float | None  # share of the tokens, 0 to 1
    unmatched: str | None  # what to do where no id of the list occurs in the logs


class Logs(TypedDict):
    """What was read and what is missing."""

    sources: list[Source]
    first: str | None
    last: str | None
    ignored_rules: dict[str, int]  # rule to how many records and whole files it left out, added up
    quarantined: list[Quarantined]  # the first of them
    quarantined_total: int  # without files of which a whole version was read later
    gaps: list[Gap]
    notes: list[str]  # about the list of owners, and about events that lie apart from all others


class Coverage(Logs):
    """What was read and what is missing, owners included."""

    owners: Ownership
