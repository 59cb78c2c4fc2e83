"""Cases: the organisations on which detectors are compared, each with its evidence and, where simulated, its truth.

Reads  a workspace, or makes one: simulated raw logs go through the same door as real ones.
Writes the simulated logs and their workspaces into a cache folder.
"""

import hashlib
import json
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

import tokenkit
from tokenkit import activity, config, fingerprint, identity, ingest
from tokenkit.config import Workspace
from tokenkit.days import MIN_DAYS, Periods, periods_of, plan
from tokenkit.errors import InputError, TokenkitError
from tokenkit.incidents import labels
from tokenkit.normal import baseline, deviation
from tokenkit.normal.deviation import Evidence
from tokenkit.progress import Progress, silent
from tokenkit.sources.inputs import Input
from tokenkit.store import engine, lake, state
from tokenkit.tokens import inventory, owners  # fmt: skip
from tokenkit.tokens.profiles import token_profiles
from tokenkit.world.simulate import simulate

EVENTS_A_TOKEN_DAY = 250 / 3  # as benchmarks/detection.py has it
SERIES = ("requests", "response_bytes")
ATTACKS = ["attack", "scenario", "profile_uid", "start", "end"]


@dataclass(eq=False)
class Case:
    """One organisation: what the channels see, the hourly series, and which attacks happened.

    ``attacks`` has one row an attack (``ATTACKS``; start and end half-open, UTC), and none where nothing is known.
    ``hourly`` holds a matrix profile x hour (in the order of ``evidence.days.profiles``, from the first reference day,
    zero where nothing happened) for each name of ``SERIES``.
    """

    name: str
    periods: Periods
    evidence: Evidence
    attacks: pd.DataFrame
    hourly: dict[str, np.ndarray] = field(repr=False, default_factory=dict)

    @property
    def reference(self) -> tuple[date, date]:
        """Days on which a detector is fitted."""
        assert self.periods.reference is not None
        return self.periods.reference

    @property
    def calibration(self) -> tuple[date, date]:
        """Days on which its scores become surprise, and its first threshold is set."""
        assert self.periods.calibration is not None
        return self.periods.calibration

    @property
    def days(self) -> int:
        """Number of reported days."""
        return (self.periods.end - self.periods.start).days


def organisations(
    seeds: list[int],
    tokens: int = 200,
    days: int = 60,
    folder: Path | str | None = None,
    progress: Progress = silent,
) -> list[Case]:
    """Simulated organisations, one a seed, made or taken from the cache.

    Parameters
    ----------
    seeds : one organisation each
    tokens, days : size of each; at least 12 tokens and 36 days, so that there is something to fit on
    folder : kept there and used again; None or empty for a temporary folder
    progress : function of stage, done, total

    Raises
    ------
    InputError
        No seed, or an organisation too small to hold its attacks.
    """
    if not seeds or not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
        raise InputError(f"seeds are {seeds!r}, expected at least one whole number, such as [0, 1]")
    if tokens < 12 or days < 36:
        raise InputError(f"tokens={tokens}, days={days}: a comparison needs at least 12 tokens and 36 days")
    with tempfile.TemporaryDirectory(prefix="tokenkit-compare-") as passing:  # a case holds all it needs in memory
        root = (Path(folder).expanduser() if folder else Path(passing)) / f"{code_digest()}-{tokens}x{days}"
        return [_simulated(root / str(seed), seed, tokens, days, progress) for seed in seeds]


def _simulated(folder: Path, seed: int, tokens: int, days: int, progress: Progress) -> Case:
    raw, told = folder / "raw", f"simulating organisation {seed}"
    if not (raw / "truth.json").exists():  # written last
        try:
            simulate(raw, tokens=tokens, days=days, seed=seed, events=round(tokens * days * EVENTS_A_TOKEN_DAY),
                     progress=lambda done, total: progress(told, done, total))  # fmt: skip
        except ValueError as error:
            raise InputError(f"seed {seed}: {error}") from error
    truth = json.loads((raw / "truth.json").read_bytes())
    workspace = config.init(folder / "workspace")
    if not workspace.key.exists():
        # made up tokens are no secret, and a fixed key gives the same rows in the same order, run after run
        workspace.key.write_text(hashlib.sha256(f"simulated organisation {seed}".encode()).hexdigest() + "\n")
        workspace.key.chmod(0o600)
    ingest.ingest(workspace, [Input(raw / "logs")], progress)
    with state.connect(workspace.state) as db:
        key = ingest.open_key(workspace, db)
    lake.replace(workspace.lake, "tokens", inventory.load(raw / "inventory.csv", key, "default")[0])
    activity.build(workspace, progress)
    fingerprint.build(workspace, progress)
    first = date.fromisoformat(truth["start"])
    history = workspace.settings.history
    # attacks lie in the last third at the earliest, and in the last fortnight at the latest
    start = first + timedelta(days=min(history.reference_days + history.calibration_days, days - 14))
    periods = plan(first, start, first + timedelta(days=days), history)
    return load(workspace, f"seed {seed}", periods, attacks_of(truth["attacks"], workspace, key))


