"""Facts: the types of what the page of a report is made from: plain dicts, which state.db keeps as JSON.

Times, bits and None as in ``incident``. Tokens are profiles where it is not said otherwise: a rotated key, or a role
with its keys of an hour, is one. Counts are those of the reported days.
"""

from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic checks the one of typing only from Python 3.12 on

from tokenkit.schema.coverage import Coverage
from tokenkit.schema.incident import Incident, Level, Point, Range, Window

ReportState = Literal["attention", "quiet", "not_enough_history"]


class Days(TypedDict):
    """A stretch of whole days."""

    start: str
    end: str
    days: int


class History(TypedDict):
    """What was read, and what the past of a token is taken from."""

    first: str | None  # time of the first call that was ever read
    last: str | None
    days: float  # between the two
    hours: float  # the same
    reference: Days | None  # None: too little history to judge anything
    calibration: Days | None  # None: thresholds are provisional
    provisional: bool
    note: str | None  # why


class Previous(TypedDict):
    """What changed since the report before this one."""

    run_uid: str
    end: str  # of its period
    opened: int  # incidents
    grown: int
    quiet: int
    closed: int
    new_tokens: int
    lost_owner: int
    incidents_new: list[str]  # ids


class Counts(TypedDict):
    """Tokens, and the calls of the reported days."""

    tokens: int
    credentials: int  # keys counted singly
    profiles: int
    active: int
    new: int
    idle: int
    dormant: int  # of those idle: unused for more than 30 days
    unowned: int
    orphaned: int
    ambiguous: int
    unattributed_calls: int  # without a token
    calls: int
    judged: int  # by their own past
    young: int  # by their peers
    answered: int  # incidents
    accepted: int  # new normals


class Budget(TypedDict):
    """How many incidents were asked for, and how many were opened."""

    per_1000: float  # new incidents a day for each 1,000 profiles
    allowed: float  # in the reported days
    opened: int
    days: int
    per_day: float
    achieved: float | None  # opened / allowed
    calibration_days: int
    calibration_opened: int | None  # what the thresholds would have opened on the days on which they were set
    by_chance: float | None  # incidents that days as ordinary as the 14 before would open in the reported days
    week: "BudgetWeek | None"  # None in the first week that is judged


class BudgetWeek(TypedDict):
    """Incidents opened in the last week, beside what was allowed."""

    opened: int
    allowed: float
    far_off: bool  # more than twice, or less than half
    causes: list[str]  # where far more: the channel, the sign and the kind of tokens that opened most
    may_be_chance: bool


class NotRaised(TypedDict):
    """Confirmed misuse of which a report has no incident."""

    incident_uid: str  # under which it was confirmed
    profile_uid: str
    label: str
    mask: str | None
    who: str | None  # who confirmed it; None where names are hidden
    made_time: str
    reason: str
    start: str
    end: str


class AcceptedChange(TypedDict):
    """A new normal that was accepted, with what its token does in the reported days."""

    incident_uid: str
    profile_uid: str
    label: str
    mask: str | None
    owner: str | None
    team: str | None
    who: str | None  # who accepted it; None where names are hidden
    made_time: str
    reason: str
    start: str  # of the incident
    end: str
    version: int  # of the token's normal; the first is 1
    calls: int
    last_seen: str | None
    score_bits: float  # the highest of the reported days


class DriftingToken(TypedDict):
    """A token that drifts towards its threshold."""

    profile_uid: str
    label: str
    mask: str | None
    owner: str | None
    team: str | None
    days: int  # over which it drifts
    ratio: float  # observed / usual
    what: str  # the feature in words
    score_bits: float
    threshold_bits: float
    text: str
    usual: str
    observed: str
    series: list[Point]  # by day
    band: list[Range]  # one a point
    unit: str


class BrokenRule(TypedDict):
    """A rule that a token broke, whatever its behaviour."""

    rule: str  # orphan_in_use, expired_in_use or outside_networks
    title: str
    label: str
    mask: str | None
    token_uid: str
    profile_uid: str
    owner: str | None
    since: str
    requests: int  # calls
    standing: bool  # broken before the reported days, too
    text: str
    do: str


class OwnerlessToken(TypedDict):
    """An active token nobody answers for."""

    label: str
    mask: str | None
    token_uid: str
    principal: str | None
    kind: str | None
    status: str  # unowned, orphaned or ambiguous
    owner: str | None  # who is recorded
    requests: int  # calls
    last_seen: str
    ask: str | None  # team


