"""Scopes: what a token may do, beside what it did, as far as their names tell.

Reads  nothing. Writes nothing. A list of owners names scopes in the words of their issuer (``orders:read``,
``s3:GetObject``, ``repo``), logs name calls (``GET /v1/orders/{id}``). Whether a scope was needed is known to its
issuer alone; where no call of a month has a word of it, somebody may want to take it away.
"""

import re
from collections.abc import Iterable
from itertools import pairwise

_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*")
# words of a scope that say what is done, or how far, and not to what
_NO_THING_TEXT = """
access action add admin administer all any api approve attach basic batch content create data default delete
deploy describe detach download edit email execute full get head list listing manage metadata modify object
offline on only open openid own owner patch permission post power private profile public put query read reader
readonly repo ro role root run rw scope service set status super superuser sudo system token update upload use
user v v1 v2 view viewer write writer
"""


def words(text: str) -> list[str]:
    """The words of a name, in small letters and of one thing, not of many.

    Examples
    --------
    >>> words("companies:read s3")
    ['company', 'read', 's3']
    """
    return [_of_one(word.lower()) for word in _WORD.findall(text)]


def _of_one(word: str) -> str:
    """A word without what makes it more than one: companies, boxes, orders."""
    if len(word) < 4 or word.endswith("ss"):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes")) else word.removesuffix("s")


_NO_THING = {_of_one(word) for word in _NO_THING_TEXT.split()}


def split(scopes: str) -> list[str]:
    """The scopes of a list, which are divided by blanks, commas or semicolons.

    Examples
    --------
    >>> split("orders:read, orders:write;admin")
    ['orders:read', 'orders:write', 'admin']
    """
    return [scope for scope in re.split(r"[\s,;]+", scopes) if scope]


def unused(scopes: str, calls: Iterable[str]) -> list[str]:
    """The scopes of which no call has a word, in their order.

    A scope that names no thing, such as ``admin``, is not one. None is where no scope has a word of a call: then scopes
    and calls are named in different words.

    Parameters
    ----------
    scopes : what the list of owners says
    calls : services and operations that were called

    Examples
    --------
    >>> unused("orders:read billing:write admin", ["GET /v1/orders/{id}"])
    ['billing:write']
    """
    called = set[str]().union(*map(_things, calls))
    things = {scope: _things(scope) for scope in split(scopes)}
    missing = [scope for scope, named in things.items() if named and not named & called]
    return missing if len(missing) < sum(1 for named in things.values() if named) else []


def _things(name: str) -> set[str]:
    """The words of a name that say of what it is, and those that stand together as one: dynamo, db, dynamodb."""
    found = words(name)
    things = set(found) - _NO_THING
    return things | {one + other for one, other in pairwise(found)} if things else things
