"""Unattacked: an organisation that nobody attacks, measured once; trials change copies of its tokens.

Reads  a workspace, or simulates one. Writes what it simulates into a folder.
"""

import shutil
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from tokenkit import activity, config, fingerprint
from tokenkit.config import Workspace
from tokenkit.days import Periods, plan
from tokenkit.normal import familiarity, novelty
from tokenkit.normal.evidence import Evidence, of_workspace
from tokenkit.normal.familiarity import Usage
from tokenkit.normal.novelty import Others
from tokenkit.store import lake
from tokenkit.world import EVENTS_PER_TOKEN_DAY, simulate_lake

FIRST = date(2026, 1, 5)
DAYS, TEST_FROM = 90, 56  # fitted until day 42, calibrated until 56, judged until 90


@dataclass(eq=False)
class UnattackedOrganisation:
    """An organisation that nobody attacks, measured once; trials change copies of its tokens.

    ``people`` is ``owners.people``, ``tokens`` the inventory, ``single`` the profiles that are one token each, as
    ``profile_uid`` to ``token_key``; ``operations`` and ``networks`` are what it calls, and from where.
    """

    seed: int
    workspace: Workspace
    evidence: Evidence
    people: pd.DataFrame
    groups: pd.Series
    others: Others
    usage: Usage
    tokens: pd.DataFrame
    single: dict[str, int]
    operations: pd.DataFrame
    networks: frozenset[str]

    @property
    def start(self) -> pd.Timestamp:
        """First moment of the test period."""
        return pd.Timestamp(self.evidence.periods.start, tz="UTC")

    @property
    def end(self) -> pd.Timestamp:
        """End of the test period."""
        return pd.Timestamp(self.evidence.periods.end, tz="UTC")


def unattacked_organisation(workspace: Workspace, periods: Periods, seed: int = 0) -> UnattackedOrganisation:
    """The organisation of a workspace, measured for trials, as if no label had been given.

    Parameters
    ----------
    workspace : its fingerprints are up to date
    periods : days to learn from, and those in which trials happen; with a reference and calibration days
    seed : of the trials
    """
    assert periods.reference is not None
    evidence, population = of_workspace(workspace, periods)
    groups = population.groups
    alone = population.tokens.groupby("profile_uid")["token_key"].agg(["size", "first"])
    alone = alone[(alone["size"] == 1) & alone.index.isin(evidence.days.profiles)]
    others = novelty.others(workspace, groups, periods.reference[0], periods.end)
    usage = familiarity.usage(workspace, groups, periods.reference[0], periods.end)
    operations = lake.read(workspace.lake, "dim_operation").to_pandas()
    networks = frozenset(lake.read(workspace.lake, "dim_network").to_pandas()["network"].dropna())
    tokens = lake.read(workspace.lake, "tokens").to_pandas()
    return UnattackedOrganisation(seed, workspace, evidence, population.people, groups, others, usage, tokens,
                  alone["first"].to_dict(), operations, networks)  # fmt: skip


def a_day_earlier(organisation: UnattackedOrganisation) -> UnattackedOrganisation:
    """The same organisation, measured with every period of learning moved to one day earlier."""
    periods = organisation.evidence.periods
    assert periods.reference is not None and periods.calibration is not None
    (a, b), (c, d), day = periods.reference, periods.calibration, timedelta(days=1)
    moved = replace(periods, reference=(a - day, b - day), calibration=(c - day, d - day))
    return replace(organisation, evidence=of_workspace(organisation.workspace, moved)[0])


def simulated_organisation(
    folder: Path, seed: int, tokens: int, events_a_token_day: float = EVENTS_PER_TOKEN_DAY
) -> UnattackedOrganisation:
    """An organisation of the bench that nobody attacks, simulated and measured.

    Parameters
    ----------
    folder : where it is kept; what is there is not made again
    seed : of the simulation and of the trials
    tokens : how many
    events_a_token_day : how many on average
    """
    workspace = config.init(folder)
    formed = folder / "measured"
    if not formed.exists():
        if lake.version(workspace.lake, "tokens") is None:  # written last
            shutil.rmtree(workspace.lake, ignore_errors=True)
            workspace.state.unlink(missing_ok=True)
            simulate_lake(workspace, tokens=tokens, days=DAYS, start=FIRST, seed=seed, processes=1,
                          events=round(tokens * DAYS * events_a_token_day))  # fmt: skip
        activity.build(workspace)
        fingerprint.build(workspace)
        formed.touch()
    start, end = FIRST + timedelta(days=TEST_FROM), FIRST + timedelta(days=DAYS)
    return unattacked_organisation(workspace, plan(FIRST, start, end, workspace.settings.history), seed)