class RiskyToken(TypedDict):
    """A token of high risk; the numbers are those of its riskiest incident."""

    label: str | None
    mask: str | None
    profile_uid: str
    risk: int  # 0 to 100
    level: Level
    owner: str | None
    team: str | None
    environment: str | None
    criticality: str | None
    known_days: int
    do: str
    incident_uid: str


class ActiveToken(TypedDict):
    """A busy token."""

    label: str
    mask: str | None
    kind: str | None
    owner: str | None
    requests: int  # calls
    response_bytes: int
    networks: int
    clients: int  # programs
    top_operation: str | None


class CallsSeries(TypedDict):
    """Calls of all tokens over the reported days."""

    unit: Window
    points: list[Point]


class RareValue(TypedDict):
    """A program or network that one token uses and hardly any other."""

    kind: str  # Program or Network
    value: str
    label: str
    mask: str | None
    requests: int  # calls
    first: str  # first used
    note: str | None


class Channel(TypedDict):
    """A detector with its share of the budget."""

    channel: str
    title: str
    share: float  # 0 to 1
    opened: int  # incidents that it flagged highest
    threshold_bits: float | None  # on the last day; None: off


class Agreement(TypedDict):
    """On how many incidents the second opinion agrees."""

    name: str
    agree: int
    of: int


class SettingsSet(TypedDict):
    """Who saved the settings of detection; empty where nobody did."""

    by: str
    on: str  # day
    why: str


class Labels(TypedDict):
    """How many incidents people labelled, and how."""

    true_positive: int
    benign: int
    false_positive: int
    precision: float | None  # true_positive of all


class Health(TypedDict):
    """What a data scientist asks of the detectors."""

    channels: list[Channel]
    second_opinion: Agreement | None
    assumed: list[str]
    settings_digest: str
    seed: int
    settings_set: SettingsSet
    weights_set: SettingsSet  # of the workspace's own weights; empty where it has those that tokenkit comes with
    versions: dict[str, str]  # packages
    tables: dict[str, int]  # table to version
    verdicts: Labels


class BlindSpot(TypedDict):
    """Something the report would still miss."""

    what: str
    means: str


class OnPage(TypedDict):
    """A token on the page, and its incident where it has one."""

    label: str | None
    incident_uid: str | None


class ToDo(TypedDict):
    """What one owner has to do."""

    owner: str | None  # None: nobody
    team: str | None
    tokens: int
    on_page: list[OnPage]
    do: str


class NotJudged(TypedDict):
    """Tokens that were not judged by their own past."""

    young: int
    text: str


class Facts(TypedDict):
    """Everything that the report of a period says."""

    organisation: str
    run_uid: str
    made: str | None  # time of the newest call, so that the same input makes the same page
    period: Days  # the reported days
    state: ReportState
    pseudonymous: bool  # ids in the place of names
    history: History
    previous: Previous | None
    counts: Counts
    budget: Budget
    incidents: list[Incident]  # by risk
    answered: list[Incident]  # closed by a label or suppression, and still judged
    accepted: list[AcceptedChange]
    not_raised: list[NotRaised]
    watch: list[DriftingToken]
    policy: list[BrokenRule]
    owners_missing: list[OwnerlessToken]
    riskiest: list[RiskyToken]
    active_tokens: list[ActiveToken]
    calls_series: CallsSeries
    rare_values: list[RareValue]
    coverage: Coverage
    health: Health
    blind: list[BlindSpot]
    by_owner: list[ToDo]
    not_judged: NotJudged


class Summary(TypedDict):
    """What a later run needs to say what is new; the table ``runs`` of state.db keeps it."""

    end: str
    state: ReportState
    organisation: str
    incidents: dict[str, str]  # id to end
    tokens: int
    orphaned: int
    opened: int


class Run(TypedDict):
    """What ``run.json`` says of a run: what made the page, so that it can be made again."""

    run_uid: str
    organisation: str
    period: Days
    state: ReportState
    made: str | None
    opened: int
    allowed: float  # incidents that the budget grants in the reported days
    incidents: list[str]  # ids
    counts: Counts
    parameters: dict[str, Any]  # start, end, budget_per_1000, pseudonymous
    coverage: dict[str, Any]  # sources, ignored_rules, quarantined_total
    settings_digest: str
    versions: dict[str, str]
    tables: dict[str, int]
