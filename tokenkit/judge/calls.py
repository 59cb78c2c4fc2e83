"""Calls: what the lake holds about the incidents of a report.

Reads  activity, events, seen and dimensions. Writes nothing. Each question is one query for all incidents, which it
joins by number; asked for one incident after the other, the same files would be read again for each.
"""

from dataclasses import dataclass

import duckdb
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.days import Periods
from tokenkit.store import lake

BEFORE = pd.Timedelta(days=28)
EXAMPLES = 10
NEW_VALUES = 20  # of a kind, whose calls come first among the examples
COMPARED_VALUES = 50  # of a kind, which are looked for among the peers
TEXTS = {"network": "network", "client": "user_agent", "operation": "operation"}


@dataclass(frozen=True)
class Calls:
    """What the tokens of one incident did.

    ``values``: by kind (network, client, operation) those in use in the incident, see ``_values``. ``users``: by kind,
    value key to how many other profiles of the peer group used it before. ``total``: calls in the incident, and
    ``last`` the time of the last one. ``examples``: up to ten of them. ``hours``: calls by hour around the incident.
    ``before``: ``service``, ``operation`` and ``calls`` of the 28 days up to its first day, the most first.
    """

    values: dict[str, pd.DataFrame]
    users: dict[str, dict[int, int]]
    total: int
    last: pd.Timestamp | None
    examples: pd.DataFrame
    hours: pd.Series
    before: pd.DataFrame


def calls_of(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, periods: Periods, incidents: pd.DataFrame,
    tokens: pd.DataFrame, groups: pd.Series,
) -> list[Calls]:  # fmt: skip
    """Return what the lake holds about each incident, in the order of the rows.

    Parameters
    ----------
    incidents : DataFrame, one row an incident
        ``profile_uid``, ``start``, ``end``, and the hours that are charted: ``chart_start``, ``chart_end``
    tokens : DataFrame of ``token_key``, ``profile_uid``
    groups : number of the peer group by profile_uid, of the profiles that are compared with peers
    """
    if incidents.empty:
        return []
    since = min(incidents["start"].min() - BEFORE, incidents["chart_start"].min())
    for name in ("activity_hour", "activity_network", "activity_client", "activity_operation", "events"):
        low = incidents["start"].min() if name == "events" else since
        lake.scan(connection, workspace.lake, name, max(low.date(), periods.first), periods.end).create_view(name)
    for name in ("dim_client", "dim_operation", "seen"):
        lake.scan(connection, workspace.lake, name).create_view(name)
    connection.register("dim_network", lake.read(workspace.lake, "dim_network"))  # older lakes lack its last columns
    incidents = incidents.reset_index(drop=True).rename_axis("incident").reset_index()
    connection.register("spans", _spans(incidents, tokens))
    values = {kind: _values(connection, kind) for kind in TEXTS}
    users = {kind: _users(connection, kind, values[kind], incidents, tokens, groups) for kind in TEXTS}
    totals, examples = _examples(connection, values)
    hours = connection.sql(
        "select incident, hour_s, sum(requests)::bigint as calls from activity_hour join spans using (token_key)"
        " where hour_s >= chart_start_s and hour_s < chart_end_s group by all"
    ).df()
    before = connection.sql(
        "select incident, service, operation, sum(requests)::bigint as calls from activity_operation"
        " join spans using (token_key) join dim_operation using (operation_key)"
        " where hour_s >= since_s and hour_s < day_s group by all order by incident, calls desc, operation"
    ).df()

    def part(rows: pd.DataFrame, number: int) -> pd.DataFrame:
        return rows[rows["incident"] == number].drop(columns="incident").reset_index(drop=True)

    return [
        Calls(
            {kind: part(rows, number) for kind, rows in values.items()},
            {kind: dict(part(rows, number).itertuples(index=False)) for kind, rows in users.items()},
            *totals.get(number, (0, None)),
            part(examples, number),
            part(hours, number).set_index("hour_s")["calls"],
            part(before, number),
        )
        for number in incidents["incident"]
    ]


