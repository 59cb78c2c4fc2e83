"""Train: learns how much each sign says of misuse, from attacks on organisations that the bench never judges.

Reads  nothing but its arguments. Writes a folder with organisations, and the file of weights that channels read.
Attacked days are set against the days that nobody attacks, by a logistic regression whose weights cannot be negative:
so the score stays monotone and additive, and its parts are its reasons. Every scenario weighs the same, and every trial
of one. With each family of attacks left out in turn it is shown that the score does not live on having seen the answer.
"""

import pickle
import shutil
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from tokenkit.bench import alerts, protocol, scenarios
from tokenkit.bench.detectors import registry
from tokenkit.bench.measure import pieces_of
from tokenkit.bench.scenarios.scenario import PLACE, EditedToken, Scenario, Setting, without_attack
from tokenkit.bench.trials import draws, overlay
from tokenkit.bench.trials.draws import Trial, trial_stream
from tokenkit.bench.trials.overlay import AttackedProfiles
from tokenkit.bench.trials.unattacked import UnattackedOrganisation, simulated_organisation
from tokenkit.channels import drift, signs
from tokenkit.channels.policy import TITLES
from tokenkit.channels.weights import HINGES, Weights, hinged
from tokenkit.config import Detection, code_digest
from tokenkit.errors import InputError
from tokenkit.fingerprint import judged_features
from tokenkit.progress import Progress, silent

SEEDS = (100, 101, 102)  # the bench judges 0 to 4
TOKENS, EACH = 300, 4
OTHERS_WORK = 60  # tokens of an organisation that somebody else works with
RIDGE = 0.1
# what weights are drawn to without weights to start from: at the hinges of 7 and 11 bits to these, so that what hardly
# ever happens by chance always counts; below, to the mean of all signs. Drawn to the mean everywhere the bench is as
# good, but a tenfold day hardly counts, for simulated organisations have many (docs/decisions.md)
BEYOND = np.array([np.nan, np.nan, np.nan, 0.3, 0.6])
LEAST = np.array([0.0, 0.0, 0.0, 0.1, 0.3])  # of each weight, in bits a bit, for the same reason
LEAKS = {"slow_exfiltration": 14, "ramp": 30}  # scenarios, and in how many days each is to be seen
LEAK_SHRINKAGE = 0.03  # of the correlations of two weeks towards none
USUAL_DAYS, BENIGN_CHANGES = 10.0, 1.0  # weight of all other days, and of those of benign changes; attacked ones: 1


@dataclass(frozen=True)
class Lesson:
    """An organisation, the attacks on it in pieces, and the breaches of its rules: what is learned from, or judged.

    ``attacked`` has the profiles of each piece, and their breaches. ``profiles`` are those whose days are learned from,
    or whose incidents count; all of them, or one half of an organisation of which the other half teaches.
    """

    organisation: UnattackedOrganisation
    attacked: list[tuple[AttackedProfiles, pd.DataFrame]]
    breaches: pd.DataFrame
    profiles: frozenset[str]


@dataclass(frozen=True)
class Trained:
    """Weights, and recall of each family of attacks when it was left out: ``family``, ``recall``, ``trials``."""

    weights: Weights
    left_out: pd.DataFrame


