"""Who is meant: all ids, keys and texts in a workspace by which a token, or an owner with all tokens, is known.

Reads  dim_token, tokens, incidents (state.db). Writes nothing.
"""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from tokenkit import identity
from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.store import lake, state
from tokenkit.tokens.find import find_profile
from tokenkit.tokens.profiles import token_profiles

LEAST_LETTERS = 6  # a shorter text, such as the label "ci", stands in too many files for other reasons


@dataclass(frozen=True)
class Subject:
    """A token, or an owner with all tokens: what every trace of it is found by.

    ``uids`` are ids of tokens, profiles and owners; ``token_uids`` those of tokens alone; ``keys`` their int64 keys;
    ``texts`` its names, masks, principals, handles and incidents, where nobody else has them.
    """

    token_uids: tuple[str, ...]
    profile_uids: tuple[str, ...]
    owner_uids: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def uids(self) -> tuple[str, ...]:
        """All ids."""
        return tuple(dict.fromkeys([*self.token_uids, *self.profile_uids, *self.owner_uids]))

    @property
    def keys(self) -> tuple[int, ...]:
        """The int64 keys of the tokens."""
        return tuple(identity.int_key(uid) for uid in self.token_uids)

    @property
    def words(self) -> tuple[str, ...]:
        """Whatever must be in no file afterwards."""
        return tuple(dict.fromkeys([*self.uids, *self.texts]))


def find_subject(workspace: Workspace, name: str, when: datetime) -> Subject:
    """Return whom somebody means by an id or a name of a token or of an owner.

    Parameters
    ----------
    name : of an owner (name, e-mail, ``owner_uid``) or of a token (as in ``find_profile``)
    when : names as of this moment

    Raises
    ------
    InputError
        Nobody has this name, or several have it.
    """
    listed = lake.read(workspace.lake, "tokens").to_pandas()
    plain = " ".join(name.lower().split())
    mine = pd.Series(False, index=listed.index)
    for column in ("owner_uid", "owner_email", "owner_name"):
        mine |= listed[column].fillna("").map(lambda text: " ".join(text.lower().split())) == plain
    owners = sorted(set(listed.loc[mine, "owner_uid"].dropna()))
    if len(owners) > 1:
        raise InputError(f"{name!r} is the name of {len(owners)} owners: {', '.join(owners[:5])}. Name one by this id.")
    profiles = token_profiles(workspace)
    if owners:
        of_owner = set(listed.loc[listed["owner_uid"] == owners[0], "token_uid"])
        seen = lake.read(workspace.lake, "dim_token").to_pandas()
        linked = seen[["token_uid", "principal_token_uid", "role_token_uid"]].isin(of_owner).any(axis=1)
        tokens = of_owner | set(seen.loc[linked, "token_uid"])
    else:
        try:
            profile = find_profile(workspace, name, when)
        except InputError as error:
            raise InputError(f"no owner of this name, and {error}") from None
        tokens = set(profiles.loc[profiles["profile_uid"] == profile, "token_uid"])
    own_profiles = profiles[profiles["token_uid"].isin(tokens)]["profile_uid"]
    others = profiles[~profiles["token_uid"].isin(tokens)]["profile_uid"]
    profile_uids = sorted((set(own_profiles) | tokens) - set(others))
    return Subject(
        tuple(sorted(tokens)),
        tuple(profile_uids),
        tuple(owners),
        _texts(workspace, listed, tokens, profile_uids, owners),
    )


def _texts(
    workspace: Workspace, listed: pd.DataFrame, tokens: set[str], profiles: list[str], owners: list[str]
) -> tuple[str, ...]:
    """Return the names that these have and nobody else has."""
    seen = lake.read(workspace.lake, "dim_token").to_pandas()
    columns = {"label", "mask", "enforce_handle", "principal", *(("owner_name", "owner_email") if owners else ())}
    own: set[str] = set()
    others: set[str] = set()
    for table in (listed, seen):
        mine = table["token_uid"].isin(tokens)
        if owners and "owner_uid" in table:
            mine |= table["owner_uid"].isin(owners)
        for column in columns & {*table.columns}:
            own |= set(table.loc[mine, column].dropna())
            others |= set(table.loc[~mine, column].dropna())
    with state.connect(workspace.state) as db:
        incidents = [row[0] for uid in profiles for row in db.execute(
            "select distinct incident_uid from incidents where profile_uid = ?", [uid])]  # fmt: skip
    names = {text for text in own - others if len(text) >= LEAST_LETTERS}
    return (*sorted(names), *sorted(incidents))
