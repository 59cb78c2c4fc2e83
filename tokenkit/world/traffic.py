"""Traffic: draws all requests of one simulated token from its job and archetype.

Each token draws from random streams of its own, so that neither an attack nor another token changes its requests.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from tokenkit.world.archetypes import ARCHETYPES, Archetype
from tokenkit.world.benign_changes import DailyVariation, TruthEntries, outage_day, truth_entry
from tokenkit.world.catalogue import COST, ENDPOINT, ENDPOINTS, LISTINGS, RARE_CLIENTS, USUAL, user_agent
from tokenkit.world.draws import Array, stream
from tokenkit.world.organisation import DAY, EVENT, HOUR, TRAILS, Credential, Organisation, Token, new_key

TAIL = 3.0  # degrees of freedom of a restless token's days
WORK_A_DAY, WORK_DAYS, WORK_SD = 1 / 20, 12.0, 0.8  # how often, how long and how large (log) a restless token's is
BUNCH_GAP_S = 8.0  # between the requests of a bunch
OWN_PROGRAMS = ("job", "node", "app")  # client families that the organisation makes itself


def token_requests(token: Token, org: Organisation, mean: float, variation: DailyVariation) -> Array:
    """All requests of a token over the whole period.

    Parameters
    ----------
    token : Token
        Its ``pace`` is set here.
    org : Organisation
        The token's addresses, clients and credentials are appended to it.
    mean : float
        Requests over the whole period on average.
    variation : DailyVariation
        First uses of a call are appended to its ``entries``.

    Returns
    -------
    array of EVENT, by time
    """
    rng, kind = stream(org.seed, token.native_id, "requests"), ARCHETYPES[token.job.archetype]
    hour, moment = request_times(rng, token, org, mean, variation)
    rows = np.zeros(len(hour), EVENT)
    rows["time"] = org.begin + ((hour + moment) * HOUR).astype("i8")
    rows["time"] = in_bunches(stream(org.seed, token.native_id, "bunches"), np.sort(rows["time"]), kind.bunch)
    day = (rows["time"] - org.begin) // DAY
    rows["token"], rows["log"] = token.number, token.log
    token.pace = max(0.5, mean / org.days * rng.uniform(0.05, 0.2))
    choose_endpoints(rng, token, org, rows, day, variation.entries)
    choose_objects(rng, token, org, rows, kind.paging)
    choose_addresses(token, org, rows, day, kind.sticky)
    choose_clients(token, org, rows, day)
    rows = set_outcomes(rng, token, org, rows)
    set_sizes(rng, token, org, rows, kind, variation)
    set_credentials(token, org, rows)
    uids = stream(org.seed, token.native_id, "uid")
    rows["uid"] = uids.integers(0, 2**64, (len(rows), 2), dtype="u8")
    rows["again"] = (uids.random(len(rows)) < 0.004) & (token.log < len(TRAILS))
    return rows


def request_times(
    rng: np.random.Generator, token: Token, org: Organisation, mean: float, variation: DailyVariation
) -> tuple[Array, Array]:
    """Whole hours since the start of each request, and the fraction (0 to 1) of that hour."""
    kind, days = ARCHETYPES[token.job.archetype], org.days
    zone, noon = ZoneInfo(token.timezone), datetime.combine(org.start, time(12))
    batch = token.job.archetype == "cron"  # batch jobs run by UTC
    noons = [(noon + timedelta(days=day)).replace(tzinfo=zone) for day in range(days)]
    offsets = [0.0 if batch else (at.utcoffset() or timedelta(0)).total_seconds() / 3600 for at in noons]
    hours = np.arange(days * 24)
    local = np.floor(hours + np.array(offsets)[hours // 24]).astype(int)
    week = kind.week(rng)
    rate = week[(org.start.weekday() + local // 24) % 7, local % 24]
    rate *= np.where(np.isin(local // 24, org.around.holidays.get(token.timezone, [])), kind.holiday, 1.0)
    level = daily_level(rng, days, kind.restless, rng.uniform(0.15, 0.4))
    level *= np.exp(stream(org.seed, "peers", token.job.purpose).normal(0, 0.08, days))
    used = kind.active(stream(org.seed, token.native_id, "active"), days)
    expected = rate * (mean / rate.sum()) * (level * variation.requests * used)[hours // 24]
    counts = rng.poisson(expected * rng.gamma(kind.clump, 1 / kind.clump, len(hours)))
    hour = np.repeat(hours, counts)
    return hour, np.clip(kind.moments(rng, hour), 0, 0.9999)


def daily_level(rng: np.random.Generator, days: int, restless: float, day_to_day_sd: float) -> Array:
    """How far each day lies from what is usual of a token, as a factor whose mean over the days is 1.

    The days of a calm token (``restless`` 0) are lognormal about a level that wanders by 5% in two weeks. Those of a
    restless one (1) have the far tail of real accounts (Student's t, three degrees of freedom), and work that begins
    and ends: for some days or weeks the level is another. ``notebooks/bench/realism.ipynb`` sets both beside real logs.

    Examples
    --------
    >>> from tokenkit.world.draws import stream
    >>> calm, restless = (daily_level(stream(0, "level"), 70, amount, 0.3) for amount in (0.0, 1.0))
    >>> bool(calm.max() < 3 < restless.max()), round(float(restless.mean()), 9)
    (True, 1.0)
    """
    walk = np.cumsum(rng.normal(0, 0.05 / np.sqrt(14), days))
    usual, far = rng.normal(0, day_to_day_sd, days), rng.standard_t(TAIL, days) * day_to_day_sd
    work = np.zeros(days)
    begins, sizes = rng.random(days) < WORK_A_DAY * restless, rng.normal(0, WORK_SD, days)
    lengths = rng.exponential(WORK_DAYS, days).astype(int) + 1
    for day in np.flatnonzero(begins).tolist():
        work[day : day + lengths[day]] += sizes[day]
    level = np.exp(np.clip(walk + usual + (far - usual) * restless + work, -5, 5))
    return np.asarray(level / level.mean())


def in_bunches(rng: np.random.Generator, time_ms: Array, share: float) -> Array:
    """Times of requests of which a ``share`` come some seconds after the one before them, within the same hour.

    Examples
    --------
    >>> from tokenkit.world.draws import stream
    >>> even = np.arange(60) * 60_000
    >>> bunched = in_bunches(stream(0, "bunches"), even, 0.5)
    >>> bool((np.diff(even) < 20_000).any()), int((np.diff(bunched) < 20_000).sum()) > 15
    (False, True)
    """
    follows = (rng.random(len(time_ms)) < share) & (np.diff(time_ms // HOUR, prepend=-1) == 0)
    first = np.maximum.accumulate(np.where(follows, 0, np.arange(len(time_ms))))
    waited = np.cumsum(np.where(follows, rng.exponential(BUNCH_GAP_S * 1000, len(time_ms)), 0.0))
    later = time_ms[first] + (waited - waited[first]).astype("i8")
    end = (time_ms[first] // HOUR + 1) * HOUR - 1
    return np.asarray(np.sort(np.minimum(later, end)))


def choose_endpoints(
    rng: np.random.Generator, token: Token, org: Organisation, rows: Array, day: Array, entries: TruthEntries
) -> None:
    """Fill ``endpoint``: the job's mix as this token uses it, seldom ones, and some for the first time.

    Each call that is made for the first time within the period is appended to ``entries``.
    """
    job, days = token.job, org.days
    names = [*job.calls, *job.seldom, *job.untried]
    usual = np.array(list(job.calls.values())) * rng.lognormal(0, 0.4, len(job.calls))
    seldom = rng.uniform(0.001, 0.006, len(job.seldom))
    mix = np.tile(np.concatenate([usual / usual.sum(), seldom, np.zeros(len(job.untried))]), (days, 1))
    for column in range(len(job.calls) + len(job.seldom), len(names)):
        first, stays = int(rng.integers(days)), rng.random() < 0.4
        if rng.random() < 0.45 * days / 60:
            mix[first : first + int(rng.integers(1, 6)), column] = rng.uniform(0.01, 0.05)
            if stays:
                mix[first:, column] = np.maximum(mix[first:, column], 0.003)
            entries.append(truth_entry("first_use", [token.native_id], org, first, first, names[column]))
    odds = np.cumsum(mix * rng.lognormal(0, 0.1, mix.shape), axis=1)
    odds /= odds[:, -1:]
    chosen = (position_in_mix(rng, token, org, rows)[:, None] > odds[day]).sum(axis=1)
    rows["endpoint"] = np.array([ENDPOINT[name] for name in names])[np.minimum(chosen, len(names) - 1)]


def position_in_mix(rng: np.random.Generator, token: Token, org: Organisation, rows: Array) -> Array:
    """Where in the job's mix each request falls: the positions form a ring from 0 to 1.

    Most requests of a job with a ``chain`` lie a usual step, which is the same for their peers, behind the one before;
    the others fall anywhere, and so does the first after a pause of ten minutes. Every position stays equally likely,
    so the mix is kept.
    """
    independent = rng.random(len(rows))
    if not token.job.chain:
        return independent
    own = stream(org.seed, token.native_id, "chain")
    usual_step = stream(org.seed, "chain", token.job.purpose).uniform(0.2, 0.8)
    follows = (own.random(len(rows)) < token.job.chain) & (np.diff(rows["time"], prepend=0) < HOUR // 6)
    return np.asarray(np.cumsum(np.where(follows, usual_step + own.normal(0, 0.04, len(rows)), independent)) % 1.0)


def choose_objects(rng: np.random.Generator, token: Token, org: Organisation, rows: Array, paging: int) -> None:
    """Fill ``object`` with numbers near the newest one, which rises every day, and ``page`` of listings."""
    names = (*token.job.calls, *token.job.seldom, *token.job.untried)
    nouns = {COST[name][2]: i for i, name in enumerate(names) if COST[name][2]}
    noun_of = np.array([nouns.get(COST[name][2], -1) for name in ENDPOINTS])
    noun = noun_of[rows["endpoint"]]
    newest = token.first + token.pace * (rows["time"] - org.begin) / DAY
    back = rng.exponential(token.pace * rng.uniform(3, 20) + 5, len(rows))
    writes = np.isin(rows["endpoint"], [ENDPOINT["s3 PutObject"]])
    order = np.floor(newest - np.where(writes, back * 0.02, back)).astype("i8")
    if token.issuer == "gateway":  # numbers that all customers share: this token sees one in `stride`
        stride = rng.integers(7, 40, len(nouns) + 20)[noun]
        order = order * stride + (order * 2654435761 >> 8) % stride
    rows["object"] = np.where(noun >= 0, order, 0)
    at = np.flatnonzero(np.isin(rows["endpoint"], [ENDPOINT[name] for name in LISTINGS]))
    begins = np.where(rng.random(len(at)) < 1 / paging, np.arange(len(at)), 0)
    rows["page"][at] = 1 + np.arange(len(at)) - np.maximum.accumulate(begins)


def choose_addresses(token: Token, org: Organisation, rows: Array, day: Array, sticky: bool) -> None:
    """Fill ``address``, day by day from where the token is used; some tokens' ``networks`` are declared."""
    rng = stream(org.seed, token.native_id, "places")
    places = ARCHETYPES[token.job.archetype].places(rng, org.around, token.name, token.timezone)
    if token.job.archetype in ("cron", "webhook") and token.name not in org.around.moving and rng.random() < 0.4:
        seen = {address.rsplit(".", 1)[0] + ".0/24" for today, _ in places for address in today}
        token.networks = tuple(sorted(seen))
    edges = np.searchsorted(day, np.arange(org.days + 1))
    hour = (rows["time"] - org.begin) // HOUR
    for today, (addresses, shares) in enumerate(places):
        lower, upper = edges[today], edges[today + 1]
        if lower < upper:
            codes = np.array([org.number(org.addresses, text) for text in addresses])
            share = np.cumsum(shares) / np.sum(shares)
            dice = rng.random(24)[hour[lower:upper] % 24] if sticky else rng.random(upper - lower)
            rows["address"][lower:upper] = codes[np.minimum(np.searchsorted(share, dice), len(codes) - 1)]


def choose_clients(token: Token, org: Organisation, rows: Array, day: Array) -> None:
    """Fill ``client``; versions rise on some of the days on which one was released."""
    rng = stream(org.seed, token.native_id, "clients")
    human = token.job.archetype in ("human", "ci")
    families = list(token.job.clients) if human else [str(rng.choice(token.job.clients))]
    pick = rng.random(len(rows)) < (rng.uniform(0.6, 0.95) if len(families) > 1 else 1.0)
    rolled_out, hour = org.around.deploys.get(token.job.purpose, []), (rows["time"] - org.begin) // HOUR
    for chosen, family in zip((pick, ~pick), families, strict=False):
        versions, version = np.zeros(org.days, int), int(rng.integers(3))
        for released in org.around.releases[family]:
            if rng.random() < 0.55:
                versions[released + int(rng.integers(5) if token.job.archetype == "human" else 0) :] += 1
        deployed = versions[day]
        if rolled_out and family in OWN_PROGRAMS:
            old = stream(org.seed, token.native_id, "deploys").integers(2, size=len(rows))  # in the hour both run
            deployed = deployed + np.searchsorted(rolled_out, hour - old, side="right")
        agents = [
            user_agent(family, version + step, token.job.slug) for step in range(int(deployed.max(initial=0)) + 1)
        ]
        codes = np.array([org.number(org.clients, agent) for agent in agents])
        rows["client"][chosen] = codes[deployed[chosen]]
    curious = token.job.archetype in ("human", "partner") and rng.random() < 0.5 * org.days / 60
    if curious:  # somebody tries another tool for a day
        tried = (day == rng.integers(org.days)) & (rng.random(len(rows)) < 0.3)
        if tried.any():
            rows["client"][tried] = org.number(org.clients, str(rng.choice(RARE_CLIENTS)))


def set_outcomes(rng: np.random.Generator, token: Token, org: Organisation, rows: Array) -> Array:
    """Return the rows with status codes, and with a retry added for most failed calls.

    On one day the gateway is half down for half an hour.
    """
    kinds = np.array([404, 403, 503, 429, 400], "i2")
    odds = np.array([0.008, 0.003, 0.003, 0.003, 0.002]) * rng.lognormal(0, 0.6, 5)
    dice = rng.random(len(rows))
    at = np.searchsorted(np.cumsum(odds), dice)
    rows["status"] = np.where(at < 5, kinds[np.minimum(at, 4)], 200)
    named = np.array([bool(COST[name][2]) for name in ENDPOINTS])
    rows["status"][(rows["status"] == 404) & ~named[rows["endpoint"]]] = 200
    since = rows["time"] - (org.begin + outage_day(org.days) * DAY + 13 * HOUR)
    down = (since >= 0) & (since < HOUR // 2) & (token.issuer == "gateway") & (rng.random(len(rows)) < 0.6)
    rows["status"][down] = 503
    if rolled_out := org.around.deploys.get(token.job.purpose, []):
        hour, trouble = (rows["time"] - org.begin) // HOUR, stream(org.seed, token.native_id, "trouble")
        broken = np.isin(hour, rolled_out) & (trouble.random(len(rows)) < 0.08)
        rows["status"][broken] = trouble.choice([503, 503, 400, 429], int(broken.sum()))
    failed = np.flatnonzero(np.isin(rows["status"], (503, 429)) & (rng.random(len(rows)) < 0.8))
    repeats = np.concatenate([rows[failed], rows[failed[down[failed]]]])
    repeats["time"] += rng.integers(400, 5_000, len(repeats))
    repeats["status"] = np.where(rng.random(len(repeats)) < 0.9, 200, repeats["status"])
    repeats["time"] = np.minimum(repeats["time"], org.begin + org.days * DAY - 1)
    rows = np.concatenate([rows, repeats])
    return np.asarray(rows[np.argsort(rows["time"], kind="stable")])


def set_sizes(
    rng: np.random.Generator, token: Token, org: Organisation, rows: Array, kind: Archetype, variation: DailyVariation
) -> None:
    """Fill ``sent``, ``received`` and ``latency``: lognormal about the endpoint's median and the day's level."""
    medians = np.array([COST[name][:2] for name in ENDPOINTS]) * 1024
    more = stream(org.seed, token.native_id, "sizes").normal(0, 0.4, len(ENDPOINTS) - USUAL)
    own = np.exp(np.concatenate([rng.normal(0, 0.4, USUAL), more]))
    level = daily_level(rng, org.days, kind.restless / 2, rng.uniform(0.08, 0.2))
    day = (rows["time"] - org.begin) // DAY
    call = rows["endpoint"]
    sent = medians[call, 0] * own[call] * (level * variation.size)[day] * rng.lognormal(0, kind.sizes, len(rows))
    longer = rng.lognormal(0, 0.3 * kind.sizes, len(rows))
    if kind.echo:
        longer = longer**3  # prompts differ more than the requests of a program do
        sent *= longer**kind.echo
    received = medians[call, 1] * longer
    failed = rows["status"] >= 400
    logged = (token.issuer == "gateway") | (medians[call, 0] > 0)
    rows["sent"] = np.where(failed & logged, rng.integers(180, 420, len(rows)), np.maximum(sent, 120 * logged))
    rows["received"] = np.where(failed & (token.issuer == "aws"), 0, received)
    rows["latency"] = rng.lognormal(3.6, 0.5, len(rows)) + rows["sent"] / kind.streams


def set_credentials(token: Token, org: Organisation, rows: Array) -> None:
    """Fill ``credential``: the key, the key that replaced it, or a role's session of some hours."""
    first = len(org.credentials)
    if not token.is_role:
        org.credentials += [
            Credential(native, token.number) for native in (token.native_id, token.rotated_id) if native
        ]
        rows["credential"] = first
        if token.rotated:
            rows["credential"] += rows["time"] >= int(token.rotated.timestamp() * 1000)
        return
    rng = stream(org.seed, token.native_id, "sessions")
    length = int(rng.uniform(1, 6) * HOUR)
    sessions, rows["credential"] = np.unique((rows["time"] - org.begin) // length, return_inverse=True)
    rows["credential"] += first
    for number in sessions.tolist():
        created = org.begin + number * length - int(rng.integers(1_000, 20_000))
        name = token.session_name or f"botocore-session-{created // 1000}"
        org.credentials.append(Credential(new_key(rng, token.log, "ASIA"), token.number, name, created))


def service_requests(org: Organisation, events: float) -> Array:
    """All requests that AWS services make by themselves, with neither key nor address."""
    rng = stream(org.seed, "services")
    rows = np.zeros(int(rng.poisson(0.004 * events)), EVENT)
    rows["time"] = np.sort(org.begin + rng.integers(0, org.days * DAY, len(rows)))
    does = {
        "cloudformation": "sts AssumeRole",
        "lambda": "sts AssumeRole",
        "cloudtrail": "s3 GetBucketAcl",
        "s3": "kms Decrypt",
    }
    pick = rng.integers(len(does), size=len(rows))
    for number, (service, name) in enumerate(does.items()):
        host = f"{service}.amazonaws.com"
        chosen = pick == number
        rows["endpoint"][chosen] = ENDPOINT[name]
        rows["address"][chosen] = org.number(org.addresses, host)
        rows["client"][chosen] = org.number(org.clients, host)
        rows["credential"][chosen] = len(org.credentials)
        org.credentials.append(Credential("", -1, host))
    rows["token"], rows["status"] = -1, 200
    rows["log"] = rng.integers(len(TRAILS), size=len(rows))
    rows["uid"] = rng.integers(0, 2**64, (len(rows), 2), dtype="u8")
    rows["again"] = rng.random(len(rows)) < 0.004
    return rows
