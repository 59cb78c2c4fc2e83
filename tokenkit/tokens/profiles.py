"""Profiles: which tokens share one fingerprint.

Reads  dim_token, tokens. Writes nothing.
"""

import pandas as pd

from tokenkit.config import Workspace
from tokenkit.errors import InventoryError
from tokenkit.store import lake

MIN_RECURRING = 3  # credentials under one session name, from which on the name is taken for a lasting one


def token_profiles(workspace: Workspace) -> pd.DataFrame:
    """Return the profile of each token of the lake.

    Returns
    -------
    DataFrame, one row a token
        As of ``map_profiles``, with ``profile_key``, which numbers the profiles in the order of their ids.
    """
    dim_token, tokens = (lake.read(workspace.lake, name).to_pandas() for name in ("dim_token", "tokens"))
    profiles = map_profiles(dim_token, tokens)
    numbers = {uid: number for number, uid in enumerate(sorted(profiles["profile_uid"].unique()))}
    return profiles.assign(profile_key=profiles["profile_uid"].map(numbers).astype("int64"))


def map_profiles(dim_token: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
    """Map each token to its profile: what has a fingerprint.

    Parameters
    ----------
    dim_token : DataFrame
        ``schema.DIM_TOKEN``, the tokens ever seen.
    tokens : DataFrame
        ``schema.TOKENS``, for what was rotated from what.

    Returns
    -------
    DataFrame, one row a token
        ``token_key``, ``token_uid``, ``profile_uid`` and ``profile_kind``: token, rotated, principal, session or role.

    Raises
    ------
    InventoryError
        Tokens are rotated from one another in a circle; names them.

    Notes
    -----
    The profile of a lasting credential is itself, or the first key of its chain of rotations. One that lives for
    hours is its principal's: the user's; or, of a role, the session's where the session's name recurs with at least
    three credentials, else the role's, because most session names are random.
    """
    seen = dim_token[dim_token["token_uid"] != ""].drop_duplicates("token_uid")
    heads = _heads_of_rotations(tokens)
    sessions = seen[(seen["token_lifetime"] == "session") & seen["role_token_uid"].notna()]
    counts = sessions.groupby("principal_token_uid")["token_uid"].nunique()
    recurring = set(counts.index[counts >= MIN_RECURRING])
    profiles: list[tuple[str, str]] = []
    names = ("token_uid", "token_kind", "token_lifetime", "principal_token_uid", "role_token_uid")
    for uid, kind, lifetime, principal, role in zip(*(seen[name] for name in names), strict=True):
        of_role = isinstance(role, str)
        short_lived = lifetime == "session" or (kind == "principal" and of_role)
        if uid in heads:
            profiles.append((heads[uid], "rotated"))
        elif not short_lived or not isinstance(principal, str):
            profiles.append((uid, "token"))
        elif not of_role:
            profiles.append((principal, "principal"))
        else:
            profiles.append((principal, "session") if principal in recurring else (role, "role"))
    tokens_seen = seen[["token_key", "token_uid"]].reset_index(drop=True)
    return tokens_seen.assign(
        profile_uid=pd.Series([uid for uid, _ in profiles], dtype="str"),
        profile_kind=pd.Series([kind for _, kind in profiles], dtype="str"),
    )


def _heads_of_rotations(tokens: pd.DataFrame) -> dict[str, str]:
    """Return the first token of its chain of rotations for every token that replaced another."""
    rotated = tokens.dropna(subset=["rotated_from_uid"])
    before = dict(zip(rotated["token_uid"], rotated["rotated_from_uid"], strict=True))
    masks = dict(zip(tokens["token_uid"], tokens["mask"], strict=True))
    heads: dict[str, str] = {}
    for uid in before:
        chain = [uid]
        while chain[-1] in before:
            chain.append(before[chain[-1]])
            if chain[-1] in chain[:-1]:
                circle = " <- ".join(str(masks.get(u, u)) for u in chain)
                raise InventoryError(
                    f"inventory: tokens are rotated from one another in a circle ({circle}).\n"
                    "A token replaces an older one: clear rotated_from in one of these rows."
                )
        heads[uid] = chain[-1]
    return heads