def train(
    out: Path, seeds: Sequence[int] = SEEDS, tokens: int = TOKENS, each: int = EACH, processes: int = 2,
    progress: Progress = silent,
) -> Trained:  # fmt: skip
    """Weights from attacks injected into simulated organisations.

    Parameters
    ----------
    out : folder where organisations are kept; what is there is not made again
    seeds : organisations, two or more: each family is judged on one that its weights did not see
    tokens : of each organisation
    each : trials of each scenario and intensity
    processes : organisations at a time

    Raises
    ------
    InputError
        There are fewer than two organisations.
    """
    if len(set(seeds)) < 2:
        raise InputError(f"seeds are {list(seeds)}, expected two or more: weights are judged on another organisation")
    out.mkdir(parents=True, exist_ok=True)
    work = partial(_prepare, out, tokens, each)
    lessons: list[Lesson] = []
    with ProcessPoolExecutor(min(processes, len(seeds)), get_context("spawn")) as pool:
        for number, path in enumerate(pool.map(work, seeds)):
            progress("attacking organisations", number + 1, len(seeds))
            lessons.append(pickle.loads(path.read_bytes()))
    tables = [days_of(lesson) for lesson in lessons]
    kinds = pd.concat(tables)[["is_attack", "scenario"]]
    attacked, injected = kinds["is_attack"] == 1, kinds["scenario"] != ""
    about = {
        "about": "How much each sign says of misuse, learned from injected attacks. docs/method/channels.md",
        "command": f"tokenkit bench train --tokens {tokens} --each {each} " + " ".join(f"--seed {s}" for s in seeds),
        "organisations": {"seeds": list(seeds), "tokens": tokens, "trials of each scenario and intensity": each},
        "days": {"attacked": int(attacked.sum()), "of benign changes": int((injected & ~attacked).sum()),
                 "others": int((~injected).sum())},
        "code": code_digest()[:12],
    }  # fmt: skip
    rows = []
    for number, (family, ids) in enumerate(scenarios.FAMILIES.items()):
        progress("leaving a family out", number, len(scenarios.FAMILIES))
        rows.append([family, *_left_out(lessons, tables, ids)])
    progress("leaving a family out", len(scenarios.FAMILIES), len(scenarios.FAMILIES))
    left_out = pd.DataFrame(rows, columns=["family", "recall", "trials"])
    recalls = {row.family: round(float(row.recall), 3) for row in left_out.itertuples()}
    about["recall of a family left out, on an organisation not learned from"] = recalls
    return Trained(replace(learn(tables), leak=learn_leak(lessons), trained=about), left_out)


# ---- organisations to learn from ----
def _prepare(out: Path, tokens: int, each: int, seed: int) -> Path:
    path = out / f"train-{code_digest()[:12]}-{tokens}-{each}-{seed}.pickle"
    if not path.exists():
        organisation = simulated_organisation(out / f"organisation-{tokens}-{seed}", seed, tokens)
        part = path.with_suffix(".part")
        part.write_bytes(pickle.dumps(lesson(organisation, each, out / f"twins-{seed}"), protocol=5))
        part.replace(path)
    return path


def lesson(
    organisation: UnattackedOrganisation, each: int, folder: Path, profiles: Collection[str] | None = None
) -> Lesson:  # fmt: skip
    """Attack an organisation in every way, for weights to be learned from it.

    Parameters
    ----------
    each : trials of each scenario and intensity
    folder : holds the twins meanwhile
    profiles : those that the lesson is about; default: all
    """
    everyone = frozenset(organisation.evidence.days.profiles.tolist())
    profiles = everyone if profiles is None else frozenset(profiles)
    events = draws.events_of(organisation, [uid for uid in draws.pool(organisation) if uid in profiles])
    cells = [(one, intensity) for one in scenarios.ALL.values() for intensity in one.intensities]
    trials = draws.draw(organisation, cells, each, events)
    trials += _others_work(organisation, events, len(trials))
    attacked = []
    for number, piece in enumerate(pieces_of(trials)):
        shutil.rmtree(folder / str(number), ignore_errors=True)  # of a run that was killed
        twins = overlay.attack(organisation, piece, events, folder / str(number))
        attacked.append((twins, protocol.breach_windows(twins.workspace, twins.evidence)))
        shutil.rmtree(folder / str(number))
    breaches = protocol.breach_windows(organisation.workspace, organisation.evidence)
    return Lesson(organisation, attacked, breaches, profiles)