def load(workspace: Workspace, name: str, periods: Periods, attacks: pd.DataFrame | None = None) -> Case:
    """A case from a workspace whose fingerprint is up to date; ``attacks`` as ``ATTACKS``, None where unknown."""
    mapped = token_profiles(workspace)
    people = owners.people(workspace, mapped, datetime.combine(periods.end, datetime.min.time(), UTC))
    said = labels.read(workspace, periods.end)
    evidence = deviation.measure(workspace, periods, baseline.peer_groups(people), said.answers)
    known = attacks if attacks is not None else pd.DataFrame(columns=ATTACKS)
    return Case(name, periods, evidence, known, _hourly(workspace, evidence, periods))


def attacks_of(told: list[dict[str, Any]], workspace: Workspace, key: bytes) -> pd.DataFrame:
    """Attacks as truth.json lists them, on the profiles that were attacked (``ATTACKS``).

    An attacked credential that was never seen keeps its own identity, so that it counts as missed.
    """
    mapped = token_profiles(workspace)
    known = lake.read(workspace.lake, "dim_token").to_pandas().merge(mapped[["token_key", "profile_uid"]])
    places = {uid: uid for uid in mapped["profile_uid"]}
    for column in ("token_uid", "principal_token_uid", "role_token_uid"):
        for uid, profile in zip(known[column], known["profile_uid"], strict=True):
            if isinstance(uid, str):
                places.setdefault(uid, profile)
    rows = []
    for attack in told:
        issuer = "aws" if attack["issuer"] == "aws" else f"gateway:{workspace.settings.gateway.realm}"
        uid = identity.token_uid(key, issuer, attack["native_id"])
        rows.append([attack["id"], attack["scenario"], places.get(uid, uid), attack["start"], attack["end"]])
    frame = pd.DataFrame(rows, columns=ATTACKS)
    return frame.assign(**{c: pd.to_datetime(frame[c], utc=True).dt.as_unit("us") for c in ("start", "end")})


def own_logs(workspace: str = "", progress: Progress = silent) -> tuple[list[Case], str]:
    """The reader's own workspace as a case, and a sentence about it; no case where it cannot be compared, and why.

    Parameters
    ----------
    workspace : its folder; empty for the one at or above the current folder
    """
    try:
        found = config.find(Path(workspace)) if workspace else config.find()
    except TokenkitError as error:
        return [], f"No comparison on your own logs: {error}"
    if found is None:
        place = workspace or Path.cwd()
        return [], f"No logs of your own: no tokenkit workspace at or above {place}. Make one: tokenkit init DIR"
    try:
        found.key.parent.mkdir(exist_ok=True)
        with FileLock(found.key.parent / "lock", timeout=0):  # the lock of a run: fingerprints may have to be formed
            case = load(found, found.settings.name or found.root.name, _periods(found, progress))
    except Timeout:
        return [], f"No comparison on your own logs: a run works in {found.root}. Try again when it has finished."
    except TokenkitError as error:
        return [], f"No comparison on your own logs: {error}"
    profiles, p = len(case.evidence.days.profiles), case.periods
    return [case], (
        f"{profiles:,} profiles, fitted on {case.reference[0]} to {case.reference[1]}, reported {p.start} to {p.end} "
        "(the last day of each not included). Nobody has told what an attack was, so there is no recall here."
    )


def _periods(workspace: Workspace, progress: Progress) -> Periods:
    """The days that a report would speak of; fingerprints are brought up to date for them."""
    periods = periods_of(workspace)
    if periods.calibration is None:
        known, least = (periods.end - periods.first).days, 2 * MIN_DAYS + 1
        raise InputError(
            f"the logs reach over {known} day{'s' if known != 1 else ''}, and {least} are needed: a week to fit on, a "
            "week to set thresholds on, a day to judge. Read older logs: tokenkit ingest PATH"
        )
    activity.build(workspace, progress)
    fingerprint.build(workspace, progress)
    return periods


def _hourly(workspace: Workspace, evidence: Evidence, periods: Periods) -> dict[str, np.ndarray]:
    assert periods.reference is not None
    start = periods.reference[0]
    columns = ", ".join(SERIES)
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        lake.scan(connection, workspace.lake, "fingerprint", start, periods.end).create_view("windows")
        rows = connection.sql(
            f"select profile_uid, epoch(start)::bigint // 3600 as hour, {columns} from windows"
            " where \"window\" = 'hour' order by all"
        ).df()
    first = int(pd.Timestamp(start, tz="UTC").timestamp()) // 3600
    row = pd.Index(evidence.days.profiles).get_indexer(rows["profile_uid"])
    column = rows["hour"].to_numpy() - first
    made = {}
    for name in SERIES:
        made[name] = np.zeros((len(evidence.days.profiles), 24 * (periods.end - start).days))
        made[name][row[row >= 0], column[row >= 0]] = rows[name].to_numpy(dtype=float)[row >= 0]
    return made


@cache
def code_digest() -> str:
    """A digest of the package: an organisation that another version simulated or read is not taken for this one's."""
    root = Path(tokenkit.__file__).parent
    files = sorted(root.rglob("*.py"))
    return hashlib.sha256(
        b"".join(f.relative_to(root).as_posix().encode() + f.read_bytes() for f in files)
    ).hexdigest()[:12]
