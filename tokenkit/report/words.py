"""Words: numbers and times as a person would say them. Pure functions, used by every part of the page.

Sizes are decimal (1 GB is 1,000,000,000 bytes). Times come as ISO 8601 in UTC and are always shown with UTC; where the
owner's time zone is known, their own time stands beside it. What is unknown (None) becomes an empty text.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_ONES = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


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


def count(n: float | None) -> str:
    """A count with thousands separated.

    Examples
    --------
    >>> count(2143), count(0), count(None)
    ('2,143', '0', '')
    """
    return "" if n is None else f"{round(n):,}"


def compact(n: float | None) -> str:
    """A large count in one glance; three figures at most.

    Examples
    --------
    >>> compact(861), compact(48_200), compact(4_816_203), compact(1_230_000_000)
    ('861', '48 k', '4.8 M', '1.2 bn')
    >>> compact(9_999), compact(999_960)
    ('9,999', '1 M')
    """
    if n is None:
        return ""
    if abs(n) < 10_000:
        return count(n)
    for unit, size in (("k", 1e3), ("M", 1e6), ("bn", 1e9)):
        if abs(n) < size * 999.5 or unit == "bn":
            return f"{_two_figures(n / size)} {unit}"
    raise AssertionError


def _two_figures(x: float) -> str:
    if x >= 9.95:
        return f"{x:,.0f}"
    return f"{x:.1f}".removesuffix(".0")


def data(n: float | None) -> str:
    """An amount of data.

    Examples
    --------
    >>> data(0), data(999), data(744_000), data(1_580_000_000), data(3.1e12)
    ('0 B', '999 B', '744 kB', '1.6 GB', '3.1 TB')
    """
    if n is None:
        return ""
    if abs(n) < 999.5:
        return f"{n:.0f} B"
    for unit, size in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("PB", 1e15)):
        if abs(n) < size * 999.5 or unit == "PB":
            return f"{_two_figures(n / size)} {unit}"
    raise AssertionError


def amount(value: float | None, unit: str) -> str:
    """A value with its unit: bytes as data, a share as percent, everything else as a count.

    Examples
    --------
    >>> amount(1.4e9, "bytes"), amount(0.38, "share"), amount(1931, "calls"), amount(1, "calls"), amount(0.25, "")
    ('1.4 GB', '38%', '1,931 calls', '1 call', '0.25')
    """
    if value is None:
        return ""
    if unit == "bytes":
        return data(value)
    if unit in ("share", "fraction"):
        return percent(value)
    text = compact(value) if abs(value) >= 10 or value == round(value) else f"{value:.2g}"
    return f"{text} {unit.removesuffix('s') if value == 1 else unit}".strip()


def points(bits: float | None) -> str:
    """Bits of surprise, which the page calls points.

    Examples
    --------
    >>> points(19.23), points(None)
    ('19.2', '')
    """
    return "" if bits is None else f"{bits:.1f}"


def percent(share: float | None) -> str:
    """A share of one; small ones keep a decimal, and none that exists becomes 0%.

    Examples
    --------
    >>> percent(0.443), percent(0.006), percent(0.0001), percent(0), percent(0.998)
    ('44%', '0.6%', 'under 0.1%', '0%', '99.8%')
    """
    if share is None:
        return ""
    p = share * 100
    if p == 0 or p == 100:
        return f"{p:.0f}%"
    if 0 < p < 0.1:
        return "under 0.1%"
    if p < 1 or 99 < p < 100:
        return f"{p:.1f}%"
    return f"{p:.0f}%"


def percents(shares: list[float]) -> list[int]:
    """Shares as whole percent that add up to what they add up to, by largest remainder.

    Examples
    --------
    >>> percents([1/3, 1/3, 1/3])
    [34, 33, 33]
    """
    whole = [int(s * 100) for s in shares]
    short = round(sum(shares) * 100) - sum(whole)
    for i in sorted(range(len(shares)), key=lambda i: (whole[i] - shares[i] * 100, i))[: max(short, 0)]:
        whole[i] += 1
    return whole


def number(n: int) -> str:
    """A small number as a word.

    Examples
    --------
    >>> number(2), number(0), number(1240)
    ('two', 'no', '1,240')
    """
    return _ONES[n] if 0 <= n < len(_ONES) else count(n)


def plural(n: int | None, one: str, many: str = "", word: bool = False) -> str:
    """A count with its noun.

    Examples
    --------
    >>> plural(1, "token"), plural(2143, "call"), plural(2, "person", "people"), plural(3, "token", word=True)
    ('1 token', '2,143 calls', '2 people', 'three tokens')
    """
    if n is None:
        return ""
    return f"{number(n) if word else count(n)} {one if n == 1 else many or one + 's'}"


def joined(items: Iterable[str], last: str = "and") -> str:
    """A list as in a sentence.

    Examples
    --------
    >>> joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    words = [item for item in items if item]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


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


