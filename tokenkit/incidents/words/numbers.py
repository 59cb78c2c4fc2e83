"""Numbers: counts, amounts, shares and bits as text.

Sizes are decimal: 1 GB is 1,000,000,000 bytes. What is unknown (None) becomes an empty text.
"""

_ONES = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_BYTES = (("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))


def count(n: float | None) -> str:
    """A count with thousands separated.

    Examples
    --------
    >>> count(2143), count(0), count(None)
    ('2,143', '0', '')
    """
    return "" if n is None else f"{round(n):,}"


def rounded(value: float, figures: int = 3) -> str:
    """A number to some figures; what is larger than these is whole.

    Examples
    --------
    >>> rounded(0.1234), rounded(18.0), rounded(1799.6), rounded(99.98, figures=2)
    ('0.123', '18', '1,800', '100')
    """
    return f"{value:,.0f}" if abs(value) >= 10**figures - 0.5 else f"{value:.{figures}g}"


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


def amount(value: float, unit: str) -> str:
    """A value with its unit in a sentence: bytes to three figures, what can be counted as a whole number.

    Examples
    --------
    >>> amount(1_440_000_000, "bytes"), amount(1931, "calls"), amount(0.0, "bytes"), amount(1, "objects")
    ('1.44 GB', '1,931 calls', '0 bytes', '1 object')
    >>> amount(1, "kinds of calls"), amount(0.1234, "share")
    ('1 kind of call', '0.123 share')
    >>> amount(999_600, "bytes"), amount(9.997e8, "bytes"), amount(2.5e15, "bytes")
    ('1 MB', '1 GB', '2,500 TB')
    """
    if unit == "bytes":
        if value < 999.5:
            return f"{value:.0f} bytes"
        for name, size in _BYTES:
            if value < size * 999.5:
                return f"{value / size:.3g} {name}"
        return f"{value / size:,.0f} {name}"
    if unit.endswith("s"):
        return plural(round(value), unit.removesuffix("s").replace("kinds of", "kind of"), unit)
    return f"{value:,.3g} {unit}"


def short_amount(value: float | None, unit: str) -> str:
    """A value with its unit at one glance, two figures, for drawings and tables: bytes as data, a share as percent.

    Examples
    --------
    >>> short_amount(1.4e9, "bytes"), short_amount(0.38, "share"), short_amount(48_200, "calls")
    ('1.4 GB', '38%', '48 k calls')
    >>> short_amount(1, "calls"), short_amount(0.25, "")
    ('1 call', '0.25')
    """
    if value is None:
        return ""
    if unit == "bytes":
        return data(value)
    if unit in ("share", "fraction"):
        return percent(value)
    text = compact(value) if abs(value) >= 10 or value == round(value) else f"{value:.2g}"
    return f"{text} {unit.removesuffix('s') if value == 1 else unit}".strip()


def amount_range(low: float, high: float, unit: str) -> str:
    """A range of amounts with its unit once.

    Examples
    --------
    >>> amount_range(90, 310, "calls")
    '90 to 310 calls'
    """
    first, last = amount(low, unit), amount(high, unit)
    if first == last:
        return last
    a, _, unit_a = first.partition(" ")
    return f"{a} to {last}" if unit_a.rstrip("s") == last.partition(" ")[2].rstrip("s") else f"{first} to {last}"


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
    """Shares as floors percent that add up to what they add up to, by largest remainder.

    Examples
    --------
    >>> percents([1/3, 1/3, 1/3])
    [34, 33, 33]
    """
    floors = [int(s * 100) for s in shares]
    short = round(sum(shares) * 100) - sum(floors)
    for i in sorted(range(len(shares)), key=lambda i: (floors[i] - shares[i] * 100, i))[: max(short, 0)]:
        floors[i] += 1
    return floors


def percent_change(ratio: float) -> str:
    """A ratio as a change.

    Examples
    --------
    >>> percent_change(1.62), percent_change(0.97), percent_change(12.0), percent_change(1.0)
    ('62% more', '3% less', '12 times as much', 'no change')
    """
    if ratio >= 3:
        return f"{ratio:,.0f} times as much"
    change = round(100 * (ratio - 1))
    return f"{change}% more" if change > 0 else f"{-change}% less" if change < 0 else "no change"


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