def _others_work(organisation: UnattackedOrganisation, events: dict[str, pd.DataFrame], first: int) -> list[Trial]:
    """Tokens that do the work of another one of their purpose, from their own network with their own program."""
    rng = trial_stream(organisation.seed, "others' work")
    purpose = organisation.people["purpose"].reindex(list(events))
    trials: list[Trial] = []
    for uid in rng.permutation(sorted(events))[:OTHERS_WORK].tolist():
        peers = [one for one in sorted(events) if one != uid and purpose[one] == purpose[uid]]
        if not peers:
            continue
        theirs = events[str(rng.choice(peers))]
        start = (organisation.start + rng.random() * (organisation.end - organisation.start) / 2).floor("s")
        scenario = Scenario(
            0, "others_work", "The work of another token", partial(_of_another, theirs), (1.0,), "", None
        )
        trials.append(Trial(first + len(trials), len(trials), organisation.seed, scenario, 1.0, (uid,), start,
                            organisation.end))  # fmt: skip
    return trials


def _of_another(theirs: pd.DataFrame, events: pd.DataFrame, setting: Setting) -> EditedToken:
    own = without_attack(events[events["time"] < setting.start])
    later = theirs.loc[theirs["time"] >= setting.start, list(events.columns)]
    if len(own):
        places = own.iloc[setting.rng.integers(0, len(own), len(later))]
        later = later.assign(**{name: places[name].array for name in PLACE})
    return EditedToken(pd.concat([own, later.assign(attack=True, excess_bytes=0)], ignore_index=True))


# ---- days ----
def days_of(lesson: Lesson) -> pd.DataFrame:
    """The signs of all days that are learned from, one row a profile-day.

    Returns
    -------
    DataFrame
        The signs (``signs.names``, bits), ``scenario`` ("" where nothing was injected), ``is_attack`` (0 or 1), and
        ``weight``: attacked days add up to 1, each scenario the same, and each trial of one; others to
        ``BENIGN_CHANGES`` and ``USUAL_DAYS``.
    """
    evidence = lesson.organisation.evidence
    start, end = evidence.periods.learning
    scale = signs.fit_scale(evidence.before(end), start, end)
    rows, _, usual = signs.of_days(evidence, scale, start, evidence.periods.end)
    usual = usual[np.isin(evidence.days.profiles[rows], list(lesson.profiles))]
    parts = [usual.assign(scenario="", is_attack=0.0, weight=USUAL_DAYS / len(usual))]
    changed = pd.concat([_changed_days(attacked, scale) for attacked, _ in lesson.attacked], ignore_index=True)
    for is_attack, total in ((1.0, 1.0), (0.0, BENIGN_CHANGES)):
        some = changed[changed["is_attack"] == is_attack].drop(columns="trial")
        of_trial = 1.0 / changed["trial"].map(changed["trial"].value_counts())[some.index]
        weight = of_trial / of_trial.groupby(some["scenario"]).transform("sum")
        parts.append(some.assign(weight=total * weight / max(weight.sum(), 1e-9)))
    return pd.concat(parts, ignore_index=True)


def _changed_days(attacked: AttackedProfiles, scale: signs.Scale) -> pd.DataFrame:
    """The signs of days with an event of the attacker, and of all days of a benign change."""
    evidence = attacked.evidence
    rows, columns, bits = signs.of_days(evidence, scale, evidence.periods.start, evidence.periods.end)
    days = evidence.days.days[columns].as_unit("us")
    trials = attacked.trials.set_index("profile_uid").loc[evidence.days.profiles[rows]]
    taken = attacked.taken.assign(day=attacked.taken["time"].dt.floor("D").dt.as_unit("us"))
    theirs = pd.MultiIndex.from_frame(taken[["trial", "day"]].drop_duplicates())
    with_attacker = pd.MultiIndex.from_arrays([trials["trial"], days]).isin(theirs)
    benign = trials["scenario"].isin(scenarios.BENIGN_CHANGES).to_numpy()
    inside = np.asarray(
        (days >= pd.DatetimeIndex(trials["start"]).floor("D")) & (days < pd.DatetimeIndex(trials["end"]))
    )
    table = bits.assign(scenario=trials["scenario"].to_numpy(), trial=trials["trial"].to_numpy(),
                        is_attack=np.where(benign, 0.0, 1.0))  # fmt: skip
    by_rules = [one.id for one in scenarios.ATTACKS.values() if set(one.shown_by) <= set(TITLES)]
    return table[np.where(benign, inside, with_attacker) & ~table["scenario"].isin(by_rules).to_numpy()]


