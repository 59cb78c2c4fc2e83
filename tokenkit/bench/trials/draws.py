"""Draws: which tokens are attacked in which way, and when.

Reads  the lake of an unattacked organisation. Writes nothing.
A draw depends on the organisation, the scenario and its repetition alone: one more scenario changes no other's trials.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenkit.bench.scenarios import scenario
from tokenkit.bench.scenarios.scenario import Scenario
from tokenkit.bench.trials.unattacked import UnattackedOrganisation
from tokenkit.store import engine, lake

POOL_TOKENS = 300  # tokens of an organisation that may be attacked


@dataclass(frozen=True)
class Trial:
    """One scenario at one intensity on one token (on several of a cohort), from one moment on.

    ``number`` is its place in a run, ``repetition`` its place among those of its scenario and intensity.
    """

    number: int
    repetition: int
    seed: int
    scenario: Scenario
    intensity: float
    base_uids: tuple[str, ...]
    start: pd.Timestamp
    end: pd.Timestamp  # of the period in which it may happen
    variant: str = "clean"

    @property
    def name(self) -> str:
        """What makes it this trial, whichever others a run has: its random streams are drawn from it."""
        return f"{self.seed}/{self.variant}/{self.scenario.id}/{self.intensity:g}/{self.repetition}"


def trial_stream(*names: object) -> np.random.Generator:
    """A random stream of its own for each trial and purpose (not that of ``world.draws.stream`` for the same names)."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, names)).encode()))


def events_of(organisation: UnattackedOrganisation, uids: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The canonical events (``scenario.COLUMNS`` and what else a twin keeps) of some profiles of one token each."""
    keys = {organisation.single[uid]: uid for uid in uids}
    with engine.connect(organisation.workspace.settings.engine, organisation.workspace.scratch) as connection:
        connection.register("wanted", pd.DataFrame({"token_key": list(keys)}))
        lake.scan(connection, organisation.workspace.lake, "events").create_view("events")
        columns = ", ".join(scenario.COLUMNS)
        table = connection.sql(
            f"select token_key, {columns} from events semi join wanted using (token_key) order by token_key, time,"
            " event_key"
        ).to_arrow_table()
    frame = table.to_pandas()
    return {keys[int(k)]: part.drop(columns="token_key").reset_index(drop=True)
            for k, part in frame.groupby("token_key")}  # fmt: skip


def draw(
    organisation: UnattackedOrganisation, chosen: Sequence[tuple[Scenario, float]], each: int,
    events: dict[str, pd.DataFrame], first: int = 0, variant: str = "clean",
    period: tuple[pd.Timestamp, pd.Timestamp] | None = None,
) -> list[Trial]:  # fmt: skip
    """Trials of some scenarios and intensities, ``each`` of every one, on tokens and from moments drawn at random.

    A token that a scenario does not suit is not drawn for it; a scenario that suits none has no trial, nor has one
    that needs more days before its attack than the period has. A cohort is of one purpose where the scenario wants that
    and enough tokens are. Nothing is changed before the test period, nor after its end.

    Parameters
    ----------
    chosen : scenario and intensity
    events : ``events_of`` the tokens that may be drawn
    first : number of the first trial
    period : when they may happen; default: the test period
    """
    low, high = period or (organisation.start, organisation.end)
    trials: list[Trial] = []
    tests = dict.fromkeys(s.suits for s, _ in chosen)  # several scenarios share one
    live = [uid for uid in sorted(events) if (events[uid]["time"] >= low).any()]
    suited = {test: [uid for uid in live if test(events[uid])] for test in tests}
    for one, intensity in chosen:
        first_moment = low + pd.Timedelta(days=one.lead * intensity)
        if len(suited[one.suits]) < one.cohort or first_moment >= high:
            continue
        for repetition in range(each):
            rng = trial_stream(organisation.seed, one.id, f"{intensity:g}", repetition, "where and when")
            tokens = (
                _of_one_purpose(organisation, suited[one.suits], one.cohort, rng) if one.alike else suited[one.suits]
            )
            picked = rng.choice(len(tokens), one.cohort, replace=False)
            last = high - pd.Timedelta(days=one.days or (high - low).days)
            latest = max(last - first_moment, (high - first_moment) / 4)  # what goes on to the end begins in a quarter
            start = (first_moment + rng.random() * latest).floor("s")
            uids = tuple(tokens[i] for i in picked)
            number = first + len(trials)
            trials.append(Trial(number, repetition, organisation.seed, one, intensity, uids, start, high, variant))
    return trials


def _of_one_purpose(
    organisation: UnattackedOrganisation, tokens: list[str], n: int, rng: np.random.Generator
) -> list[str]:
    """Tokens with one purpose, drawn among those that ``n`` tokens or more have; all of them where none has."""
    inventory = organisation.tokens.drop_duplicates("token_uid", keep="last").set_index("token_uid")
    purpose = inventory["purpose"].reindex(tokens)
    counts = purpose.value_counts()
    enough = sorted(counts.index[counts >= n])
    if not enough:
        return tokens
    chosen = str(rng.choice(enough))
    return [uid for uid in tokens if purpose[uid] == chosen]


def attackable(organisation: UnattackedOrganisation) -> list[str]:
    """Profiles that may be attacked: one token each, on the list of owners, active on one reference day or more."""
    days = organisation.evidence.days
    active = days.reference.sum(axis=1)
    known = set(organisation.tokens["token_uid"])
    return [str(uid) for uid, n in zip(days.profiles, active, strict=True)
            if uid in organisation.single and uid in known and n >= 1]  # fmt: skip


def pool(organisation: UnattackedOrganisation) -> list[str]:
    """The tokens that may be attacked: all, or so many of them drawn at random."""
    every = attackable(organisation)
    rng = trial_stream(organisation.seed, "pool")
    return sorted(rng.choice(every, min(POOL_TOKENS, len(every)), replace=False).tolist())
