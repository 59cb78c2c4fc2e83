"""Read simulated events, the statistics of one real hour, and published figures, and set them side by side.

Reads  the events of a workspace; ``real_logs.json``, which is committed so that nobody needs the logs.
Writes the cache of ``organisations``; ``write`` makes ``real_logs.json`` again (github.com/invictus-ir/aws_dataset):
``python -c 'from tokenkit.bench.realism import logs as r; r.write(r.summarise("FOLDER"))'``.

A real hour knows gaps, bursts, operations and errors. Sizes, first-seen values and weekly rhythm need weeks of logs:
for them there are only published figures (``PUBLISHED``).
"""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tokenkit import config, ingest
from tokenkit.bench.realism import statistics
from tokenkit.config import Workspace, code_digest
from tokenkit.errors import InputError
from tokenkit.progress import Progress, silent
from tokenkit.sources.inputs import Input
from tokenkit.store import engine, lake
from tokenkit.tokens.profiles import token_profiles
from tokenkit.world import simulate_lake

REAL = Path(__file__).with_name("real_logs.json")
GAPS_S = (0, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1200)  # where the distribution of gaps is kept
THROTTLED = ("ThrottlingException", "Throttling", "SlowDown", "RequestLimitExceeded", "Client.RequestLimitExceeded")
MISSING = r"NoSuch|NotFound|DoesNotExist"

PUBLISHED = pd.DataFrame(
    [
        ("volume", "calls a day vary over more than 8 orders of magnitude; the busiest 18.6% make 99.6% of the calls",
         "applications of Azure Functions, two weeks of July 2019", "Shahrad"),
        ("gaps", "40% have a coefficient of variation above 1 (a timer has 0, a Poisson process 1)",
         "applications of Azure Functions, two weeks of July 2019", "Shahrad"),
        ("gaps", "6.3% of requests are periodic", "requests for JSON at a large content delivery network", "Vargas"),
        ("errors", "about 2% end in a 5xx", "83 million monitoring calls to public APIs", "APIContext"),
        ("bytes tail", "alpha 1.15 above 10,000 bytes (Hill 1.0 to 1.2)",
         "130,140 transfers of Web browsers at a university, early 1995", "Crovella"),
        ("bytes tail", "alpha 1.59 for text files alone", "files on 32 Web servers, July 1995", "Crovella"),
        ("bytes tail", "long tails are not consistent; a lognormal is usually enough",
         "the data of earlier reports, read again", "Downey"),
        ("first seen", "at most 0.27, 0.034, 0.017 and 0.013 new event types a user and active day (16 in 59 days, "
         "23 in 669, 5 in 291, 24 in 1,910)",
         "four users of a Nextcloud with 49 event types, those that its README lists", "Landauer"),
        ("first seen", "none found for networks, clients or objects of an API token", "", ""),
        ("autocorrelation", "daily and weekly rhythm above a constant half; no coefficient",
         "all calls of Azure Functions by hour, July 2019", "Shahrad"),
        ("autocorrelation", "strong periodicity of many single functions; no coefficient by day",
         "two serverless platforms, over 7 months", "Joosen"),
        ("autocorrelation", "none found for the daily calls of an API token at lags of 1 and 7 days", "", ""),
    ],
    columns=["statistic", "figure", "measured on", "source"],
)  # fmt: skip
SOURCES = pd.Series(
    {
        "Shahrad": "M. Shahrad et al., Serverless in the Wild, USENIX ATC 2020, 205-218, arXiv:2003.03423",
        "Vargas": "S. Vargas et al., Characterizing JSON Traffic Patterns on a CDN, ACM IMC 2019, 195-201, "
        "doi:10.1145/3355369.3355594",
        "APIContext": "APIContext, The two percent, company blog, apicontext.com/the-two-percent",
        "Crovella": "M. E. Crovella and A. Bestavros, Self-Similarity in World Wide Web Traffic: Evidence and Possible "
        "Causes, IEEE/ACM Transactions on Networking 5(6), 1997, 835-846",
        "Downey": "A. B. Downey, Lognormal and Pareto distributions in the Internet, Computer Communications, 2005, "
        "doi:10.1016/j.comcom.2004.11.001",
        "Landauer": "M. Landauer et al., CLUE-LDS, 2022, README of github.com/ait-aecid/clue-lds, Zenodo 7119953; the "
        "shares are our division",
        "Joosen": "A. Joosen et al., How Does It Function? Characterizing Long-term Trends in Production Serverless "
        "Workloads, 2023, arXiv:2312.10127",
    },
    name="reference",
)


