"""Listing: the table of tokens for a person or another program (``tokenkit tokens``)."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pandas as pd

from tokenkit import identity
from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.store import lake
from tokenkit.tokens import owners
from tokenkit.tokens.find import tokens_by_id
from tokenkit.tokens.profiles import token_profiles

COLUMNS = ["token_uid", "profile_uid", "label", "mask", "owner", "team", "status"]
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is a formula to a spreadsheet (OWASP, CSV injection)


def tokens(workspace: Workspace, native_ids: Path | None, when: datetime) -> pd.DataFrame:
    """Return every token with its profile, label, owner and status.

    Parameters
    ----------
    native_ids : a file with one native id a line (a key, or a principal such as a role's ARN), of any issuer whose
        tokens were seen; adds the column ``native_id``, and only those ids are listed, whether they were seen or not
    when : owners as of this moment

    Raises
    ------
    InputError
        The file does not exist.
    IdentityError
        The workspace key is missing.
    """
    profiles = token_profiles(workspace)
    people = owners.people(workspace, profiles, when)
    dim_token = lake.read(workspace.lake, "dim_token").to_pandas()
    frame = profiles.assign(profile_uid=profiles["profile_uid"].astype("str"))
    frame = frame.merge(dim_token[["token_uid", "mask"]], on="token_uid", how="left")
    owners_of_profiles = people[["label", "owner_name", "team", "owner_status"]].set_axis(people.index.astype("str"))
    frame = frame.merge(owners_of_profiles, left_on="profile_uid", right_index=True, how="left")
    frame = frame.rename(columns={"owner_name": "owner", "owner_status": "status"})[COLUMNS].sort_values("token_uid")
    if native_ids is None:
        return frame.reset_index(drop=True)
    key = identity.load_key(workspace.key)
    by_id = tokens_by_id(profiles, dim_token)
    issuers = dim_token["issuer"].dropna().unique()
    rows = frame.set_index("token_uid", drop=False)
    listed = []
    for native in _lines(native_ids):
        uids = [identity.token_uid(key, issuer, native) for issuer in _issuers(workspace, native, issuers)]
        uid = next((u for u in uids if u in by_id), uids[0])
        # of several tokens of a principal or a role, the first speaks for all
        row = rows.loc[by_id[uid][0]].to_dict() if uid in by_id else {"status": "not seen"}
        listed.append({**dict.fromkeys(COLUMNS), **row, "native_id": native, "token_uid": uid})
    return pd.DataFrame(listed, columns=["native_id", *COLUMNS])


def _lines(path: Path) -> list[str]:
    """Return the lines of a file that are not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). It has one native id a line.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8. It has one native id a line.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def spreadsheet(frame: pd.DataFrame) -> str:
    """Return the listing as CSV in which no cell is a formula, which a spreadsheet would calculate.

    Examples
    --------
    >>> print(spreadsheet(pd.DataFrame({"label": ["ci", "=1+1"], "mask": ["=HYP...1)", "AKIA...20BJ"]})))
    label,mask
    ci,'=HYP...1)
    '=1+1,AKIA...20BJ
    <BLANKLINE>
    """
    safe = {c: frame[c].map(lambda text: f"'{text}" if str(text).startswith(FORMULA) else text) for c in frame}
    return frame.assign(**safe).to_csv(index=False)


def _issuers(workspace: Workspace, native: str, seen: Iterable[str]) -> list[str]:
    """Return who may have issued an id, the likeliest first: AWS and the gateways, then the other issuers seen."""
    gateway = f"gateway:{workspace.settings.gateway.realm}"
    likeliest = ["aws", gateway] if native.startswith(("AKIA", "ASIA", "arn:")) else [gateway, "aws"]
    return [*likeliest, *sorted(set(seen) - set(likeliest))]
