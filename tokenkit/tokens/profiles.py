"""Profiles: which tokens share one fingerprint: the map from token to profile.

Reads  dim_token, tokens. Writes nothing.
"""

import pandas as pd

from tokenkit.config import Workspace
from tokenkit.store import lake
from tokenkit.tokens import inventory


def token_profiles(workspace: Workspace) -> pd.DataFrame:
    """The profile of each token: ``token_key``, ``token_uid``, ``profile_uid``, ``profile_kind``, ``profile_key``."""
    tokens = lake.read(workspace.lake, "tokens").to_pandas()
    mapped = inventory.profiles(lake.read(workspace.lake, "dim_token").to_pandas(), tokens)
    codes = {uid: number for number, uid in enumerate(sorted(mapped["profile_uid"].unique()))}
    return mapped.assign(profile_key=mapped["profile_uid"].map(codes).astype("int64"))