# ---- events ----
def organisations(
    seeds: list[int], tokens: int = 60, days: int = 42, folder: Path | str | None = None, progress: Progress = silent
) -> pd.DataFrame:
    """Events of simulated organisations without attacks, read as real logs are.

    Parameters
    ----------
    seeds : one organisation each
    tokens, days : size of each; at least 12 tokens and 28 days, so that a week has others beside it
    folder : kept there and used again; None or empty for a temporary folder
    progress : function of stage, done, total

    Returns
    -------
    DataFrame as ``read`` gives it, with ``seed`` (int)

    Raises
    ------
    InputError
        No seed, or an organisation too small.
    """
    if not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise InputError(f"seeds are {seeds!r}, expected at least one whole number, such as [0, 1]")
    if tokens < 12 or days < 28:
        raise InputError(f"tokens={tokens}, days={days}: realism needs at least 12 tokens and 28 days")
    parts = []
    with tempfile.TemporaryDirectory(prefix="tokenkit-realism-") as passing:
        root = Path(folder).expanduser() if folder else Path(passing)
        root /= f"realism-{code_digest()[:12]}-{tokens}x{days}"
        for number, seed in enumerate(seeds):
            progress("simulating organisations", number, len(seeds))
            parts.append(read(_simulated(root / str(seed), seed, tokens, days)).assign(seed=seed))
        progress("simulating organisations", len(seeds), len(seeds))
    events = pd.concat(parts, ignore_index=True)
    return events.assign(token=events["seed"].astype("str") + ":" + events["token"])


def _simulated(folder: Path, seed: int, tokens: int, days: int) -> Workspace:
    workspace = config.init(folder)
    if lake.version(workspace.lake, "tokens") is None:  # written last: what is there without it was broken off
        shutil.rmtree(folder)
        workspace = config.init(folder)
        simulate_lake(workspace, tokens=tokens, days=days, seed=seed, processes=1)
    return workspace


def read(workspace: Workspace) -> pd.DataFrame:
    """The attributed events of a workspace, by token and time.

    Returns
    -------
    DataFrame, one row an event
        ``token`` (profile, string), ``time`` (datetime64[s, UTC]), ``network``, ``client``, ``operation``, ``object``
        (int64, 0 for none), ``outcome`` (one of ``OUTCOMES``), ``response_bytes`` (float, NaN where the log has none).
    """
    mapped = token_profiles(workspace)[["token_key", "profile_uid"]]
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        connection.register("profiles", mapped)
        lake.scan(connection, workspace.lake, "events").create_view("all_events")
        rows = connection.sql(
            "select profile_uid as token, time_ms // 1000 as second, network_key as network, client_key as client,"
            " operation_key as operation, object_key as object, response_bytes::double as response_bytes,"
            " status_id = 2 as failed, coalesce(is_denied, false) as denied, coalesce(http_status, 0) as status,"
            " coalesce(status_code, '') as code from all_events join profiles using (token_key)"
            " order by token, second, event_key"
        ).df()
    code = rows["code"].astype("str")
    cases = [
        rows["denied"],
        (rows["status"] == 429) | code.isin(THROTTLED),
        (rows["status"] == 404) | code.str.contains(MISSING, regex=True),
        rows["status"] >= 500,
        rows["failed"] | (rows["status"] >= 400),
    ]
    outcome = np.select(cases, ["denied", "throttled", "missing", "server", "other"], "ok")
    rows["time"] = pd.to_datetime(rows["second"], unit="s", utc=True).astype("datetime64[s, UTC]")
    return rows.assign(outcome=outcome)[["token", "time", *statistics.KINDS, "outcome", "response_bytes"]]


