"""Times: moments, days, lengths of time and periods as text.

Times are ISO 8601 in UTC or datetimes, and are always shown with UTC; where the owner's time zone is known, their own
time stands beside it. What is unknown (None) becomes an empty text.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tokenkit.incidents.words.numbers import plural
from tokenkit.incidents.words.text import clean

_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def moment(when: str | datetime | None) -> datetime | None:
    """A time (ISO 8601, or a datetime) as a datetime in UTC; None where there is none or the text is not a time.

    Examples
    --------
    >>> moment("2026-03-03T02:10:00Z").minute
    10
    """
    if not when:
        return None
    try:
        value = when if isinstance(when, datetime) else datetime.fromisoformat(str(when))
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
    t = moment(when)
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


def clock(when: str | datetime | None, timezone: str | None = None) -> str:
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


def instant(when: str | datetime | None, timezone: str | None = None, year: bool = False) -> str:
    """Day and time, in UTC and the owner's zone.

    Examples
    --------
    >>> instant("2026-03-03T02:10:00Z", "Europe/Berlin", year=True)
    'Tue 3 Mar 2026, 02:10 UTC / 03:10 in Berlin'
    """
    return f"{day(when, year)}, {clock(when, timezone)}" if moment(when) else ""


def duration(seconds: float | None) -> str:
    """A length of time.

    Examples
    --------
    >>> duration(42), duration(150), duration(6120), duration(3600)
    ('42 s', '2 min', '1 h 42 min', '1 hour')
    >>> duration(86400), duration(18 * 86400), duration(30 * 3600)
    ('1 day', '18 days', '30 hours')
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
