"""Scopes: what a token may do, beside what it did, as far as their names tell.

Reads  nothing. Writes nothing. A list of owners names scopes in the words of their issuer (``orders:read``,
``s3:GetObject``, ``repo``), logs name calls (``GET /v1/orders/{id}``). Whether a scope was needed is known to its
issuer alone; where no call of a month has a word of it, somebody may want to take it away.
"""

import re
from collections.abc import Iterable

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# words of a scope that say what is done, or how far, and not to what
_NO_THING_TEXT = """
access action add admin administer all any api approve attach basic batch content create data default delete describe
detach download edit execute full get head list listing manage metadata modify object offline on only open own owner
patch permission post private public put query read reader readonly ro role root run rw scope service set status super
superuser sudo system token update upload use user v view viewer write writer
"""
_NO_THING = {word.removesuffix("s") for word in _NO_THING_TEXT.split()}


def words(text: str) -> set[str]:
    """The words of a name in small letters, without the s of more than one.

    Examples
    --------
    >>> sorted(words("GET /v1/customerOrders/{id}"))
    ['customer', 'get', 'id', 'order', 'v']
    """
    return {word.lower().removesuffix("s") for word in _WORD.findall(text)}


def split(scopes: str) -> list[str]:
    """The scopes of a list, which are divided by blanks, commas or semicolons.

    Examples
    --------
    >>> split("orders:read, orders:write;admin")
    ['orders:read', 'orders:write', 'admin']
    """
    return [scope for scope in re.split(r"[\s,;]+", scopes) if scope]


def unused(scopes: str, calls: Iterable[str]) -> list[str]:
    """The scopes of which no call has a word, in their order; one that names no thing, such as ``admin``, is not one.

    Parameters
    ----------
    scopes : what the list of owners says
    calls : services and operations that were called

    Examples
    --------
    >>> unused("orders:read billing:write admin", ["GET /v1/orders/{id}"])
    ['billing:write']
    """
    called = set[str]().union(*(words(call) for call in calls))
    things = {scope: words(scope) - _NO_THING for scope in split(scopes)}
    return [scope for scope, named in things.items() if named and not named & called]