def _spans(incidents: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
    """Return one row an incident and token, with times as seconds since 1970.

    ``start_s``, ``end_s``: the incident; ``since_s``: 28 days before it; ``day_s``: start of its first day.
    """
    times = {
        "start_s": incidents["start"], "end_s": incidents["end"], "day_s": incidents["start"].dt.normalize(),
        "since_s": incidents["start"] - BEFORE,
        "chart_start_s": incidents["chart_start"], "chart_end_s": incidents["chart_end"],
    }  # fmt: skip
    seconds = {name: time.dt.as_unit("s").astype("int64") for name, time in times.items()}
    spans = incidents[["incident", "profile_uid"]].assign(**seconds)
    return spans.merge(tokens[["profile_uid", "token_key"]], on="profile_uid").drop(columns="profile_uid")


def _values(connection: duckdb.DuckDBPyConnection, kind: str) -> pd.DataFrame:
    """Return the values of one kind that are in use in each incident, those with the fewest calls before it first.

    Returns
    -------
    DataFrame of ``incident``, ``key``, ``value`` (text), ``now`` (calls in the incident), ``before`` (calls in the 28
    days before its first day) and ``hours_before`` (hours with such calls); of networks also ``network_class``,
    ``asn``, ``as_name`` and ``new_class`` (bool: no network of that class was in use on any day before)
    """
    found = connection.sql(
        f"with used as (select incident, {kind}_key as key,"
        " coalesce(sum(requests) filter (hour_s >= start_s), 0)::bigint as now,"
        " coalesce(sum(requests) filter (hour_s < day_s), 0)::bigint as before,"
        " count(distinct hour_s) filter (hour_s < day_s) as hours_before"
        f" from activity_{kind} join spans using (token_key) where hour_s >= since_s and hour_s < end_s"
        " group by all having now > 0)"
        f" select incident, key, {TEXTS[kind]} as value, now, before, hours_before from used join dim_{kind}"
        f" on {kind}_key = key order by incident, before, now desc, value"
    ).df()
    return _with_classes(connection, found) if kind == "network" else found


def _with_classes(connection: duckdb.DuckDBPyConnection, networks: pd.DataFrame) -> pd.DataFrame:
    """The networks with what a file says of each, and whether its class is new to the incident's profile."""
    about = connection.sql("select network_key as key, network_class, asn, as_name from dim_network").df()
    before = connection.sql(
        "select distinct incident, network_class from seen join spans using (token_key)"
        " join dim_network on network_key = value_key"
        " where kind = 'network' and first_day < make_timestamptz(day_s * 1000000)::date"
    ).df()
    known = networks.merge(about, on="key", how="left")
    known = known.merge(before.assign(new_class=False), on=["incident", "network_class"], how="left")
    return known.assign(new_class=known["new_class"].isna() & (known["network_class"] != "unknown"))


def _users(
    connection: duckdb.DuckDBPyConnection, kind: str, values: pd.DataFrame, incidents: pd.DataFrame,
    tokens: pd.DataFrame, groups: pd.Series,
) -> pd.DataFrame:  # fmt: skip
    """Return ``incident``, ``key`` and how many other profiles of the peer group used a value before the incident."""
    members = tokens[["token_key", "profile_uid"]].assign(peer_group=tokens["profile_uid"].map(groups)).dropna()
    own = incidents[["incident", "profile_uid"]].assign(
        peer_group=incidents["profile_uid"].map(groups),
        start_day=incidents["start"].dt.tz_localize(None).dt.normalize(),
    )
    wanted = values.groupby("incident").head(COMPARED_VALUES)[["incident", "key"]].merge(own.dropna(), on="incident")
    number = {uid: n for n, uid in enumerate(tokens["profile_uid"].unique())}
    for name, frame in (("members", members), ("wanted", wanted)):
        frame = frame.assign(
            profile=frame.pop("profile_uid").map(number), peer_group=frame["peer_group"].astype("int64")
        )
        connection.register(name, frame)
    return connection.sql(
        "select incident, key, count(distinct members.profile) as users from seen join wanted on value_key = key"
        " join members using (token_key, peer_group)"
        f" where kind = '{kind}' and members.profile <> wanted.profile and first_day < start_day group by all"
    ).df()


def _examples(
    connection: duckdb.DuckDBPyConnection, values: dict[str, pd.DataFrame]
) -> tuple[dict[int, tuple[int, pd.Timestamp]], pd.DataFrame]:
    """Return how many calls each incident has and the time of the last one, and ten calls of each as examples.

    Calls with values that are new to the profile come first; the examples are in order of time.
    """
    for kind, rows in values.items():
        new = rows[rows["hours_before"] == 0].groupby("incident").head(NEW_VALUES)
        connection.register(f"new_{kind}", new[["incident", "key"]])
    score = " + ".join(f"(new_{kind}.key is not null)::int" for kind in values)
    joins = " ".join(
        f"left join new_{kind} on new_{kind}.incident = spans.incident and new_{kind}.key = {kind}_key"
        for kind in values
    )
    first, last = connection.sql("select min(start_s), max(end_s) from spans").fetchall()[0]
    connection.execute(
        f"create temp table calls as select spans.incident, event_key, day, time, {score} as score"
        f" from events join spans using (token_key) {joins}"
        " where day >= make_timestamptz($first)::date and day <= make_timestamptz($last)::date"
        " and time_ms >= start_s * 1000 and time_ms < end_s * 1000",
        {"first": first * 1_000_000, "last": last * 1_000_000},
    )
    totals = connection.sql("select incident, count(*), max(time) from calls group by 1").fetchall()
    connection.execute(
        "create temp table chosen as select incident, day, event_key from calls qualify row_number() over"
        f" (partition by incident order by score desc, hash(event_key)) <= {EXAMPLES}"
    )
    examples = connection.sql(
        "select incident, time, coalesce(src_ip, src_svc) as src, user_agent, operation, resource_uid, status_code,"
        " response_bytes, token_uid from events join chosen using (day, event_key)"
        " order by incident, time, event_key"
    ).df()
    return {incident: (total, pd.Timestamp(time)) for incident, total, time in totals}, examples
