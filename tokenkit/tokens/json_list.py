"""JSON list: a list of tokens as a command or an API gives it: an array, objects one a line, or one below a name.

Such as ``aws iam list-access-keys``, ``kubectl get serviceaccounts -o json``, ``vault list -format=json`` and the
answers of GitHub's and Okta's APIs. Gives the columns and rows that the same list would have as a sheet.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tokenkit.errors import InventoryError

DEPTH = 3  # objects in objects; what lies deeper says nothing of a token


def read(
    path: Path, text: str, is_id: Callable[[str], bool]
) -> tuple[list[str], list[tuple[int, list[str]]], list[str]]:
    """Read a list of tokens in JSON.

    Parameters
    ----------
    path : Path
        For messages.
    text : str
        What the file holds; it begins with a bracket.
    is_id : function of a name
        Whether a field of this name holds the token's id.

    Returns
    -------
    list of str
        Names of the columns; those of an object in an object with dots.
    list of (int, list of str)
        The tokens, each with its number.
    list of str
        A note on what the numbers count.

    Raises
    ------
    InventoryError
        It is no JSON, or has no list of tokens.

    Examples
    --------
    >>> read(Path("list.json"), '{"Keys": [{"AccessKeyId": "AKIA1", "Status": "Active"}]}', "AccessKeyId".__eq__)[:2]
    (['AccessKeyId', 'Status'], [(1, ['AKIA1', 'Active'])])
    """
    value = _parsed(path, text)
    ids = [{"native_id": item} for item in value if type(item) is str] if type(value) is list else []
    tokens = [dict(_cells(token)) for token in _tokens(value, is_id) or ids]
    if not tokens:
        raise InventoryError(
            f"{path}: no list of tokens in this JSON, expected an array of objects, each with native_id."
        )
    header = list(dict.fromkeys(name for token in tokens for name in token))
    rows = [(number, [token.get(name, "") for name in header]) for number, token in enumerate(tokens, 1)]
    return header, rows, ["the list is JSON: line N is its Nth object"]


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        whole = error
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise InventoryError(f"{path}, line {whole.lineno}: not JSON ({whole.msg}). Correct that line.") from error


def _tokens(value: Any, is_id: Callable[[str], bool], depth: int = 0) -> list[dict[str, Any]]:
    """Return the objects of a list, or those of the first list of objects below a name; an object with an id is one."""
    if type(value) is list:
        return [item for item in value if type(item) is dict]
    if type(value) is not dict or depth > DEPTH:
        return []
    if any(map(is_id, value)):
        return [value]
    each = (_tokens(inner, is_id, depth + 1) for inner in value.values() if type(inner) in (list, dict))
    return next(filter(None, each), [])


def _cells(token: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    metadata = token.get("metadata")
    if token.get("kind") == "ServiceAccount" and type(metadata) is dict:  # as Kubernetes' audit log names it
        yield "native_id", f"system:serviceaccount:{metadata.get('namespace')}:{metadata.get('name')}"
        yield "token_name", str(metadata.get("name"))
        yield "created_time", str(metadata.get("creationTimestamp") or "")
        return
    for name, value in token.items():
        if type(value) is dict:
            if before.count(".") < DEPTH:
                yield from _cells(value, f"{before}{name}.")
        elif type(value) is list:
            yield f"{before}{name}", " ".join(str(item) for item in value if type(item) in (str, int))
        else:
            yield f"{before}{name}", "" if value is None else str(value)
