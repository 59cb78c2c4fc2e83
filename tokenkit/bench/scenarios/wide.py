"""Scenarios on several tokens at once; each edits one token, with what all share chosen once (``shared_traits``)."""

from dataclasses import replace

import pandas as pd

from tokenkit.bench.scenarios.calls import as_calls, plausible_calls, with_status
from tokenkit.bench.scenarios.scenario import (
    DAY,
    NEW_CALLS,
    NEW_NETWORK,
    NEW_PROGRAM,
    EditedToken,
    Setting,
    from_attacker,
    scenario,
    shared_traits,
    usual_calls,
    with_added,
)

COHORT = 6


@scenario(
    24,
    "Third party breached: many tokens at once",
    attack_ids=("T1199", "T1195.002", "T1528"),
    cohort=COHORT,
    alike=True,
    intensities=(5, 20, 80),
    unit="requests with each token, within one UTC day",
    days=1,
    shown_by=(*NEW_NETWORK, *NEW_PROGRAM, *NEW_CALLS),
)
def supply_chain(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Six tokens of one purpose are used on the same UTC day, from the same new hosting network and with the same
    program. The first fifth of the calls are one identity call, the rest are the usual ones of each token.
    """
    n, setting = setting.count, replace(setting, shared=setting.shared or shared_traits(setting))
    left = setting.start.normalize() + DAY - setting.start
    rows = usual_calls(events, setting, n, left / pd.Timedelta("1h"))
    same = plausible_calls(events, "identity")
    call = same[int(setting.shared["choice"] * len(same))]
    first = as_calls(rows.iloc[: max(1, n // 5)], [call], events, setting.rng)
    return with_added(events, from_attacker(pd.concat([first, rows.iloc[len(first) :]]), events, setting, 2))


@scenario(
    26,
    "Storm of calls with invalid tokens",
    attack_ids=("T1110.004",),
    cohort=COHORT,
    intensities=(20, 100, 400),
    unit="refused calls with each token",
    days=1 / 24,
    shown_by=(*NEW_NETWORK, *NEW_PROGRAM, "denied", "client_errors", "denied_operations", "requests", "max_in_minute"),
)
def invalid_token_storm(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """For half an hour the calls of six tokens are refused as unauthenticated (401).

    All come from one new hosting network and the same program.
    """
    setting = replace(setting, shared=setting.shared or shared_traits(setting))
    rows = with_status(usual_calls(events, setting, setting.count, 0.5), 401)
    return with_added(events, from_attacker(rows, events, setting, 2))
