"""Policy: uses that break a rule of the inventory, which needs no history: after the owner left, after expiry, from
outside the declared networks.

Reads  tokens, activity_network, dim_network. Writes nothing. A rule that was broken before the reported days and
still is, is *standing*: the page lists it and it opens no incident. One that is first broken in them opens an incident.
"""

import ipaddress
from datetime import date

import duckdb
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
COLUMNS = ["rule", "token_uid", "profile_uid", "first_s", "since_s", "last_s", "requests", "standing", "what"]
EXAMPLES = 5  # of networks or dates in ``what``

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def in_period(breaches: pd.DataFrame, start: date, end: date) -> pd.DataFrame:
    """Return the rules that are broken in the days ``[start, end)``.

    Parameters
    ----------
    breaches : DataFrame of ``breaches``, up to ``end`` or later

    Returns
    -------
    DataFrame, one row a rule and token, sorted by them
        ``rule``, ``token_uid``, ``profile_uid``, ``first_s`` (first breach ever, seconds since 1970), ``since_s``
        (first in the period), ``last_s`` (end of the last hour), ``requests`` (in the period), ``standing`` (bool),
        ``what`` (list of at most five networks or dates).
    """
    low, high = (int(pd.Timestamp(day, tz="UTC").timestamp()) for day in (start, end))
    inside = breaches[(breaches["first_s"] >= low) & (breaches["first_s"] < high)]
    if inside.empty:
        return pd.DataFrame(columns=COLUMNS)
    rule_and_token = ["rule", "token_uid"]
    table = inside.groupby(rule_and_token).agg(
        profile_uid=("profile_uid", "first"), since_s=("first_s", "min"), last_s=("last_s", "max"),
        requests=("requests", "sum"), what=("what", lambda texts: sorted(set(texts))[:EXAMPLES]),
    )  # fmt: skip
    first = breaches.groupby(rule_and_token)["first_s"].min()
    table = table.assign(first_s=first.loc[table.index])
    return table.assign(standing=table["first_s"] < low).reset_index()[COLUMNS]


def breaches(workspace: Workspace, mapped: pd.DataFrame, end: date) -> pd.DataFrame:
    """Return every use before ``end`` that breaks a rule, added up by day.

    Parameters
    ----------
    mapped : DataFrame of ``token_key``, ``token_uid``, ``profile_uid`` (``token_profiles``)

    Returns
    -------
    DataFrame, one row a rule, row of the inventory, day and network
        ``rule``, ``token_uid``, ``profile_uid``, ``what`` (the network, the date of expiry, or nothing), ``first_s``
        and ``last_s`` (start of the first hour and end of the last, seconds since 1970), ``requests``.
    """
    tokens = lake.read(workspace.lake, "tokens").to_pandas()
    tokens = tokens.merge(mapped[["token_key", "profile_uid"]], on="token_key")
    networks = lake.read(workspace.lake, "dim_network").to_pandas().set_index("network_key")["network"]
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        lake.scan(connection, workspace.lake, "activity_network", None, end).create_view("uses")
        connection.register("networks", pd.DataFrame({"network_key": networks.index}))
        columns = ["token_key", "owner_status", "expires_time", "valid_from", "valid_to"]
        connection.register("inventory", tokens[columns].rename_axis("inventory_row").reset_index())
        connection.register("outside", _outside(connection, tokens["networks"], networks))
        uses = connection.sql(BREACHES).df()
    expired = "expired on " + tokens["expires_time"].dt.strftime("%d %b %Y").str.lstrip("0")
    rules = [
        uses[uses["orphaned"]].assign(rule="orphan_in_use", what=""),
        uses[uses["expired"]].assign(rule="expired_in_use", what=lambda rows: rows["inventory_row"].map(expired)),
        uses[uses["outside"]].assign(rule="outside_networks", what=lambda rows: rows["network_key"].map(networks)),
    ]
    columns = ["inventory_row", "rule", "what", "first_s", "last_s", "requests"]
    names = tokens[["token_uid", "profile_uid"]]
    return pd.concat(rules)[columns].join(names, on="inventory_row").drop(columns="inventory_row")


BREACHES = """
with owned as (
    select inventory_row, token_key, owner_status = 'orphaned' as orphaned, epoch_us(expires_time) as expires_us,
        epoch_us(valid_from) as from_us, epoch_us(valid_to) as to_us
    from inventory
), judged as (
    select day, inventory_row, network_key, hour_s, requests, orphaned,
        coalesce(expires_us < hour_s * 1000000, false) as expired, outside.inventory_row is not null as outside
    from uses join networks using (network_key) join owned using (token_key)
        left join outside using (inventory_row, network_key)
    where coalesce(from_us <= hour_s * 1000000, true) and coalesce(to_us > hour_s * 1000000, true)
)
select inventory_row, network_key, orphaned, expired, outside, min(hour_s) as first_s, max(hour_s) + 3600 as last_s,
    sum(requests)::bigint as requests
from judged where orphaned or expired or outside
group by day, inventory_row, network_key, orphaned, expired, outside order by all
"""


def _outside(connection: duckdb.DuckDBPyConnection, declared: pd.Series, networks: pd.Series) -> pd.DataFrame:
    """Return the ``inventory_row`` and ``network_key`` of networks in use that lie outside the declared ones.

    Parameters
    ----------
    connection : with ``uses`` and ``inventory``
    declared : networks that each row of the inventory declares, as text
    networks : the text of each network, by ``network_key``
    """
    pairs = connection.sql(
        "select distinct inventory_row, network_key from uses join networks using (network_key)"
        " join inventory using (token_key)"
    ).df()
    pairs = pairs.assign(declared=pairs["inventory_row"].map(declared), network=pairs["network_key"].map(networks))
    pairs = pairs.dropna(subset=["declared", "network"])
    allowed = {text: _networks(text) for text in pairs["declared"].unique()}
    used = {text: ipaddress.ip_network(text, strict=False) for text in pairs["network"].unique() if "/" in text}
    outside = {
        (text, network): network in used and is_outside(used[network], allowed[text])
        for text, network in pairs[["declared", "network"]].drop_duplicates().itertuples(index=False)
    }
    rows = np.array([outside[pair] for pair in zip(pairs["declared"], pairs["network"], strict=True)], dtype=bool)
    return pairs.loc[rows, ["inventory_row", "network_key"]]


def is_outside(network: Network, allowed: list[Network]) -> bool:
    """Return whether a network shares no address with the allowed ones; False where none is allowed.

    Examples
    --------
    >>> office = [ipaddress.ip_network("203.0.113.128/25")]
    >>> is_outside(ipaddress.ip_network("203.0.113.0/24"), office), is_outside(ipaddress.ip_network("::/0"), office)
    (False, True)
    """
    return bool(allowed) and not any(network.overlaps(n) for n in allowed if n.version == network.version)


def _networks(declared: str) -> list[Network]:
    """Return the networks in a cell of the inventory; other words are left out, ``inventory.load`` reports them."""
    networks = []
    for text in declared.replace(",", " ").replace(";", " ").split():
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    return networks