def moment(iso: str | None) -> datetime | None:
    """An ISO 8601 time as a datetime in UTC; None where there is none or it is not a time.

    Examples
    --------
    >>> moment("2026-03-03T02:10:00Z").minute
    10
    """
    if not iso:
        return None
    try:
        value = datetime.fromisoformat(str(iso))
    except ValueError:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def iso(value: datetime) -> str:
    """A time as the facts hold it.

    Examples
    --------
    >>> iso(datetime(2026, 3, 3, 2, 10, tzinfo=UTC))
    '2026-03-03T02:10:00Z'
    """
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(when: str | datetime | None, year: bool = False) -> str:
    """The day, in English whatever the machine's language.

    Examples
    --------
    >>> day("2026-03-03T02:10:00Z"), day("2026-03-03T02:10:00Z", year=True), day(None)
    ('Tue 3 Mar', 'Tue 3 Mar 2026', '')
    """
    t = when if isinstance(when, datetime) else moment(when)
    if t is None:
        return ""
    return f"{_DAYS[t.weekday()]} {t.day} {_MONTHS[t.month - 1]}" + (f" {t.year}" if year else "")


def last_day(end: str | None, year: bool = False) -> str:
    """The last day of a half-open period: one that ends at midnight ends with the day before.

    Examples
    --------
    >>> last_day("2026-03-04T00:00:00Z"), last_day("2026-03-04T04:00:00Z")
    ('Tue 3 Mar', 'Wed 4 Mar')
    """
    t = moment(end)
    return "" if t is None else day(t - timedelta(microseconds=1), year)


def clock(when: str | None, timezone: str | None = None) -> str:
    """The time of day in UTC and, where the zone is known, in it.

    Examples
    --------
    >>> clock("2026-03-03T02:10:00Z"), clock("2026-03-03T02:10:00Z", "Europe/Berlin")
    ('02:10 UTC', '02:10 UTC / 03:10 in Berlin')
    >>> clock("2026-03-02T22:14:00Z", "Asia/Tokyo"), clock("2026-03-02T22:14:00Z", "Not/AZone")
    ('22:14 UTC / Tue 07:14 in Tokyo', '22:14 UTC')
    """
    t = moment(when)
    if t is None:
        return ""
    text = f"{t:%H:%M} UTC"
    zone = zone_of(timezone)
    if zone is None or timezone is None:
        return text
    there = t.astimezone(zone)
    if there.utcoffset() == timedelta(0):
        return text
    other_day = "" if there.date() == t.date() else f"{_DAYS[there.weekday()]} "
    return f"{text} / {other_day}{there:%H:%M} in {place(timezone)}"


def zone_of(timezone: str | None) -> ZoneInfo | None:
    """The time zone of an IANA name, or None where the name is unknown."""
    try:
        return ZoneInfo(timezone) if timezone else None
    except (OSError, ValueError, KeyError):  # no such zone, or a name that is no name
        return None


def place(timezone: str) -> str:
    """The city of an IANA name.

    Examples
    --------
    >>> place("America/New_York")
    'New York'
    """
    return clean(timezone.rsplit("/", 1)[-1].replace("_", " "), 40)


def instant(when: str | None, timezone: str | None = None, year: bool = False) -> str:
    """Day and time, in UTC and the owner's zone.

    Examples
    --------
    >>> instant("2026-03-03T02:10:00Z", "Europe/Berlin", year=True)
    'Tue 3 Mar 2026, 02:10 UTC / 03:10 in Berlin'
    """
    return f"{day(when, year)}, {clock(when, timezone)}" if moment(when) else ""


def span(seconds: float | None) -> str:
    """A length of time.

    Examples
    --------
    >>> span(42), span(150), span(6120), span(3600), span(86400), span(18 * 86400), span(30 * 3600)
    ('42 s', '2 min', '1 h 42 min', '1 hour', '1 day', '18 days', '30 hours')
    """
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 10:
        return f"{hours} h {rest} min" if rest else plural(hours, "hour")
    if hours < 48 and hours != 24:
        return plural(hours, "hour")
    return plural(round(seconds / 86400), "day")


def period(start: str | None, end: str | None, year: bool = True) -> str:
    """A reported period as it stands in the masthead.

    Examples
    --------
    >>> period("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z")
    'Mon 2 Mar 2026'
    >>> period("2026-02-14T00:00:00Z", "2026-03-04T00:00:00Z")
    '18 days to Tue 3 Mar 2026'
    >>> period("2026-03-03T13:00:00Z", "2026-03-03T14:00:00Z")
    'Tue 3 Mar 2026, 13:00 to 14:00 UTC'
    """
    a, b = moment(start), moment(end)
    if a is None or b is None or a >= b:
        return ""
    last = last_day(end, year)
    if b - a >= timedelta(days=2):
        return f"{plural(round((b - a) / timedelta(days=1)), 'day')} to {last}"
    if day(a) == last_day(end):
        whole = b - a == timedelta(days=1)
        return last if whole else f"{last}, {a:%H:%M} to {b:%H:%M} UTC"
    return f"{day(a)}, {a:%H:%M} to {day(b, year)}, {b:%H:%M} UTC"
