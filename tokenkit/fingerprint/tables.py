"""Tables: the activity of some days by profile, joined with the dimensions, from which features are aggregated.

Reads  activity_*, seen, dim_operation, tokens, dim_token. Writes nothing.
Each has ``profile_key``, ``hour_s`` (of a daily table the first hour of its day), and ``one``, 1, to count rows with.
"""

from datetime import date, timedelta

import duckdb
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.store import lake

# the tables that a feature may name; a daily table has a row a day and no hours
HOURLY = ("activity_hour", "activity_network", "activity_client", "activity_operation", "activity_denied")
DAILY = ("activity_object", "activity_transition", "activity_session", "activity_pair", "lifecycle")

_DAY = "epoch(day)::bigint as hour_s, 1::bigint as one"


def activity_tables(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    profiles: pd.DataFrame,
    days: list[date],
    begin: date | None = None,
) -> dict[str, duckdb.DuckDBPyRelation]:
    """Return the tables of some days, ``activity_hour`` first: it has every hour that occurs in the others.

    Parameters
    ----------
    profiles : DataFrame of ``token_key``, ``token_uid``, ``profile_uid``, ``profile_key``
    days : sorted; new on a day is what no day before it has
    begin : days before it make nothing known, and have no rows; None: there are no such days
    """
    connection.register("profiles", profiles[["token_key", "profile_key"]])
    end = days[-1] + timedelta(days=1)
    in_days = "day in ({})".format(", ".join(f"date '{d.isoformat()}'" for d in days))

    def view(name: str, *between: date | None) -> None:
        lake.scan(connection, workspace.lake, name, *between).create_view(name, replace=True)

    for kind in ("hour", "transition", "pair"):
        view(f"activity_{kind}", begin, end)  # all days before too
    for kind in ("network", "client", "operation", "object", "session"):
        view(f"activity_{kind}", max(days[0], begin or days[0]), end)
    for name in ("dim_operation", "dim_token", "seen"):
        view(name)

    def rows_of_profiles(name: str, columns: str = "*, 1::bigint as one") -> duckdb.DuckDBPyRelation:
        return connection.sql(f"select {columns} from {name} join profiles using (token_key) where {in_days}")

    tables = {name: rows_of_profiles(name) for name in HOURLY[:3]}
    tables["activity_operation"] = connection.sql(
        "select *, 1::bigint as one from activity_operation join profiles using (token_key)"
        f" left join dim_operation using (operation_key) where {in_days}"
    )
    tables["activity_denied"] = tables["activity_operation"].filter("outcome = 2")
    tables["activity_object"] = connection.sql(
        "with first as (select profile_key, value_key as object_key, min(first_day) as first_day from seen"
        " join profiles using (token_key) where kind = 'object' group by all)"
        f" select *, {_DAY}, day = first_day as is_new"
        f" from activity_object join profiles using (token_key) left join first using (profile_key, object_key)"
        f" where {in_days}"
    )
    tables["activity_session"] = rows_of_profiles("activity_session", f"*, {_DAY}")
    sums = ("steps", "gap_s", "squared_gap_s2", "paced", "switched")
    tables["activity_transition"] = _first_seen(
        connection, "activity_transition", ("previous_key", "operation_key"), in_days,
        ", ".join(f"sum({c})::bigint as {c}" for c in sums) + ", max(max_gap_s) as max_gap_s",
    )  # fmt: skip
    tables["activity_pair"] = _first_seen(
        connection, "activity_pair", ("operation_key", "other_key"), in_days, "sum(sessions)::bigint as sessions"
    )
    tables["lifecycle"] = _lifecycle(connection, workspace, profiles, in_days)
    return tables


def _first_seen(
    connection: duckdb.DuckDBPyConnection, name: str, keys: tuple[str, str], in_days: str, measures: str
) -> duckdb.DuckDBPyRelation:
    """Return profile x day x two operations, and whether that day is the first with both (``is_new``)."""
    both = ", ".join(keys)
    return connection.sql(
        f"with mine as (select profile_key, day, {both}, {measures} from {name} join profiles using (token_key)"
        f" where {in_days} group by profile_key, day, {both}),"
        f" first as (select profile_key, {both}, min(day) as first_day from {name} join profiles using (token_key)"
        f" semi join mine using (profile_key, {both}) group by profile_key, {both})"
        f" select mine.*, {_DAY}, day = first_day as is_new from mine join first using (profile_key, {both})"
    )


def _lifecycle(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, profiles: pd.DataFrame, in_days: str
) -> duckdb.DuckDBPyRelation:
    """Return profile x active day: age, rotation, idle days, owner and scopes as of that day.

    ``created`` and ``newest`` are the first days of the profile and of its newest credential: as in the inventory, or
    the first day with a call if that is earlier or the inventory has none. ``last_active`` is the active day before.
    The row of the inventory is chosen as in ``owners.people``: the newest credential's, else the user's or the role's.
    """
    inventory = lake.read(workspace.lake, "tokens").to_pandas()
    columns = ["token_uid", "created_time", "owner_status", "scopes", "valid_from", "valid_to"]
    connection.register("owned", inventory[columns])
    connection.register("mapped", profiles[["token_key", "token_uid", "profile_uid", "profile_key"]])
    return connection.sql(
        f"""
        with active as (
            select distinct profile_key, token_key, day from activity_hour join profiles using (token_key)
        ), days as (
            select profile_key, day, lag(day) over (partition by profile_key order by day) as last_active
            from (select distinct profile_key, day from active)
        ), credentials as (
            select profile_key, token_key, token_uid, min(day) as first_day, min(created_time)::date as created
            from active join mapped using (profile_key, token_key) left join owned using (token_uid) group by all
        ), came as (
            select *, least(first_day, coalesce(created, first_day)) as came from credentials
        ), ages as (
            select profile_key, days.day, min(came) as created, max(came) as newest
            from days join came using (profile_key) where first_day <= days.day group by all
        ), named as (
            select profile_key, token_uid, 0 as rank, came, first_day from came
            union all select distinct profile_key, unnest([profile_uid, principal_token_uid, role_token_uid]),
                unnest([1, 2, 3]), null, null from mapped left join dim_token using (token_key)
        ), entries as (
            select profile_key, day, owner_status, scopes, row_number() over (
                partition by profile_key, day order by rank, came desc, valid_from desc nulls last, token_uid) as place
            from days join named using (profile_key) join owned using (token_uid)
            where (first_day is null or first_day <= day) and (valid_from is null or valid_from < day + interval 1 day)
            and (valid_to is null or valid_to > day)
        )
        select profile_key, {_DAY}, (day - created)::bigint as age_days, (day - newest)::bigint as rotated_days,
            coalesce(day - last_active - 1, 0)::bigint as idle_days,
            (coalesce(owner_status, 'unowned') = 'owned')::bigint as owned,
            (coalesce(owner_status, '') = 'orphaned')::bigint as orphaned,
            len(regexp_extract_all(coalesce(scopes, ''), '[^\\s,;]+'))::bigint as scopes
        from days join ages using (profile_key, day)
        left join (from entries where place = 1) using (profile_key, day) where {in_days}
        """
    )