# ---- learning ----
def learn(tables: Sequence[pd.DataFrame], without: Collection[str] = (), start: Weights | None = None) -> Weights:
    """Weights that tell attacked days from others, none of them below ``LEAST``.

    Parameters
    ----------
    tables : ``days_of`` some organisations
    without : scenarios that are left out
    start : weights that those learned are drawn to; None: ``BEYOND``

    Notes
    -----
    Logistic regression on ``weights.hinged`` signs, by L-BFGS-B with bounds; the ridge is
    ``RIDGE`` times the squared distance of each weight to where it is drawn.
    """
    rows = pd.concat([table[~table["scenario"].isin(without)] for table in tables], ignore_index=True)
    names = [name for name in rows.columns if name not in ("scenario", "is_attack", "weight")]
    # what is fewer counts as far as the attacks teach it: nothing draws these weights up, and none is a least one
    is_drawn = np.array([not name.startswith(signs.FEWER) for name in names])
    found = hinged(rows[names]).reshape(len(rows), -1)
    truth, weight = rows["is_attack"].to_numpy(), rows["weight"].to_numpy()
    before = start.matrix(names).ravel() * np.log(2) if start else None

    def loss(given: np.ndarray) -> tuple[float, np.ndarray]:
        odds = given[0] + found @ given[1:]
        error = weight * (1 / (1 + np.exp(-odds)) - truth)
        mean = given[1:].reshape(-1, len(HINGES))[is_drawn].mean(axis=0)
        prior = np.where(np.isnan(BEYOND), mean, BEYOND * np.log(2)) * is_drawn[:, None]
        off = given[1:] - (prior.ravel() if before is None else before)
        value = float((weight * (np.logaddexp(0, odds) - truth * odds)).sum() + RIDGE * (off**2).sum())
        return value, np.concatenate([[error.sum()], found.T @ error + 2 * RIDGE * off])

    first = np.concatenate([[-3.0], np.full(found.shape[1], 0.05) if before is None else before])
    bounds = [(None, None), *[(least * np.log(2), None) for least in (LEAST * is_drawn[:, None]).ravel()]]
    done = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 400})
    in_bits = np.round(done.x[1:].reshape(-1, len(HINGES)) / np.log(2), 4)
    by_sign = {name: tuple(row) for name, row in zip(names, in_bits.tolist(), strict=True)}
    return Weights(by_sign, leak=start.leak if start else {})


def learn_leak(lessons: Sequence[Lesson], without: Collection[str] = ()) -> dict[str, float]:
    """The direction in which features move together where data leaks: a weight of each feature (``drift``).

    Parameters
    ----------
    lessons : of each, the profiles that it is about
    without : scenarios that are left out

    Returns
    -------
    dict of feature to weight
        Such that the score of profiles that nobody attacks has a standard deviation of 1; empty where no leak is left.

    Notes
    -----
    Fisher's linear discriminant (1936) between two weeks of leaks and those of profiles that nobody attacks: the mean
    difference times the inverse of the correlations, which are shrunk by ``LEAK_SHRINKAGE``.
    """
    if not set(LEAKS) - set(without):
        return {}
    names = [*judged_features(), drift.NEW_TO_IT]
    usual, leaking, weight = [], [], []
    for one in lessons:
        evidence, days = one.organisation.evidence, one.organisation.evidence.days
        sums, known = drift.two_weeks(evidence, names)
        rows = days.core & np.isin(days.profiles, list(one.profiles))
        usual.append(sums[known & rows[:, None] & days.between(evidence.periods.learning[0])[None, :]])
        for attacked, _ in one.attacked:
            for window in _leaking(attacked, names, without):
                leaking.append(window)
                weight.append(np.full(len(window), 1 / len(window)))
    if not leaking:
        return {}
    calm = np.concatenate(usual)
    difference = np.average(np.concatenate(leaking), axis=0, weights=np.concatenate(weight)) - calm.mean(axis=0)
    covariance = np.cov(calm.T)
    sd = np.sqrt(np.diag(covariance)) + 1e-6
    correlation = (1 - LEAK_SHRINKAGE) * covariance / np.outer(sd, sd) + LEAK_SHRINKAGE * np.eye(len(sd))
    direction = np.linalg.solve(correlation, difference / sd) / sd
    direction /= np.sqrt(direction @ covariance @ direction)
    return dict(zip(names, np.round(direction, 3).tolist(), strict=True))


