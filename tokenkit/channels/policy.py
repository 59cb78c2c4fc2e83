"""Policy: what needs no history to be wrong: used after its owner left, after it expired, outside declared networks.

Reads  tokens, activity_hour, activity_network, dim_network. A rule broken before the reported days and still broken is
*standing*: it is listed on the page, and raises nothing by itself. One that begins in them raises an incident.
"""

import ipaddress
from datetime import date

import numpy as np
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.store import engine, lake

BITS = {"outside_networks": 20.0, "expired_in_use": 18.0, "orphan_in_use": 16.0}
TITLES = {
    "outside_networks": "Used outside the networks its owner declared",
    "expired_in_use": "Used after it expired",
    "orphan_in_use": "Used although its owner has left",
}


def findings(workspace: Workspace, mapped: pd.DataFrame, start: date, end: date) -> pd.DataFrame:
    """Rules broken in the days ``[start, end)``.

    Parameters
    ----------
    mapped : DataFrame of ``token_key``, ``token_uid``, ``profile_uid`` (``token_profiles``)

    Returns
    -------
    DataFrame, one row a rule and token
        ``rule``, ``token_uid``, ``profile_uid``, ``first_s`` (first breach ever, seconds since 1970),
        ``since_s`` (first in
        the period), ``last_s``, ``requests`` (in the period), ``standing`` (bool), ``what`` (networks, or the date).
    """
    tokens = lake.read(workspace.lake, "tokens").to_pandas()
    columns = ["rule", "token_uid", "profile_uid", "first_s", "since_s", "last_s", "requests", "standing", "what"]
    if tokens.empty:
        return pd.DataFrame(columns=columns)
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        lake.scan(connection, workspace.lake, "activity_network", None, end).create_view("uses")
        lake.scan(connection, workspace.lake, "dim_network").create_view("networks")
        connection.register("owned", tokens[["token_key"]].drop_duplicates())
        uses = connection.sql(
            "select token_key, hour_s, network, requests from uses join networks using (network_key)"
            " join owned using (token_key) order by all"
        ).df()
    uses = uses.merge(tokens, on="token_key").merge(mapped[["token_key", "profile_uid"]], on="token_key")
    when = pd.to_datetime(uses["hour_s"], unit="s", utc=True)
    live = (uses["valid_from"].isna() | (uses["valid_from"] <= when)) & (
        uses["valid_to"].isna() | (uses["valid_to"] > when)
    )
    uses, when = uses[live], when[live]
    broken = [
        uses[uses["owner_status"] == "orphaned"].assign(rule="orphan_in_use", what=""),
        uses[uses["expires_time"] < when].assign(
            rule="expired_in_use", what="expired on " + uses["expires_time"].dt.strftime("%d %b %Y").str.lstrip("0")
        ),
        uses[_outside(uses)].assign(rule="outside_networks", what=uses["network"]),
    ]
    rows = pd.concat(broken)
    low, high = (int(pd.Timestamp(d, tz="UTC").timestamp()) for d in (start, end))
    found = []
    for (rule, token_uid), group in rows.groupby(["rule", "token_uid"]):
        inside = group[(group["hour_s"] >= low) & (group["hour_s"] < high)]
        if len(inside):
            found.append(
                [rule, token_uid, group["profile_uid"].iloc[0], group["hour_s"].min(), inside["hour_s"].min(),
                 inside["hour_s"].max() + 3600, inside["requests"].sum(), group["hour_s"].min() < low,
                 sorted(set(inside["what"]))[:5]]
            )  # fmt: skip
    return pd.DataFrame(found, columns=columns)


def _outside(uses: pd.DataFrame) -> np.ndarray:
    """Whether each row's network lies outside the networks declared for its token; False where none are."""
    known: dict[tuple[str, str], bool] = {}

    def outside(declared: object, network: object) -> bool:
        if not isinstance(declared, str) or not declared.strip() or not isinstance(network, str) or "/" not in network:
            return False
        if (declared, network) not in known:
            here = ipaddress.ip_network(network, strict=False)
            allowed = _networks(declared)  # none where the cell holds words only: then nothing was declared
            inside = any(here.overlaps(n) for n in allowed if n.version == here.version)
            known[declared, network] = bool(allowed) and not inside
        return known[declared, network]

    return np.array([outside(d, n) for d, n in zip(uses["networks"], uses["network"], strict=True)], dtype=bool)


def _networks(declared: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for text in declared.replace(",", " ").replace(";", " ").split():
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue  # reported by inventory.load
    return found