# ---- what is set side by side ----
@dataclass(frozen=True)
class LogStatistics:
    """What one log shows. ``hours``: ``statistics.by_token_hour`` without names; ``gaps``: share above ``GAPS_S``."""

    about: dict[str, object]
    hours: pd.DataFrame
    gaps: pd.Series
    errors: pd.Series
    sizes: pd.Series
    volumes: dict[str, float]


def log_statistics(events: pd.DataFrame, about: dict[str, object] | None = None) -> LogStatistics:
    """The statistics of events as ``read`` gives them."""
    counts = {"calls": len(events), "tokens": int(events["token"].nunique())}
    return LogStatistics(
        {**(about or {}), **counts},
        statistics.by_token_hour(events).reset_index(drop=True),
        statistics.ccdf(statistics.gaps(statistics.token_hours(events)), GAPS_S),
        statistics.error_rates(events),
        statistics.tail(events["response_bytes"]),
        statistics.volumes(events),
    )


def summarise(path: Path | str) -> LogStatistics:
    """Statistics of CloudTrail logs: no record, name, key or address is in them.

    Parameters
    ----------
    path : folder of the real logs, as their publisher delivers them
    """
    with tempfile.TemporaryDirectory(prefix="tokenkit-realism-") as folder:
        workspace = config.init(Path(folder))
        counts = ingest.ingest(workspace, [Input(Path(path), "cloudtrail")])
        events = read(workspace)
    first, last = events["time"].min(), events["time"].max()
    others = events[events["token"] != events["token"].value_counts().index[0]]  # the busiest one ran the attacks
    within = statistics.gaps(statistics.token_hours(others))
    stored = {
        "first": f"{first:%FT%TZ}",
        "last": f"{last:%FT%TZ}",
        "records": counts.stored,
        "gaps of 0 s, without the busiest token": round(float((within == 0).mean()), 3),
        "calls that fail, without the busiest token": round(float((others["outcome"] != "ok").mean()), 3),
    }
    return log_statistics(events, {**PROVENANCE, **stored})


PROVENANCE = {
    "what": "AWS CloudTrail of one account in which attack techniques were run with Stratus Red Team, its addresses "
    "rewritten by the publisher; most calls are of one key, most of those by Terraform",
    "source": "github.com/invictus-ir/aws_dataset",
    "licence": "MIT, Copyright (c) 2023 Invictus Incident Response",
}


def write(measured: LogStatistics, path: Path = REAL) -> None:
    """Write statistics as JSON, the same bytes for the same statistics."""
    stored = {
        "about": measured.about,
        "hours": measured.hours.round(3).to_dict(orient="records"),
        "gaps": {str(above): round(share, 4) for above, share in measured.gaps.items()},
        "errors": measured.errors.round(4).to_dict(),
        "sizes": measured.sizes.dropna().to_dict(),
        "volumes": measured.volumes,
    }
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def real_hour(path: Path = REAL) -> LogStatistics:
    """The committed statistics of the real hour.

    Examples
    --------
    >>> real = real_hour()
    >>> real.about["records"], real.about["first"], len(real.hours)
    (2900, '2023-07-10T11:42:18Z', 6)
    """
    stored = json.loads(path.read_text(encoding="utf-8"))
    gaps = pd.Series({int(above): share for above, share in stored["gaps"].items()}, name="share")
    errors, sizes = pd.Series(stored["errors"], name="share"), pd.Series(stored["sizes"])
    hours = pd.DataFrame(stored["hours"])
    return LogStatistics(stored["about"], hours, gaps.rename_axis("above"), errors, sizes, stored["volumes"])


def about(simulated: LogStatistics, real: LogStatistics) -> pd.DataFrame:
    """What the two logs are, as text."""
    simple = {"what": "organisations of tokenkit.bench, without attacks"} | simulated.about
    rows = {name: [str(simple.get(name, "")), str(value)] for name, value in real.about.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["simulated", "real hour"])


