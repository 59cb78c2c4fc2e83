"""Owners: the label of each profile, and who is responsible for it.

Reads  tokens, dim_token. Writes nothing.
Without an inventory the label is the principal or the mask of the key.
"""

from datetime import datetime
from typing import Any

import pandas as pd

from tokenkit.config import Workspace
from tokenkit.store import lake
from tokenkit.tokens import inventory

COLUMNS = [
    "label", "mask", "issuer", "kind", "principal", "owner_name", "owner_email", "owner_type", "owner_status",
    "owner_timezone", "team", "purpose", "environment", "criticality", "scopes", "created_time", "token_uids",
]  # fmt: skip
Row = dict[str, Any]  # a row of a table by column; None where a cell is empty


def people(workspace: Workspace, mapped: pd.DataFrame, when: datetime) -> pd.DataFrame:
    """Return label, owner and purpose of every profile at a moment.

    Parameters
    ----------
    mapped : DataFrame of ``token_key``, ``token_uid``, ``profile_uid``, ``profile_kind`` (``token_profiles``)
    when : the inventory as of this moment

    Returns
    -------
    DataFrame indexed by ``profile_uid``, ``COLUMNS``; ``token_uids`` is a list, the newest credential first.
    """
    credentials = lake.read(workspace.lake, "dim_token").to_pandas()
    table = lake.read(workspace.lake, "tokens")
    valid = inventory.as_of(table, when).set_index("token_uid") if table.num_rows else pd.DataFrame()
    owned: dict[str, Row] = valid.astype(object).where(valid.notna(), None).to_dict("index")
    replaced = {uid: row["rotated_from_uid"] for uid, row in owned.items()}
    # rows, since of tens of thousands of profiles each would else be a table of its own
    joined = mapped.merge(credentials.drop(columns=["token_uid"]), on="token_key", how="left").astype(object)
    groups: dict[str, list[Row]] = {}
    for row in joined.where(joined.notna(), None).to_dict("records"):
        groups.setdefault(row["profile_uid"], []).append(row)
    rows = {}
    # the newest credential of a profile speaks for it: the one the inventory names, else the profile's own
    for profile_uid, unordered in sorted(groups.items()):
        group = sorted(unordered, key=lambda row: (-_replacements(row["token_uid"], replaced), row["token_uid"]))
        named = [uid for uid in _candidates(profile_uid, group) if uid in owned]
        shown = next((row for row in group if row["token_uid"] == profile_uid), group[0])
        rows[profile_uid] = _row(shown, owned[named[0]] if named else {}, group)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).astype(object)
    frame.index = pd.Index(frame.index.astype("str"), name="profile_uid")  # of no rows it would be a range
    return frame.where(frame.notna(), None)


def hide_names(people: pd.DataFrame) -> pd.DataFrame:
    """Replace names by ids: label, mask, owner, team, principal (``report.pseudonymous``)."""
    short = pd.Series(people.index.str.slice(0, 13) + "...", index=people.index)
    hidden = {name: None for name in ("owner_name", "owner_email", "team", "principal")}
    return people.assign(label=short, mask=short, **hidden)


def _replacements(uid: str, replaced: dict[str, str | None]) -> int:
    """Return how many tokens came before this one in its chain of rotations; ``map_profiles`` refuses circles."""
    steps = 0
    while older := replaced.get(uid):
        uid, steps = older, steps + 1
    return steps


def _candidates(profile_uid: str, group: list[Row]) -> list[str]:
    """Return the ids under which the inventory may list a profile, the newest first: tokens, principal, role."""
    tokens = [uid for uid in dict.fromkeys(row["token_uid"] for row in group) if uid != profile_uid]
    rotated = group[0]["profile_kind"] == "rotated"
    own = [*tokens, profile_uid] if rotated else [profile_uid, *tokens]
    others = {row[name] for name in ("principal_token_uid", "role_token_uid") for row in group if row[name]}
    return [*own, *sorted(others - set(own))]


def _row(shown: Row, listed: Row, group: list[Row]) -> list[object]:
    profile_kind = group[0]["profile_kind"]
    principal = shown["role"] if profile_kind == "role" else shown["principal"]
    short = principal.rsplit(":", 1)[-1] if principal is not None else None
    mask = shown["mask"] if profile_kind in ("token", "rotated") else short
    kind = {"token": shown["token_kind"], "rotated": shown["token_kind"]}.get(profile_kind, profile_kind)
    get = listed.get
    label = get("label") or short or mask or shown["mask"]
    uids = list(dict.fromkeys(row["token_uid"] for row in group))
    return [
        label, mask, shown["issuer"], kind, principal, get("owner_name"), get("owner_email"), get("owner_type"),
        get("owner_status") or "unowned", get("owner_timezone"), get("team"), get("purpose"), get("environment"),
        get("criticality"), get("scopes"), get("created_time"), uids,
    ]  # fmt: skip
