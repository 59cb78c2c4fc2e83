"""Owners: the label of each profile, and who is responsible for it.

Reads  tokens, dim_token. Writes nothing.
Without an inventory the label is the principal or the mask of the key.
"""

from datetime import datetime

import pandas as pd

from tokenkit.config import Workspace
from tokenkit.store import lake
from tokenkit.tokens import inventory

COLUMNS = [
    "label", "mask", "issuer", "kind", "principal", "owner_name", "owner_email", "owner_type", "owner_status",
    "owner_timezone", "team", "purpose", "environment", "criticality", "scopes", "created_time", "token_uids",
]  # fmt: skip


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
    owned = inventory.as_of(table, when).set_index("token_uid") if table.num_rows else pd.DataFrame()
    replaced = dict(zip(owned.index, owned["rotated_from_uid"], strict=True)) if len(owned) else {}
    rows = {}
    joined = mapped.merge(credentials.drop(columns=["token_uid"]), on="token_key", how="left")
    # the newest credential of a profile speaks for it: the one the inventory names, else the profile's own
    for profile_uid, group in joined.groupby("profile_uid", sort=True):
        age = {uid: -_replacements(uid, replaced) for uid in group["token_uid"]}
        group = group.assign(age=group["token_uid"].map(age)).sort_values(["age", "token_uid"], kind="stable")
        named = [u for u in _candidates(str(profile_uid), group) if len(owned) and u in owned.index]
        own = group[group["token_uid"] == profile_uid]
        shown = (own if len(own) else group).iloc[0]
        entry = owned.loc[named[0]] if named else None
        rows[profile_uid] = _row(shown, entry, group, str(group["profile_kind"].iloc[0]))
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).astype(object)
    frame.index = pd.Index(frame.index.astype("str"), name="profile_uid")  # of no rows it would be a range
    return frame.where(frame.notna(), None)


def hide_names(people: pd.DataFrame) -> pd.DataFrame:
    """Replace names by ids: label, mask, owner, team, principal (``report.pseudonymous``)."""
    short = pd.Series(people.index.str.slice(0, 13) + "...", index=people.index)
    hidden = {name: None for name in ("owner_name", "owner_email", "team", "principal")}
    return people.assign(label=short, mask=short, **hidden)


def _replacements(uid: str, replaced: dict[str, object]) -> int:
    """Return how many tokens came before this one in its chain of rotations; ``map_profiles`` refuses circles."""
    steps = 0
    while isinstance(older := replaced.get(uid), str):
        uid, steps = older, steps + 1
    return steps


def _candidates(profile_uid: str, group: pd.DataFrame) -> list[str]:
    """Return the ids under which the inventory may list a profile, the newest first: tokens, principal, role."""
    tokens = [uid for uid in dict.fromkeys(group["token_uid"]) if uid != profile_uid]
    rotated = group["profile_kind"].iloc[0] == "rotated"
    own = [*tokens, profile_uid] if rotated else [profile_uid, *tokens]
    others = [u for c in ("principal_token_uid", "role_token_uid") for u in group[c].dropna().unique()]
    return [*own, *sorted(set(others) - set(own))]


def _row(shown: pd.Series, entry: pd.Series | None, group: pd.DataFrame, profile_kind: str) -> list[object]:
    principal = shown["role"] if profile_kind == "role" else shown["principal"]
    short = principal.rsplit(":", 1)[-1] if isinstance(principal, str) else None
    mask = shown["mask"] if profile_kind in ("token", "rotated") else short
    kind = {"token": shown["token_kind"], "rotated": shown["token_kind"]}.get(profile_kind, profile_kind)
    listed = {} if entry is None else entry[entry.notna()].to_dict()  # an empty cell is NaN here, which is true
    get = listed.get
    label = get("label") or short or mask or shown["mask"]
    uids = list(dict.fromkeys([*group["token_uid"]]))
    return [
        label, mask, shown["issuer"], kind, principal, get("owner_name"), get("owner_email"), get("owner_type"),
        get("owner_status") or "unowned", get("owner_timezone"), get("team"), get("purpose"), get("environment"),
        get("criticality"), get("scopes"), get("created_time"), uids,
    ]  # fmt: skip
