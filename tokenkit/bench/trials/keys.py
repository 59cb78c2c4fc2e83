"""Keys: fill in the missing int64 keys of events that a scenario made or changed, as ingest would.

Reads  events as an edit leaves them. Writes nothing.
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenkit import identity, schema
from tokenkit.sources.fields import clients, normalise
from tokenkit.sources.fields.normalise import Coded

_KEYS = {"network_key": ("src_ip", "network"), "client_key": ("user_agent",), "operation_key": ("operation",),
         "object_key": ("resource_uid",)}  # fmt: skip
DIMENSIONS = ("dim_network", "dim_client", "dim_operation", "dim_object")


def _texts(values: pd.Series, cap: int | None = 1024) -> Coded:
    return Coded.of(values.astype(object).where(values.notna(), None).tolist(), cap)


def _keys_and_dimensions(events: pd.DataFrame) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """Key columns of the events, and their dimension rows, by the functions of ingest."""
    address = events["src_ip"].astype(object).where(events["src_ip"].notna(), events["network"].astype(object))
    data: dict[str, Any] = {}
    places = normalise.network_rows(_texts(address), data)
    programs = normalise.client_rows(_texts(events["user_agent"], clients.USER_AGENT_CAP), data)
    called: dict[str, Any] = {name: _texts(events[name]) for name in ("service", "operation")}
    called["activity_id"] = events["activity_id"].to_numpy(dtype="int8", na_value=0)
    calls = normalise.operation_rows(called, data)
    things = normalise.object_rows(_texts(events["resource_uid"]), data)
    return data, {"dim_network": places, "dim_client": programs, "dim_operation": calls, "dim_object": things}


def _without_key(events: pd.DataFrame) -> dict[str, pd.Series]:
    """Of each key, which events have a text and no key of it."""
    return {name: events[name].eq(0) & events[list(texts)].notna().any(axis=1) for name, texts in _KEYS.items()}


def new_texts(events: pd.DataFrame) -> pd.Series:
    """Which events, as an edit leaves them, have a text that was changed (bool): it may be in no dimension yet."""
    return pd.concat(_without_key(events), axis=1).any(axis=1)


def fill_keys(events: pd.DataFrame, seed: str) -> pd.DataFrame:
    """Return the events with all missing int64 keys filled in, as ingest would.

    Parameters
    ----------
    events : as an edit leaves them: the key 0 where a text was changed, and where an event is new
    seed : names the trial and the token, so that no other trial's events have these keys
    """
    made = events.copy()
    missing, some = _without_key(events), new_texts(events)
    if some.any():
        data, _ = _keys_and_dimensions(events[some])
        for name, where in missing.items():
            made.loc[where, name] = data[name].to_numpy(zero_copy_only=False)[where[some]]
    new = np.flatnonzero((events["event_key"] == 0).to_numpy())
    # a digest like that of any other event: neither its size nor its order says that the event is an attacker's
    keys = [identity.value_key("event", f"{seed}|{number}") for number in range(len(new))]
    made.loc[made.index[new], "event_key"] = np.array(keys, dtype=np.int64)
    return made


def dimension_rows(events: pd.DataFrame) -> dict[str, pa.Table]:
    """Rows of ``dim_network``, ``dim_client``, ``dim_operation`` and ``dim_object`` for the values of these events.

    Rows that the lake already has come too: add those whose key is unknown there.
    """
    return _keys_and_dimensions(events)[1] if len(events) else {name: schema.empty(name) for name in DIMENSIONS}