def _leaking(attacked: AttackedProfiles, names: list[str], without: Collection[str]) -> Iterator[np.ndarray]:
    """The two weeks of each leak from its second week on, as long as it is to be seen in."""
    days = attacked.evidence.days
    trials = attacked.trials[attacked.trials["scenario"].isin(set(LEAKS) - set(without))]
    if trials.empty:
        return
    sums, known = drift.two_weeks(attacked.evidence, names)
    for trial in trials.itertuples():
        row = days.row(trial.profile_uid)
        first = days.days.searchsorted(pd.Timestamp(trial.start).floor("D"))
        some = np.arange(first + 7, min(first + LEAKS[trial.scenario], len(days.days)))
        if known[row, some].any():
            yield sums[row, some[known[row, some]]]


# ---- judging ----
def _left_out(lessons: Sequence[Lesson], tables: Sequence[pd.DataFrame], ids: Sequence[str]) -> tuple[float, int]:
    """Recall of some scenarios that weights never saw, on organisations that they never saw, and of how many trials."""
    caught = []
    for number, one in enumerate(lessons):
        others = [n for n in range(len(lessons)) if n != number]
        learned = learn([tables[n] for n in others], without=ids)
        leak = learn_leak([lessons[n] for n in others], without=ids)
        caught.append(judge(one, replace(learned, leak=leak), ids))
    outcomes = pd.concat(caught, ignore_index=True)
    return float(outcomes.groupby("scenario")["caught"].mean().mean()), len(outcomes)


def judge(
    lesson: Lesson, weights: Weights, ids: Collection[str], detection: Detection | None = None
) -> pd.DataFrame:  # fmt: skip
    """Which trials of some scenarios tokenkit catches with other weights: ``scenario``, ``intensity``, ``caught``.

    Parameters
    ----------
    detection : budget and shares; default: those of a new workspace
    """
    detection = detection or Detection()
    fitted = _fit(lesson, weights, detection)
    benign = alerts.benign_scores(fitted.scores, lesson.breaches)
    rows: list[dict[str, Any]] = []
    for attacked, breaches in lesson.attacked:
        trials = attacked.trials.drop_duplicates("trial")
        chosen = trials[trials["scenario"].isin(ids) & (trials["events"] > 0)]
        opened = alerts.trial_alerts(fitted, attacked, breaches, benign) if len(chosen) else pd.DataFrame()
        fresh = set(opened.loc[opened["fresh"].astype(bool), "trial"]) if len(opened) else set()
        rows += [{"scenario": t.scenario, "intensity": t.intensity, "caught": t.trial in fresh}
                 for t in chosen.itertuples()]  # fmt: skip
    return pd.DataFrame(rows, columns=["scenario", "intensity", "caught"])


def opened_and_allowed(lesson: Lesson, weights: Weights, detection: Detection) -> tuple[int, float]:
    """Incidents that tokenkit opens with other weights where nobody attacks, and those allowed, of the profiles."""
    organisation, days = lesson.organisation, lesson.organisation.evidence.days
    opened, _ = alerts.opened(_fit(lesson, weights, detection), organisation, detection.budget, lesson.breaches)
    mine = days.of_profiles(np.flatnonzero(np.isin(days.profiles, list(lesson.profiles))))
    counted = mine.counted_a_day(organisation.evidence.periods.start).sum()
    return int(opened["profile_uid"].isin(lesson.profiles).sum()), detection.budget / 1000 * counted


def _fit(lesson: Lesson, weights: Weights, detection: Detection) -> protocol.FittedContender:
    contender = registry.tokenkit_as_set(detection, weights)
    return protocol.fit(lesson.organisation, contender, lesson.organisation.seed, [detection.budget])
