"""Incident: the types of one incident, as the page, ``incidents.json`` and the table ``incidents`` of state.db hold it.

Plain dicts, which a round trip through JSON does not change but for tuples, which come back as lists. Times are ISO
8601 in UTC, such as ``2026-03-03T02:10:00Z``, and end where a stretch of time is not included any more. Bits measure
surprise: one more is half as likely to be chance. None means that it is not known; a key is missing only where its type
says NotRequired.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict  # pydantic checks the one of typing only from Python 3.12 on

Level = Literal["low", "medium", "high"]  # of risk, and of how sure we are
State = Literal["opened", "grown", "quiet", "closed"]  # in the reported days; quiet: nothing of it was flagged in them
Verb = Literal["lock", "restrict", "step_up", "notify"]  # what to do, as ``respond`` can do it
Window = Literal["minute", "hour", "day"]
Mark = Literal["UNSEEN", "RARE", "INFREQUENT", "FREQUENT"]  # how common a value was for the token (``explain.mark``)
Point = tuple[str, float]  # start of a window, and the value in it
Range = tuple[float, float]  # lowest and highest value that is usual
Stretch = tuple[str, str]  # start and end


class Token(TypedDict):
    """What the token is called."""

    label: str | None  # its name in the inventory, or the best that the logs have
    mask: str | None  # what may be shown of its id: AKIA...20BJ
    issuer: str | None  # aws, gateway:default, ...
    kind: str | None  # user_key, role, api_key, ...
    principal: str | None  # the user or role behind it, where the log names one


class Owner(TypedDict):
    """Who answers for the token."""

    name: str | None
    email: str | None
    status: str  # owned, unowned, orphaned (the owner has left) or ambiguous (two owners at once)
    timezone: str | None  # IANA name
    type: str | None  # human or service
    team: str | None


class Certainty(TypedDict):
    """How sure we are that it is not chance."""

    level: Level
    text: str  # how rarely chance alone would do it


class Reason(TypedDict):
    """One part of the score."""

    feature: str  # name of the part: a feature, network, client, operation, a rule, a detector
    family: str  # of the feature: volume, network, ...
    channel: str  # of this part; drift for drift_amounts and drift_requests, which ``Incident.channels`` tells apart
    title: str  # in words
    observed: str
    usual: str
    peers: str  # what the peer group does; empty where there is none
    sentence: str  # title, observed, usual and peers as one sentence
    share: float  # of the score, 0 to 1; all shares add up to 1
    bits: float
    value: float | None  # observed, in ``unit``
    expected: float | None  # usual, in ``unit``
    unit: str  # bytes, calls, objects, ...; empty where there is no number
    measured_as: str  # for the data scientist


class Timeline(TypedDict):
    """What a token did over time against what is usual for it."""

    title: str
    unit: str
    window: Window
    points: list[Point]
    band: list[Range]  # one a point, or empty
    flagged: list[Stretch]  # the flagged windows of the incident
    note: str | None


class NewValue(TypedDict):
    """A network, program or call of the incident, with how common it was before."""

    kind: str  # Network, Program or Call
    value: str
    mark: Mark
    now: int  # calls in the incident
    before: int  # calls in the ``before_days`` before it
    before_days: int


class Explanation(TypedDict):
    """A harmless explanation to check first."""

    question: str
    detail: str


class Action(TypedDict):
    """What to do about an incident: the advice, and what tokenkit itself proposes or did (``respond.add_actions``)."""

    verb: Verb
    title: str
    text: str
    cost: str
    who: str  # who decides
    how: list[str]  # steps, commands included
    proposed: NotRequired[Verb]  # what tokenkit would do
    why_not: NotRequired[str | None]  # why tokenkit proposes nothing stronger than to notify
    note: NotRequired[str]
    undo: NotRequired[str]  # how it is undone
    irreversible: NotRequired[bool]  # whether the list of owners says that it cannot be
    applied: NotRequired[Verb]  # what was done


# functional, since ``from`` is no name in Python
Call = TypedDict(
    "Call",
    {
        "time": str,
        "from": str | None,  # address, or the service that called
        "client": str | None,  # program
        "operation": str,
        "object": str | None,
        "answer": str,  # status
        "response_bytes": int | None,
        "token_uid": str | None,  # credential
    },
)


class SecondOpinion(TypedDict):
    """What the detectors of PyOD say of the incident's most unusual day."""

    name: str
    percentile: float  # share of held-out days that are less unusual, 0 to 1
    agrees: bool  # most of them call it one of the 1% most unusual
    members: dict[str, bool]  # each detector, and whether it calls it so
    text: str


class Technique(TypedDict):
    """A technique of MITRE ATT&CK that the incident resembles."""

    technique: str  # id, such as T1078.004
    name: str
    checked: bool


class Answer(TypedDict):
    """What a person answered about the incident: a label or a suppression."""

    verdict: str  # true_positive, false_positive, benign or suppressed
    who: str | None  # None where names are hidden
    made_time: str
    reason: str
    until: str | None  # day from which a suppression ends, such as 2026-04-01
    uid: str  # of the label or suppression
    closes: bool  # it leaves the main list and the budget
    expired: bool  # the suppression has ended and the incident goes on


class Incident(TypedDict):
    """One incident: flagged windows of one profile, merged, with all that is said of them."""

    incident_uid: str
    aliases: list[str]  # ids that earlier reports gave it
    profile_uid: str
    token_uids: list[str]  # identities concerned: the profile, credentials, the user or role behind them
    start: str
    end: str
    created_time: str  # when it could first have been raised, in the time of the logs
    last_seen: str  # last call of the incident
    ended: str | None  # its end where nothing was flagged in the last days of the period
    n_windows: int
    n_days: int  # with a flagged window
    channels: list[str]  # that flagged it, the highest first
    score_bits: float  # sum over its channels of the highest window of each
    threshold_bits: float  # of the one channel that flagged it highest: not to be compared with the sum
    risk: int  # 0 to 100
    risk_level: Level
    story: str  # what it looks like, such as stolen or slow_leak (``advice.story_of``)
    headline: str
    short: str  # the headline in fewer words
    detail: str  # one more sentence, with numbers
    token: Token
    owner: Owner
    purpose: str | None
    environment: str | None
    criticality: str | None  # low, medium, high or critical
    scopes: str | None  # what it may do
    called_before: list[tuple[str, int]]  # the operations that it called most in the 28 days before, and how often
    kinds_called_before: int  # how many operations of services it called in them
    unused_scopes: list[str]  # of ``scopes``, those of which none of these has a word
    known_days: int  # with a call before the incident
    maturity: str  # mature: judged by its own past; young: by its peers; new: not judged by its behaviour
    peers: int  # other profiles in its peer group
    peer_group: str
    sure: Certainty
    taken: str  # calls and data in words
    reasons: list[Reason]  # at least one, the largest first
    timeline: Timeline
    new_values: list[NewValue]
    explanations: list[Explanation]
    action: Action
    if_nothing: list[str]  # what happens if nothing is done, in sentences
    evidence: list[Call]  # examples, in order of time
    evidence_total: int  # calls of the incident
    second_opinion: SecondOpinion | None
    attack: list[Technique]
    state: State
    new_since_last: bool  # the report before this one did not have it
    answer: Answer | None
