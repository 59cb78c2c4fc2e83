"""Find: which token, or which profile, somebody means by an id or a name.

Reads  dim_token, tokens. Writes nothing.
"""

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from tokenkit.config import Workspace
from tokenkit.errors import InputError, did_you_mean
from tokenkit.store import lake
from tokenkit.tokens import owners
from tokenkit.tokens.profiles import token_profiles

NAMES = ("label", "mask", "principal")
LISTED_CANDIDATES = 5
LISTED_TOKENS = 12  # where there are more, an error does not list them all


def find_profile(workspace: Workspace, name: str, when: datetime) -> str:
    """Return the ``profile_uid`` of the token that somebody calls by one of its ids or names.

    Parameters
    ----------
    name : str
        An id (``token_uid``, ``profile_uid``, or that of a principal or role), or a label, a mask or a principal.
    when : datetime
        Labels and owners as of this moment.

    Raises
    ------
    InputError
        No token has this name, or several have it; lists which.
    """
    profiles = token_profiles(workspace)
    tokens = tokens_by_id(profiles, lake.read(workspace.lake, "dim_token").to_pandas()).get(name)
    if tokens:
        candidates = sorted(set(profiles.loc[profiles["token_uid"].isin(tokens), "profile_uid"]))
    else:
        people = owners.people(workspace, profiles, when)
        candidates = sorted(people.index[(people[list(NAMES)] == name).any(axis=1)])
        if not candidates:
            raise InputError(f"no token {name!r}; {_hint(name, people)}")
    if len(candidates) > 1:
        listed = ", ".join(candidates[:LISTED_CANDIDATES])
        raise InputError(f"{name!r} is the name of {len(candidates)} tokens: {listed}. Name one by its id.")
    return str(candidates[0])


def tokens_by_id(profiles: pd.DataFrame, dim_token: pd.DataFrame) -> Mapping[str, list[str]]:
    """Return the tokens that each id stands for.

    An id that is a token's stands for that token alone; else one of a profile for the profile's tokens; else one of a
    principal for its tokens; else one of a role for those that were issued for it.

    Parameters
    ----------
    profiles : DataFrame
        ``token_uid`` and ``profile_uid`` (``token_profiles``).
    dim_token : DataFrame
        ``schema.DIM_TOKEN``.

    Returns
    -------
    dict of str to list of str
        ``token_uid`` by id, in the order of their ids.

    Examples
    --------
    >>> profiles = pd.DataFrame({"token_uid": ["t2", "t1"], "profile_uid": ["p", "p"]})
    >>> dim_token = pd.DataFrame({"token_uid": ["t1", "t2"], "principal_token_uid": ["p", "p"],
    ...                           "role_token_uid": [None, "r"]})
    >>> tokens_by_id(profiles, dim_token)
    {'r': ['t2'], 'p': ['t1', 't2'], 't1': ['t1'], 't2': ['t2']}
    """
    columns = ["token_uid", "principal_token_uid", "role_token_uid"]
    table = profiles[["token_uid", "profile_uid"]].merge(dim_token[columns], on="token_uid", how="left")
    table = table.drop_duplicates("token_uid").sort_values("token_uid")
    found: dict[str, list[str]] = {}
    for column in ("token_uid", "profile_uid", "principal_token_uid", "role_token_uid"):
        ids = table.dropna(subset=[column]).groupby(column, sort=True)["token_uid"].agg(list)
        found = ids.to_dict() | found
    return found


def _hint(name: str, people: pd.DataFrame) -> str:
    known = sorted({str(value) for column in ("label", "mask") for value in people[column].dropna()})
    hint = did_you_mean(name, known) if known else ""
    if len(known) > LISTED_TOKENS and hint.startswith("known: "):
        hint = ""
    return hint or "list them: tokenkit tokens"
