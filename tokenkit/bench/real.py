"""Real logs: whether the budget is kept where nobody has said what an attack was, and exchanged identities found.

Reads  a workspace. Writes a folder with the twins of exchanged identities; the workspace keeps its events as they are.
The reference is the first four weeks of the logs and stays frozen, thresholds follow the days, and every day after
calibration is judged by what was known before it: what a nightly run does, month after month.
An exchange is the nearest thing to a truth that such logs have (the protocol of the CLUE-LDS authors): from a moment on
two identities have each other's events, as if a token were used by somebody else altogether.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd

from tokenkit import activity, fingerprint
from tokenkit.bench import alerts, protocol
from tokenkit.bench.detectors.contender import Contender
from tokenkit.bench.measure import put
from tokenkit.bench.scenarios.scenario import EditedToken, Scenario, Setting, without_attack
from tokenkit.bench.trials import draws, overlay
from tokenkit.bench.trials.draws import Trial, trial_stream
from tokenkit.bench.trials.unattacked import UnattackedOrganisation, unattacked_organisation
from tokenkit.config import Workspace
from tokenkit.days import Periods, periods_of, plan
from tokenkit.errors import InputError
from tokenkit.progress import Progress, silent

LEAST_DAYS = 5  # on which an identity is active in the reported days, to be exchanged


@dataclass(frozen=True)
class RealLogs:
    """What contenders do on real logs.

    Attributes
    ----------
    months : DataFrame, one row a contender and calendar month
        ``detector``, ``month`` (str), ``days``, ``opened`` (incidents), ``allowed`` (by the budget), ``of_budget``.
    exchanged : DataFrame, one row a contender and exchanged identity
        ``detector``, ``draw``, ``profile_uid``, ``with_uid``, ``start``, ``caught`` (bool), ``hours`` (until then).
    profiles, judged : how many identities there are, and how many have a reference of their own
    """

    months: pd.DataFrame
    exchanged: pd.DataFrame
    profiles: int
    judged: int

    def recall(self, days: float | None = None) -> pd.Series:
        """Share of exchanged identities that each contender catches in so many days; that of ``random`` is chance.

        Without ``days``, until the logs end: the longer one looks, the more is caught by chance.
        """
        hours = self.exchanged["hours"].where(self.exchanged["caught"])
        caught = hours <= 24 * days if days is not None else hours.notna()
        return caught.groupby(self.exchanged["detector"], sort=False).mean()


def measure(
    workspace: Workspace, contenders: Sequence[Contender], out: Path, budget: float = 5.0, pairs: int = 20,
    times: int = 5, seed: int = 0, progress: Progress = silent,
) -> RealLogs:  # fmt: skip
    """Judge every day of a workspace after its first six weeks, and exchange pairs of its identities.

    Parameters
    ----------
    contenders : who judges
    out : folder for the tables (``months``, ``exchanged``)
    budget : new incidents a day for each 1,000 profiles
    pairs : pairs of identities exchanged at a time; 0 for none
    times : how often that is done, with other pairs
    seed : of the draws of pairs and moments

    Raises
    ------
    InputError
        There are no logs, or they are too short; says what is needed.
    """
    activity.build(workspace, progress)
    fingerprint.build(workspace, progress)
    organisation = unattacked_organisation(workspace, _periods(workspace), seed)
    exchanged_pairs = exchanges(organisation, pairs, times)
    attacked = None
    if exchanged_pairs:
        events = draws.events_of(organisation, sorted({one.profile_uid for one in exchanged_pairs}))
        trials = [_trial(number, one, events[one.with_uid], organisation) for number, one in enumerate(exchanged_pairs)]
        twins = out / "twins"
        shutil.rmtree(twins, ignore_errors=True)  # of an earlier measurement
        attacked = overlay.attack(organisation, trials, events, twins)
    breaches = protocol.breach_windows(organisation.workspace, organisation.evidence)
    months, exchanged = [], []
    for number, contender in enumerate(contenders):
        progress("judging real logs", number, len(contenders))
        fitted = protocol.fit(organisation, contender, seed, [budget])
        months.append(_by_month(organisation, fitted, budget, breaches))
        if attacked is not None:
            exchanged.append(_outcomes(fitted, attacked, breaches, exchanged_pairs))
    progress("judging real logs", len(contenders), len(contenders))
    days = organisation.evidence.days
    found = RealLogs(
        pd.concat(months, ignore_index=True),
        pd.concat(exchanged, ignore_index=True) if exchanged else pd.DataFrame(columns=["detector", "caught"]),
        len(days.profiles), int((days.maturity == "mature").sum()),
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    put(out, "months", found.months)
    put(out, "exchanged", found.exchanged)
    return found


def _periods(workspace: Workspace) -> Periods:
    """All days after the first reference and its calibration."""
    every, history = periods_of(workspace), workspace.settings.history
    start = every.first + timedelta(days=history.reference_days + history.calibration_days)
    if (every.end - start).days < 1:
        raise InputError(
            f"the logs of {workspace.root} reach over {(every.end - every.first).days} days, and more than "
            f"{(start - every.first).days} are needed: {history.reference_days} of reference, "
            f"{history.calibration_days} of calibration, and days to judge. Read more logs: tokenkit ingest PATH"
        )
    return plan(every.first, start, every.end, history)


# ---- the budget ----
def _by_month(
    organisation: UnattackedOrganisation, fitted: protocol.FittedContender, budget: float, breaches: pd.DataFrame
) -> pd.DataFrame:  # fmt: skip
    opened, _ = alerts.opened(fitted, organisation, budget, breaches)
    months = pd.to_datetime(opened["start"], utc=True).dt.strftime("%Y-%m").value_counts()
    counted = organisation.evidence.days.counted_a_day(organisation.evidence.periods.start)
    by_month = counted.groupby(counted.index.strftime("%Y-%m")).agg(["size", "sum"])
    table = pd.DataFrame({"days": by_month["size"], "opened": months.reindex(by_month.index, fill_value=0),
                          "allowed": budget / 1000 * by_month["sum"]})  # fmt: skip
    table = table.assign(of_budget=table["opened"] / table["allowed"]).rename_axis("month").reset_index()
    return table.assign(detector=fitted.contender.name)[["detector", "month", "days", "opened", "allowed", "of_budget"]]


# ---- exchanged identities ----
@dataclass(frozen=True)
class Exchange:
    """From ``start`` on a profile has the events of another; ``draw`` counts the times that pairs were drawn."""

    draw: int
    profile_uid: str
    with_uid: str
    start: pd.Timestamp


def exchanges(organisation: UnattackedOrganisation, pairs: int, times: int) -> list[Exchange]:
    """Pairs of profiles, drawn at random, each from a moment of its own in the first half of the reported days on.

    Both of a pair are exchanges. Only profiles with the frozen reference and some active days among the reported ones
    are drawn: of others nobody could tell.
    """
    days = organisation.evidence.days
    reported = days.active[:, days.between(organisation.evidence.periods.start)].sum(axis=1)
    able = [str(uid) for uid, active, core in zip(days.profiles, reported, days.core, strict=True)
            if uid in organisation.single and core and active >= LEAST_DAYS]  # fmt: skip
    found: list[Exchange] = []
    for draw in range(times):
        rng = trial_stream(organisation.seed, "exchange", draw)
        chosen = rng.permutation(able)[: 2 * min(pairs, len(able) // 2)]
        for one, other in chosen.reshape(-1, 2).tolist():
            start = (organisation.start + rng.random() * (organisation.end - organisation.start) / 2).floor("s")
            found += [Exchange(draw, one, other, start), Exchange(draw, other, one, start)]
    return found


def _trial(number: int, one: Exchange, theirs: pd.DataFrame, organisation: UnattackedOrganisation) -> Trial:
    def edit(events: pd.DataFrame, setting: Setting) -> EditedToken:
        """Somebody else has the token."""
        own = without_attack(events[events["time"] < setting.start])
        later = theirs.loc[theirs["time"] >= setting.start, list(events.columns)]
        return EditedToken(pd.concat([own, later.assign(attack=True, excess_bytes=0)], ignore_index=True))

    scenario = Scenario(0, f"exchange_{number}", "Used by somebody else", edit, (1.0,), "exchange", None)
    return Trial(number, one.draw, organisation.seed, scenario, 1.0, (one.profile_uid,), one.start, organisation.end)


def _outcomes(
    fitted: protocol.FittedContender, attacked: overlay.AttackedProfiles, breaches: pd.DataFrame,
    exchanged: Sequence[Exchange],
) -> pd.DataFrame:  # fmt: skip
    benign = alerts.benign_scores(fitted.scores, breaches)
    opened = alerts.trial_alerts(fitted, attacked, breaches[:0], benign)
    first = opened[opened["fresh"].astype("bool")].groupby("trial")["raised"].min()
    raised = pd.to_datetime(pd.Series(range(len(exchanged))).map(first), utc=True)
    start = pd.Series([one.start for one in exchanged])
    return pd.DataFrame(
        {"detector": fitted.contender.name, "draw": [one.draw for one in exchanged],
         "profile_uid": [one.profile_uid for one in exchanged], "with_uid": [one.with_uid for one in exchanged],
         "start": start, "caught": raised.notna(), "hours": (raised - start).dt.total_seconds() / 3600}
    )  # fmt: skip
