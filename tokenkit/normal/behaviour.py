"""Behaviour: which kind of token a profile is, by when and what it calls (docs/method/baseline.md).

Reads  activity_hour, activity_operation, dim_operation. Writes nothing.
Amounts of a scheduled job hardly move; those of a person move by half from week to week. So levels are allowed to move
by kind, peers are of one kind where no purpose is known, and what is promised is promised by kind.
"""

from datetime import date

import numpy as np
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.store import engine, lake

KINDS = {
    "scheduled": "scheduled jobs: nearly all calls in three hours of the day",
    "service": "services: at work on weekends as on other days",
    "person": "people: at work in working hours, and owned by a human",
    "office": "other tokens at work in working hours: builds, partners, people without an entry in the list of owners",
    "model": "clients of a model: most calls ask a language model",
    "seldom": "tokens that are seldom used",
}
LEAST_DAYS = 8  # of 28 on which a token is active, to have a kind of its own
SCHEDULED_SHARE = 0.9  # of the calls in the three busiest hours of the day
WEEKEND_SHARE = 0.14  # of the calls on Saturdays and Sundays: half of an even share
MODEL_SHARE = 0.5  # of the calls
MODEL_CALLS = "(?i)completions|embeddings|/messages|/responses|generatecontent|invokemodel|converse(stream)?$"


def behaviours(workspace: Workspace, people: pd.DataFrame, tokens: pd.DataFrame, start: date, end: date) -> pd.Series:
    """The kind of each profile of ``people`` (one of ``KINDS``), by its calls in the days ``[start, end)``.

    Parameters
    ----------
    people : DataFrame indexed by profile_uid with ``owner_type``
    tokens : ``token_key`` and ``profile_uid`` of each token
    """
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        connection.register("profiles", tokens[["token_key", "profile_uid"]])
        lake.scan(connection, workspace.lake, "activity_hour", start, end).create_view("hours")
        lake.scan(connection, workspace.lake, "activity_operation", start, end).create_view("operations")
        lake.scan(connection, workspace.lake, "dim_operation").create_view("names")
        hours = connection.sql(
            "select profile_uid, hour_s % 86400 // 3600 as hour, (hour_s // 86400 + 3) % 7 >= 5 as weekend,"
            " sum(requests)::bigint as requests from hours join profiles using (token_key) group by all order by all"
        ).df()
        days = connection.sql(
            "select profile_uid, count(distinct day) as days from hours join profiles using (token_key) group by all"
        ).df()
        model = connection.sql(
            f"select profile_uid, (sum(requests) filter (regexp_matches(operation, '{MODEL_CALLS}'))"
            " / sum(requests))::double as share from operations join profiles using (token_key)"
            " join names using (operation_key) group by all"
        ).df()
    return kinds(
        hours, days.set_index("profile_uid")["days"], model.set_index("profile_uid")["share"],
        people["owner_type"], (end - start).days,
    )  # fmt: skip


def kinds(
    hours: pd.DataFrame, active_days: pd.Series, model_share: pd.Series, owner_type: pd.Series, length: int
) -> pd.Series:
    """The kind of each profile of ``owner_type``, by profile_uid.

    Parameters
    ----------
    hours : DataFrame, one row a profile, hour of the day and kind of day: ``profile_uid``, ``hour`` (0 to 23, UTC),
        ``weekend`` (bool), ``requests``
    active_days, model_share : by profile_uid: days with a call; share of the calls that ask a model
    owner_type : by profile_uid, as the list of owners has it
    length : days that were looked at

    Examples
    --------
    >>> hours = pd.DataFrame({"profile_uid": "a", "hour": [3, 4], "weekend": [False, True], "requests": [9, 1]})
    >>> kinds(hours, pd.Series({"a": 20}), pd.Series(), pd.Series({"a": "service", "b": "human"}), 28).to_dict()
    {'a': 'scheduled', 'b': 'seldom'}
    """
    uids = owner_type.index
    by_hour = hours.pivot_table(index="profile_uid", columns="hour", values="requests", aggfunc="sum", fill_value=0)
    total = by_hour.sum(axis=1).reindex(uids)
    busiest = pd.Series(np.sort(by_hour.to_numpy(), axis=1)[:, -3:].sum(axis=1), by_hour.index).reindex(uids)
    weekend = hours[hours["weekend"].to_numpy(dtype=bool)].groupby("profile_uid")["requests"].sum().reindex(uids)
    often = active_days.reindex(uids).fillna(0) >= LEAST_DAYS * min(length, 28) / 28
    found = np.select(
        [~often, model_share.reindex(uids) >= MODEL_SHARE, busiest >= SCHEDULED_SHARE * total,
         weekend.fillna(0) >= WEEKEND_SHARE * total, owner_type == "human"],
        ["seldom", "model", "scheduled", "service", "person"], "office",
    )  # fmt: skip
    return pd.Series(found, uids, name="behaviour")
