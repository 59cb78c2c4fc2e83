"""Text: values from outside made fit to be shown, and pieces of sentences."""

import re
import unicodedata
from collections.abc import Iterable


def printable(text: str, limit: int = 1000) -> str:
    """Text without the characters that are none: control characters vanish, line ends become spaces.

    U+202E and its like, which turn the direction of a line and make exe.png of gnp.exe, vanish too; the two joiners
    that Persian and Hindi are written with stay.

    Examples
    --------
    >>> printable("a" + chr(0x202E) + "b" + chr(10) + "c")
    'ab c'
    """
    value = "".join(_shown(c) for c in text)
    return value if len(value) <= limit else f"{value[: (limit - 1) // 2]}…{value[-((limit - 1) // 2) :]}"


def _shown(c: str) -> str:
    kind = unicodedata.category(c)
    if kind == "Cf":
        return c if c in "\u200c\u200d" else ""
    return " " if c in "\t\n\r" or kind in ("Zl", "Zp") else "" if kind in ("Cc", "Cs", "Co", "Cn") else c


def clean(text: object, limit: int = 240) -> str:
    """Text from outside, fit to be shown in one line: printable, and the middle of a very long value left out.

    Examples
    --------
    >>> clean("curl" + chr(0) + chr(10) + "8.5"), clean(None)
    ('curl 8.5', '')
    >>> clean("a" * 300, limit=9)
    'aaaa…aaaa'
    """
    value = "" if text is None else str(text)
    return printable(re.sub(r"\s+", " ", printable(value, limit=max(limit, 100_000))).strip(), limit)


def clip(text: str, length: int = 60) -> str:
    """A value from a log, no longer than a line."""
    return text if len(text) <= length else text[: length - 1] + "…"


def joined(items: Iterable[str], last: str = "and") -> str:
    """A list as in a sentence.

    Examples
    --------
    >>> joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    texts = [item for item in items if item]
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} {last} {texts[-1]}"


def kind(code: str | None) -> str:
    """The kind of a token in words.

    Examples
    --------
    >>> kind("aws_access_key"), kind("api_key"), kind(None)
    ('AWS access key', 'api key', '')
    """
    return clean(code, 40).replace("_", " ").replace("aws ", "AWS ").replace("iam ", "IAM ")


def sentence(text: object) -> str:
    """A text that begins with a capital and ends with a full stop; names such as crm-sync keep their first letter.

    Examples
    --------
    >>> sentence("two tokens drift"), sentence("Is it so?"), sentence("")
    ('Two tokens drift.', 'Is it so?', '')
    """
    value = clean(text, limit=600)
    if not value:
        return ""
    first = value.split(" ", 1)[0]
    if first.isalpha() and first.islower():
        value = value[0].upper() + value[1:]
    return value if value[-1] in ".?!…" else value + "."


def inside(text: object) -> str:
    """A text that goes on inside a sentence: its capital goes, unless the first word is a name or an abbreviation.

    Examples
    --------
    >>> inside("Lock the key now"), inside("AWS key"), inside("Marta Lind was told")
    ('lock the key now', 'AWS key', 'Marta Lind was told')
    """
    value = clean(text, limit=600)
    first, _, rest = value.partition(" ")
    ordinary = first.isalpha() and first.istitle() and not rest[:1].isupper()
    return value[0].lower() + value[1:] if ordinary else value
