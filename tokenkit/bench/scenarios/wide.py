"""Wide: several tokens at once: each token's part of it, with what they share chosen once (``share``)."""

import pandas as pd

from tokenkit.bench.scenarios.calls import answered, calling, plausible
from tokenkit.bench.scenarios.scenario import (
    DAY,
    Edited,
    Setting,
    added,
    at,
    copies,
    count,
    from_network,
    neighbours,
    scenario,
    share,
    spread,
    usual,
    with_client,
)
from tokenkit.bench.scenarios.stolen import used

COHORT = 6


@scenario(
    24, "Third party breached: many tokens at once", attack_ids=("T1199", "T1195.002", "T1528"), cohort=COHORT,
    alike=True, intensities=(5, 20, 80), unit="requests with each token, within one UTC day", days=1, suits=used,
    shown_by=("network", "client", "operation", "outside_networks"),
)  # fmt: skip
def supply_chain(events: pd.DataFrame, setting: Setting) -> Edited:
    """The same network, program and first call on each token, in the UTC day of the start."""
    rng, n = setting.rng, count(setting)
    shared = setting.shared or share(setting)
    left = setting.start.normalize() + DAY - setting.start
    rows = at(copies(usual(events, setting), n, rng), spread(setting.start, left / pd.Timedelta("1h"), n, rng))
    same = plausible(events, "identity")
    call = same[int(shared["choice"] * len(same))]
    first = calling(rows.iloc[: max(1, n // 5)], [call], events, rng)
    rows = pd.concat([first, rows.iloc[len(first) :]])
    return added(events, with_client(from_network(rows, neighbours(shared["ip"], 2, rng), rng), shared["user_agent"]))


@scenario(
    26, "Storm of calls with invalid tokens", attack_ids=("T1110.004",), cohort=COHORT, intensities=(20, 100, 400),
    unit="calls refused as invalid, with each token", days=1 / 24, suits=used,
    shown_by=("network", "outside_networks", "client", "denied", "client_errors", "denied_operations", "requests",
              "max_in_minute"),
)  # fmt: skip
def invalid_token_storm(events: pd.DataFrame, setting: Setting) -> Edited:
    """Half an hour of 401 from one new network, over all tokens of the cohort."""
    rng, n = setting.rng, count(setting)
    shared = setting.shared or share(setting)
    rows = at(copies(usual(events, setting), n, rng), spread(setting.start, 0.5, n, rng))
    rows = with_client(from_network(answered(rows, 401), neighbours(shared["ip"], 2, rng), rng), shared["user_agent"])
    return added(events, rows)