def compare_token_hours(simulated: LogStatistics, real: LogStatistics) -> pd.DataFrame:
    """Token-hours of both: where the real ones lie among the simulated.

    Returns
    -------
    DataFrame by statistic of ``statistics.by_token_hour``
        ``real_least``, ``real_median``, ``real_most``; ``simulated_5%``, ``simulated_50%``, ``simulated_95%``;
        ``inside`` (share of the real token-hours from the 5% to the 95% of the simulated).
    """
    rows = {}
    for name in real.hours.columns:
        low, middle, high = simulated.hours[name].quantile([0.05, 0.5, 0.95])
        values = real.hours[name].dropna()
        inside = values.between(low, high).mean()
        rows[name] = [values.min(), values.median(), values.max(), low, middle, high, inside]
    columns = ["real_least", "real_median", "real_most", "simulated_5%", "simulated_50%", "simulated_95%", "inside"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def differences(events: pd.DataFrame, simulated: LogStatistics, real: LogStatistics) -> pd.DataFrame:
    """The figures by which the simulator is to be judged, as text; empty where there is none.

    Parameters
    ----------
    events : those that ``simulated`` measures

    Returns
    -------
    DataFrame by statistic: ``simulated``, ``real hour``, ``published``
    """
    logs = (simulated, real)
    new = statistics.first_seen(events)
    a_day, usual = new["new_a_day"], new["median_token"]
    rhythm = statistics.autocorrelation(events).median()
    irregular = (statistics.interarrival(events, by=["token"])["cv"] > 1).mean()
    fails = [f"{1 - log.errors['ok']:.1%}" for log in logs]
    at_once = [f"{1 - log.gaps.loc[0]:.0%}" for log in logs]
    unequal = [f"{log.volumes['share']:.0%}" for log in logs]
    orders = [f"{log.volumes['orders']:.1f}" for log in logs]
    median = {name: [f"{log.hours[name].median():.1f}" for log in logs] for name in real.hours}
    most = [f"{log.hours['operations'].max():.0f}" for log in logs]
    rows = {
        "gaps of 0 s": [*at_once, ""],
        "variation of gaps in an hour, median": [*median["cv"], ""],
        "tokens with a variation above 1 over all days": [f"{irregular:.0%}", "", "40%"],
        "Fano factor in 1 s, median": [*median["fano 1 s"], ""],
        "Fano factor in 60 s, median": [*median["fano 60 s"], ""],
        "Fano factor in 600 s, median": [*median["fano 600 s"], ""],
        "operations in a token-hour, median": [*median["operations"], ""],
        "operations in a token-hour, most": [*most, ""],
        "entropy of operations, bits, median": [*median["bits"], ""],
        "calls that fail": [*fails, "about 2% in a 5xx alone"],
        "calls of the busiest 18.6% of tokens": [*unequal, "99.6%"],
        "orders of magnitude of calls": [*orders, "over 8"],
        "alpha above 10,000 bytes": [f"{simulated.sizes['alpha above 10,000 bytes']:.2f}", "", "1.0 to 1.2"],
        "alpha of the largest 1%": [f"{simulated.sizes['alpha of the top 1%']:.2f}", "", "1.0 to 1.2"],
        "99.9% / 99% of bytes": [f"{simulated.sizes['p99.9 / p99']:.1f}", "", "6.8 to 10 (of that alpha)"],
        "new operations a token-day": [f"{a_day['operation']:.3f}", "", "0.013 to 0.27 at most"],
        "new networks a token-day": [f"{a_day['network']:.3f}", "", ""],
        "new networks a day of the median token": [f"{usual['network']:.3f}", "", ""],
        "new clients a token-day": [f"{a_day['client']:.3f}", "", ""],
        "new objects a token-day": [f"{a_day['object']:.1f}", "", ""],
        "autocorrelation at 1 day, median": [f"{rhythm[1]:.2f}", "", ""],
        "autocorrelation at 7 days, median": [f"{rhythm[7]:.2f}", "", ""],
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["simulated", "real hour", "published"])


def published(statistic: str = "") -> pd.DataFrame:
    """What was published about a statistic, with its source in full; about all of them without a name.

    Examples
    --------
    >>> published("errors")["figure"].tolist()
    ['about 2% end in a 5xx']
    """
    rows = PUBLISHED[PUBLISHED["statistic"] == statistic] if statistic else PUBLISHED
    return rows.assign(source=rows["source"].map(SOURCES).fillna("")).set_index("statistic").rename_axis(None)
