"""Leaks: a detector that knows what it must not know is refused, with the reason, before it is compared.

Reads  UnattackedOrganisation, Contender. Writes nothing.
Each way to cheat that is known here changes a score in an experiment, and an honest detector's does not change. While
the experiments run, it is noted which files Python opens. Code that means to deceive is not kept from it.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from tokenkit.bench.detectors.contender import YOURS, Contender
from tokenkit.bench.detectors.own import exception_text
from tokenkit.bench.trials.unattacked import UnattackedOrganisation
from tokenkit.channels import Detector, calibration
from tokenkit.errors import DetectorError, TokenkitError
from tokenkit.normal.evidence import Evidence

CODE = (".py", ".pyc", ".so")
SOME = 40  # profiles that are scored again without the others
TOLERANCE = 1e-8
NAMED = (
    "its scores change with what the profiles are called",
    "A name says nothing of what a token does; a list of names is a list of labels",
)
_watched: list[tuple[Path, list[str]]] = []  # an audit hook cannot be taken back, so it looks here whether it is on


def refuse(organisation: UnattackedOrganisation, contender: Contender, seed: int = 0) -> None:
    """Refuse a detector that reads labels, learns from what it is to judge, or scores a row by its batch.

    Raises
    ------
    DetectorError
        Says what it did, how that showed, and what to do; or what its code raised, and where.
    """
    try:
        with _files_of(organisation.workspace.root) as opened:
            try:
                _experiments(organisation, contender, seed)
            finally:
                if opened:  # whatever else it did: this is why
                    raise DetectorError(
                        f"{contender.name} opened {opened[0]}: what an attack is stands in the files of the bench, and"
                        " a detector has only the evidence that it is given. Let it read nothing else"
                    )
    except TokenkitError:
        raise
    except Exception as error:
        raise DetectorError(f"{contender.name} failed: {exception_text(error)}") from error


def refuse_yours(organisation: UnattackedOrganisation, contenders: Sequence[Contender]) -> None:
    """Raise DetectorError where a detector that somebody brought along knows what it must not know (``refuse``)."""
    for contender in contenders:
        if contender.group == YOURS:
            refuse(organisation, contender)


def _experiments(organisation: UnattackedOrganisation, contender: Contender, seed: int) -> None:
    evidence, periods = organisation.evidence, organisation.evidence.periods
    learn = contender.days_to_learn(periods)
    shown = evidence.before(learn[1])
    profiles = len(evidence.days.profiles)
    rows = np.arange(0, profiles, max(2, profiles // SOME))  # some of them, so that there are others
    some = evidence.of_profiles(rows)
    names = {uid: f"tok1_{number:024x}" for number, uid in enumerate(evidence.days.profiles)}
    back = {new: old for old, new in names.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = calibration.fit(contender.make(seed), shown, learn)
        alone = _scores(fitted, some)
        _same(
            alone, _scores(fitted, evidence), contender, "a row has another score in another batch",
            "Score each row by itself: a night's page must not depend on which other tokens were scored",
        )  # fmt: skip
        middle = pd.Timestamp(periods.start + (periods.end - periods.start) / 2, tz="UTC")
        _same(
            alone[alone["start"] < middle], _scores(fitted, some.before(middle), middle.date()), contender,
            "a row has another score when the days after it are not there yet",
            "Score a day by that day and those before it: a night knows no more",
        )  # fmt: skip
        _same(
            alone, _scores(fitted, some), contender, "a row has another score after other rows were scored",
            "It learns from the rows that it is to judge: learn in fit, and only there",
        )  # fmt: skip
        strangers = _scores(fitted, _renamed(some, names))  # it never heard of them, nor of the twins of a trial
        _same(alone, strangers.assign(profile_uid=strangers["profile_uid"].map(back)), contender, *NAMED)
        _same(
            alone, _scores(calibration.fit(contender.make(seed), evidence, learn), some), contender,
            f"its scores change with what happened after {learn[1]}, the end of the days it was to be fitted on",
            "It is fitted on rows that it is to judge: use only the days [start, end) that fit is told",
        )  # fmt: skip
        fitted = calibration.fit(contender.make(seed), _renamed(shown, names), learn)
        renamed = _scores(fitted, _renamed(some, names))
        _same(alone, renamed.assign(profile_uid=renamed["profile_uid"].map(back)), contender, *NAMED)


def _scores(detectors: list[Detector], evidence: Evidence, end: date | None = None) -> pd.DataFrame:
    periods = evidence.periods
    frames = [d.score(evidence, periods.first_scored, end or periods.end) for d in detectors]
    return pd.concat([f for f in frames if len(f)] or frames, ignore_index=True)


def _same(alone: pd.DataFrame, other: pd.DataFrame, contender: Contender, what: str, remedy: str) -> None:
    keys = ["channel", "profile_uid", "window", "start"]
    if not np.isfinite(alone["raw_bits"]).all():
        raise DetectorError(
            f"{contender.name} is refused: {int((~np.isfinite(alone['raw_bits'])).sum())} of {len(alone)} scores are "
            "no finite number. Leave a window out that cannot be scored"
        )
    both = alone[[*keys, "raw_bits"]].merge(other[[*keys, "raw_bits"]], on=keys, how="left", suffixes=("", "_again"))
    equal = np.isclose(both["raw_bits"], both["raw_bits_again"], rtol=TOLERANCE, atol=TOLERANCE)
    if not equal.all():
        row = both[~equal].iloc[0]
        raise DetectorError(
            f"{contender.name} is refused: {what} ({row['channel']}, {row['start']:%Y-%m-%d %H:%M}: "
            f"{row['raw_bits']:.6g}, then {row['raw_bits_again']:.6g}; {int((~equal).sum())} of {len(both)} rows). "
            f"{remedy}"
        )


def _renamed(evidence: Evidence, names: dict[str, str]) -> Evidence:
    profiles = np.array([names[uid] for uid in evidence.days.profiles], dtype=object)
    hours, unfamiliarity = (
        table.assign(profile_uid=table["profile_uid"].map(names)) for table in (evidence.hours, evidence.unfamiliarity)
    )
    days = replace(evidence.days, profiles=profiles)
    return replace(evidence, days=days, hours=hours, unfamiliarity=unfamiliarity)


@contextmanager
def _files_of(folder: Path) -> Iterator[list[str]]:
    """The files at or around a folder of the bench that are opened meanwhile."""
    _add_hook()
    opened: list[str] = []
    _watched.append((folder.resolve(), opened))
    try:
        yield opened
    finally:
        _watched.pop()


@cache
def _add_hook() -> None:
    sys.addaudithook(_note_opened)


def _note_opened(event: str, arguments: tuple) -> None:
    if event != "open" or not _watched or not isinstance(arguments[0], str | bytes):
        return
    folder, opened = _watched[-1]
    text = arguments[0] if isinstance(arguments[0], str) else arguments[0].decode(errors="replace")
    path = Path(text).absolute()
    # to import a module is to learn nothing of attacks; what Python compiles it stores in __pycache__, by another name
    if path.suffix in CODE or path.parent.name == "__pycache__":
        return
    if folder.parent in path.parents or path.name.startswith("truth"):
        opened.append(text)
