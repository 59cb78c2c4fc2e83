"""HTTP: what logs of HTTP calls share: who called, which route, how long it took, what an error means."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tokenkit import identity
from tokenkit.sources.aws import ids
from tokenkit.sources.fields import operations
from tokenkit.sources.fields.forwarded import client_address
from tokenkit.sources.fields.masking import shown, tidy, without_query
from tokenkit.sources.fields.normalise import Coded, token_rows

# kind, lifetime, OCSF token type
API_KEY = ("api_key", "long_lived", 7)
PRINCIPAL = ("principal", "unknown", 0)
NO_ONE = ("none", "unknown", 0)
OTHER_TYPE = 99
STATED = ("token_kind", "token_lifetime", "tenant")  # what a log may state of a token
_NOT_PLAIN = re.compile(r"[?#%;]|://")
_DENIED = re.compile(r"accessdenied|unauthorized|notauthorized|forbidden|authfailure", re.IGNORECASE)
_THROTTLED = re.compile(
    r"throttl|toomanyrequests|requestlimitexceeded|slowdown|provisionedthroughputexceeded", re.IGNORECASE
)
_BROKEN = re.compile(r"internal(error|failure|server|service)|serviceunavailable|serviceexception$", re.IGNORECASE)


def client_addresses(hops: Sequence[str | None] | pa.Array, trusted_proxies: Sequence[str]) -> Coded:
    """Return who called, of the addresses on the way of each call (``forwarded.client_address``).

    They are looked at before they are shortened, since the last ones count.
    """
    whole = Coded.of(hops, cap=None)
    callers = [client_address(text, trusted_proxies) for text in whole.values]
    return whole.become(tidy(pa.array([caller or None for caller in callers], pa.string())).to_pylist())


def add_token_columns(key: bytes, issuer: str, raw: dict[str, Any], columns: dict[str, Any]) -> pa.Table:
    """Add the columns about token and principal to ``columns``; each distinct caller is worked on once.

    The id of a key is hashed and masked here. It is kept as it is only where the source declares that it is no secret:
    as the handle by which a connector can lock the token (``handles``).

    Parameters
    ----------
    key : bytes
        The workspace's key.
    issuer : str
        Who issued the keys.
    raw : dict
        ``key_id`` and ``principal`` of each record; optionally those of ``STATED``, and ``handles`` by key id.
    columns : dict
        Columns of ``events``, added to.

    Returns
    -------
    Table
        ``dim_token``, one row a token.
    """
    callers: dict[tuple[str | None, ...], int] = {}
    stated = [raw.get(name) or [None] * len(raw["key_id"]) for name in STATED]
    callers_of_records = zip(raw["key_id"], raw["principal"], *stated, strict=True)
    codes = np.array([callers.setdefault(c, len(callers)) for c in callers_of_records], dtype=np.int64)
    uids, kinds, lifetimes, types, rows = [], [], [], [], []
    for key_id, principal, stated_kind, stated_lifetime, tenant in callers:
        native = key_id or principal
        uid = identity.token_uid(key, issuer, native) if native else ""
        of_aws = ids.kind_of(key_id) if key_id else None
        principal = key_id if of_aws == ids.PRINCIPAL and not principal else principal
        kind, lifetime, type_id = of_aws or (API_KEY if key_id else PRINCIPAL if principal else NO_ONE)
        if key_id and stated_kind:
            kind, lifetime, type_id = stated_kind, "unknown", OTHER_TYPE
        lifetime = (stated_lifetime if key_id else None) or lifetime
        uids.append(uid)
        kinds.append(kind)
        lifetimes.append(lifetime)
        types.append(type_id)
        if native:
            handle = raw.get("handles", {}).get(key_id)
            rows.append((uid, issuer, kind, lifetime, shown(native), principal, ids.role_of(principal), tenant, handle))
    tokens = Coded(codes, uids)
    columns["token_uid"] = tokens
    columns["token_kind"] = tokens.spread(kinds, pa.string())
    columns["token_lifetime"] = tokens.spread(lifetimes, pa.string())
    columns["token_type_id"] = tokens.spread(types, pa.int8())
    columns["principal_uid"] = Coded.of(raw["principal"])
    return token_rows(key, rows)


def add_route_columns(
    path: Sequence[str | None] | pa.Array, method: Sequence[str | None] | pa.Array, columns: dict[str, Any]
) -> None:
    """Add path, object, operation, method and activity to ``columns``; each distinct path is cleaned and split once."""
    whole = path if isinstance(path, pa.Array) else pa.array(path, pa.string())
    paths = Coded.of(whole.fill_null("/"), cap=None)
    without_queries = [without_query(p) if _NOT_PLAIN.search(p) else p or "/" for p in paths.values]
    paths = paths.become(tidy(pa.array(without_queries, pa.string())).to_pylist())
    template = operations.Routes().template
    templates = paths.become([template(p) for p in paths.values])
    has_id = ["{id}" in templates.values[code] for code in _code_of_each(paths, templates)]
    methods = Coded.of(method, cap=None)
    methods = methods.become([operations.known_method(m) for m in methods.values], operations.known_method(None))
    columns["url_path"] = paths
    columns["resource_uid"] = paths.become([p if has else None for p, has in zip(paths.values, has_id, strict=True)])
    columns["operation"] = _joined(methods, templates)
    columns["http_method"] = methods
    columns["activity_id"] = methods.spread(methods.each(operations.activity_of_method), pa.int8())


def _code_of_each(paths: Coded, templates: Coded) -> list[int]:
    codes = np.zeros(len(paths.values), dtype=np.int64)
    codes[paths.codes] = templates.codes
    return codes.tolist()


def _joined(methods: Coded, templates: Coded) -> Coded:
    width = len(templates.values)
    distinct, inverse = np.unique(methods.codes * width + templates.codes, return_inverse=True)
    return Coded(inverse, [f"{methods.values[c // width]} {templates.values[c % width]}" for c in distinct.tolist()])


def durations_ms(values: list[float | int | None], unit_ms: float) -> pa.Array:
    """Return durations in ms; null where the log has none, as -1 for a call that broke off."""
    largest = 1e9 / min(unit_ms, 1)
    return pa.array([v * unit_ms if v is not None and 0 <= v < largest else None for v in values], pa.float32())


def status_of_error(error: str) -> int:
    """Return the HTTP status that an error code means: 403 refused, 429 throttled, 500 the service's own, else 400.

    Examples
    --------
    >>> [status_of_error(error) for error in ("AccessDenied", "ThrottlingException", "InternalFailure", "NoSuchTagSet")]
    [403, 429, 500, 400]
    """
    if _DENIED.search(error):
        return 403
    if _THROTTLED.search(error):
        return 429
    return 500 if _BROKEN.search(error) else 400
