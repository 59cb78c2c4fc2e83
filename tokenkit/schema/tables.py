"""Tables: every column, written down once: type, unit, meaning, and the OCSF 1.8 attribute that it becomes.

Times are UTC; Delta keeps microseconds, the events carry milliseconds.
"""

import pyarrow as pa

from tokenkit.schema.table import BOOL, DAY, FLOAT, INT, STRING, TIME, Column, Table


def _c(name: str, type: pa.DataType, doc: str, unit: str = "", ocsf: str = "", required: bool = False) -> Column:
    return Column(name, type, doc, unit, ocsf, required)


EVENTS = Table(
    "events",
    "one API call",
    (
        _c(
            "event_uid",
            STRING,
            "the source's id, else the SHA-256 of the raw line",
            "",
            "metadata.original_event_uid",
            True,
        ),
        _c("time", TIME, "when it happened, never when it was read", "", "time", True),
        _c("logged_time", TIME, "when the source wrote it", "", "metadata.logged_time"),
        _c("source", STRING, "name of the log source", "", "metadata.log_name", True),
        _c("class_uid", pa.int32(), "OCSF class", "", "class_uid", True),
        _c("activity_id", pa.int8(), "1 create, 2 read, 3 update, 4 delete, 0 unknown, 99 other", "", "activity_id"),
        _c(
            "token_uid",
            STRING,
            "the credential (tok1_ and 24 hex digits); empty without one",
            "",
            "api.token.uid",
            True,
        ),
        _c("token_kind", STRING, "aws_access_key, aws_session, api_key, principal, none", "", "api.token.type"),
        _c("token_type_id", pa.int8(), "OCSF token type", "", "api.token.type_id"),
        _c("token_lifetime", STRING, "long_lived, session or unknown"),
        _c("session_uid", STRING, "the session, pseudonymised as tokens are", "", "actor.session.uid"),
        _c("principal_uid", STRING, "who acts: ARN, service account, user id", "", "actor.user.uid"),
        _c("principal_type_id", pa.int8(), "1 user, 2 admin, 3 system, 4 service", "", "actor.user.type_id"),
        _c("owner_uid", STRING, "owner, joined when read", "", "resources[].owner.uid"),
        _c("owner_status", STRING, "owned, unowned, orphaned, ambiguous; joined when read"),
        _c("app_uid", STRING, "application or client", "", "actor.app_uid"),
        _c("tenant_uid", STRING, "account, organisation, project", "", "cloud.account.uid"),
        _c("is_mfa", BOOL, "a second factor was used", "", "actor.session.is_mfa"),
        _c("src_ip", STRING, "address of the caller; null for a service", "", "src_endpoint.ip"),
        _c("src_svc", STRING, "service that called", "", "src_endpoint.svc_name"),
        _c("src_country", STRING, "country of the caller", "ISO 3166 alpha-2", "src_endpoint.location.country"),
        _c("src_asn", INT, "autonomous system of the caller", "", "src_endpoint.autonomous_system.number"),
        _c("user_agent", STRING, "program as it names itself, secrets masked", "", "http_request.user_agent"),
        _c("ua_family", STRING, "program without version"),
        _c("service", STRING, "service called", "", "api.service.name"),
        _c("operation", STRING, "event name, or method and route template", "", "api.operation", True),
        _c("http_method", STRING, "HTTP method", "", "http_request.http_method"),
        _c("url_path", STRING, "path without query string, secrets masked", "", "http_request.url.path"),
        _c("resource_uid", STRING, "object touched", "", "resources[0].uid"),
        _c("resource_type", STRING, "its type", "", "resources[0].type"),
        _c("region", STRING, "cloud region", "", "cloud.region"),
        _c("status_id", pa.int8(), "1 success, 2 failure, 0 unknown", "", "status_id", True),
        _c("status_code", STRING, "vendor's error or HTTP status as text", "", "status_code"),
        _c("http_status", pa.int16(), "HTTP status", "", "http_response.code"),
        _c("is_denied", BOOL, "refused for lack of rights", "", "disposition_id"),
        _c("request_bytes", INT, "client to service", "bytes", "http_request.length"),
        _c("response_bytes", INT, "service to client", "bytes", "http_response.length"),
        _c("duration_ms", pa.float32(), "time taken", "ms", "duration"),
        _c("scopes", pa.list_(STRING), "scopes of the credential", "", "unmapped.scopes"),
        _c("count", pa.int32(), "calls this row stands for", "calls", "count"),
        _c("raw_ref", STRING, "file and record, to fetch the evidence again", "", "metadata.debug"),
        _c("rows", INT, "rows or objects returned, where the log says it", "rows", "unmapped.rows"),
        _c("cost_units", FLOAT, "model tokens and the like", "units", "unmapped.cost_units"),
        _c("page_offset", INT, "page or offset asked for", "", "unmapped.page_offset"),
        _c("ja4", STRING, "TLS fingerprint", "", "unmapped.ja4"),
        _c("network", STRING, "/24 (IPv4) or /48 (IPv6) of src_ip, else the calling service"),
        _c("network_class", STRING, "hosting, residential, corporate, mobile, anonymiser, service, private, unknown"),
        _c("token_key", INT, "int64 key of token_uid; 0 without one", required=True),
        _c("network_key", INT, "int64 key of network", required=True),
        _c("client_key", INT, "int64 key of the program and version", required=True),
        _c("operation_key", INT, "int64 key of service and operation", required=True),
        _c("object_key", INT, "int64 key of resource_uid; 0 without one", required=True),
        _c(
            "event_key",
            INT,
            "int64 key of source and of what tells the event apart: its id, where no client can choose it, else its "
            "content; an event is stored once",
            required=True,
        ),
        _c("day", DAY, "UTC day of time; the partition", required=True),
    ),
    partition="day",
)

DIM_TOKEN = Table(
    "dim_token",
    "one credential or principal ever seen",
    (
        _c("token_key", INT, "int64 key", required=True),
        _c("token_uid", STRING, "keyed HMAC of issuer and native id", required=True),
        _c("issuer", STRING, "who issued it: aws, gateway:<realm>", required=True),
        _c("token_kind", STRING, "as in events"),
        _c("token_lifetime", STRING, "long_lived, session or unknown"),
        _c("mask", STRING, "first and last four characters of the native id"),
        _c("principal", STRING, "user or session it acts as"),
        _c("principal_token_uid", STRING, "the principal's own identity"),
        _c("role", STRING, "role of a session, where there is one"),
        _c("role_token_uid", STRING, "the role's own identity"),
        _c("tenant_uid", STRING, "account"),
        _c("enforce_connector", STRING, "which connector can lock it, where its log says so"),
        _c("enforce_handle", STRING, "under which name: a logged id that its source declares to be no secret"),
    ),
)
DIM_NETWORK = Table(
    "dim_network",
    "one network ever seen",
    (
        _c("network_key", INT, "int64 key", required=True),
        _c("network", STRING, "/24, /48 or service"),
        _c("network_class", STRING, "as in events, of an address seen in it"),
        _c("asn", INT, "its autonomous system, where networks.database says it"),
        _c("as_name", STRING, "the organisation that runs that"),
    ),
)
DIM_CLIENT = Table(
    "dim_client",
    "one program and version ever seen",
    (
        _c("client_key", INT, "int64 key of program and version", required=True),
        _c("family_key", INT, "int64 key of the program without version", required=True),
        _c("user_agent", STRING, "program and version, such as Boto3/1.34.2; the whole user agent is in events alone"),
        _c("ua_family", STRING, "program without version"),
        _c("ua_version", STRING, "its version"),
    ),
)
DIM_OPERATION = Table(
    "dim_operation",
    "one operation ever seen",
    (
        _c("operation_key", INT, "int64 key of service and operation", required=True),
        _c("service", STRING, "service"),
        _c("operation", STRING, "event name or method and route"),
        _c("activity_id", pa.int8(), "1 create, 2 read, 3 update, 4 delete"),
        _c("is_list", BOOL, "lists or describes rather than reads one thing"),
        _c("is_sensitive", BOOL, "credentials, secrets, rights, logging, deletion"),
    ),
)
DIM_OBJECT = Table(
    "dim_object",
    "one object ever touched",
    (
        _c("object_key", INT, "int64 key of resource_uid", required=True),
        _c("resource_uid", STRING, "ARN or path"),
        _c("group_key", INT, "int64 key of the id without its last number"),
        _c("number", INT, "the last number in the id, if any"),
    ),
)

TOKENS = Table(
    "tokens",
    "one token as its owner knows it, in one period",
    (
        _c("token_uid", STRING, "keyed HMAC of issuer and native id", required=True),
        _c("token_key", INT, "int64 key", required=True),
        _c("issuer", STRING, "who issued it", required=True),
        _c("mask", STRING, "first and last four characters of the native id"),
        _c("label", STRING, "its name"),
        _c("token_kind", STRING, "kind, as the inventory says"),
        _c("owner_uid", STRING, "owner's id, pseudonymised (own1_...)"),
        _c("owner_name", STRING, "owner's name"),
        _c("owner_email", STRING, "owner's e-mail"),
        _c("owner_type", STRING, "human, service or team"),
        _c("owner_status", STRING, "owned, unowned, orphaned, ambiguous"),
        _c("owner_timezone", STRING, "IANA time zone"),
        _c("team", STRING, "team"),
        _c("purpose", STRING, "what it is for; the peer group"),
        _c("environment", STRING, "production, staging, ..."),
        _c("criticality", STRING, "low, medium, high, critical"),
        _c("scopes", STRING, "what it may do"),
        _c("networks", STRING, "declared networks (CIDR), space separated"),
        _c("created_time", TIME, "created"),
        _c("expires_time", TIME, "expires"),
        _c("rotated_from_uid", STRING, "token that it replaced"),
        _c("enforce_connector", STRING, "which connector can lock it"),
        _c("enforce_handle", STRING, "under which name"),
        _c("reversible", BOOL, "whether locking it can be undone; null: as its connector says"),
        _c("break_glass", BOOL, "kept for emergencies: no action is ever proposed"),
        _c("allow_auto", BOOL, "whether an action may be applied without asking a person; null: yes"),
        _c("valid_from", TIME, "row is true from"),
        _c("valid_to", TIME, "row is true until (exclusive)"),
    ),
)

_TOKEN_HOUR = (
    _c("day", DAY, "UTC day; the partition", required=True),
    _c("token_key", INT, "token", required=True),
    _c("hour_s", INT, "start of the hour", "s since 1970", required=True),
)
ACTIVITY_HOUR = Table(
    "activity_hour",
    "token x hour",
    (
        *_TOKEN_HOUR,
        _c("requests", INT, "calls", "calls"),
        _c("ok", INT, "answered with success", "calls"),
        _c("denied", INT, "refused for lack of rights", "calls"),
        _c("client_errors", INT, "4xx or a vendor's error, refusals included", "calls"),
        _c("throttled", INT, "429", "calls"),
        _c("server_errors", INT, "5xx", "calls"),
        _c("request_bytes", INT, "client to service", "bytes"),
        _c("response_bytes", INT, "service to client", "bytes"),
        _c("max_response_bytes", INT, "largest answer", "bytes"),
        _c("rows", INT, "rows returned", "rows"),
        _c("active_minutes", INT, "minutes with a call", "minutes"),
        _c("max_in_minute", INT, "most calls in a minute", "calls"),
        _c("first_s", INT, "first call", "s since 1970"),
        _c("last_s", INT, "last call", "s since 1970"),
    ),
    partition="day",
)


def _activity(name: str, row: str, *more: Column) -> Table:
    return Table(name, row, (*_TOKEN_HOUR, *more, _c("requests", INT, "calls", "calls"),
                             _c("response_bytes", INT, "service to client", "bytes")), partition="day")  # fmt: skip


ACTIVITY_NETWORK = _activity(
    "activity_network", "token x hour x network", _c("network_key", INT, "network", required=True)
)
ACTIVITY_CLIENT = _activity(
    "activity_client", "token x hour x program", _c("client_key", INT, "program", required=True)
)
ACTIVITY_OPERATION = _activity(
    "activity_operation",
    "token x hour x operation x outcome",
    _c("operation_key", INT, "operation", required=True),
    _c("outcome", pa.int8(), "1 success, 2 refused, 3 other client error, 4 server error", required=True),
)
_TOKEN_DAY = (
    _c("day", DAY, "UTC day; the partition", required=True),
    _c("token_key", INT, "token", required=True),
)
ACTIVITY_TRANSITION = Table(
    "activity_transition",
    "token x day x operation and the one called before it",
    (
        *_TOKEN_DAY,
        _c("previous_key", INT, "operation called before, on the same day", required=True),
        _c("operation_key", INT, "operation", required=True),
        _c("steps", INT, "how often the one followed the other", "steps"),
        _c("gap_s", INT, "sum of the time between them", "s"),
        _c("squared_gap_s2", INT, "sum of its squares", "s^2"),
        _c("max_gap_s", INT, "longest time between them", "s"),
        _c("paced", INT, "steps of at least 2 s that took as long as the step before, to a tenth", "steps"),
        _c("switched", INT, "steps from one network to another within 10 minutes", "steps"),
    ),
    partition="day",
)
ACTIVITY_SESSION = Table(
    "activity_session",
    "token x day x session: calls no more than 10 minutes apart",
    (
        *_TOKEN_DAY,
        _c("start_s", INT, "first call", "s since 1970", required=True),
        _c("end_s", INT, "last call", "s since 1970"),
        _c("operations", INT, "different operations", "operations"),
        _c("requests", INT, "calls", "calls"),
    ),
    partition="day",
)
ACTIVITY_PAIR = Table(
    "activity_pair",
    "token x day x two operations called in one session",
    (
        *_TOKEN_DAY,
        _c("operation_key", INT, "the operation with the smaller key", required=True),
        _c("other_key", INT, "the operation with the larger key", required=True),
        _c("sessions", INT, "sessions with both; of each, its first 60 operations count", "sessions"),
    ),
    partition="day",
)
ACTIVITY_OBJECT = Table(
    "activity_object",
    "token x day x object",
    (
        *_TOKEN_DAY,
        _c("object_key", INT, "object", required=True),
        _c("sequential", BOOL, "the token touched the object one number below on the same day"),
        _c("requests", INT, "calls", "calls"),
        _c("response_bytes", INT, "service to client", "bytes"),
    ),
    partition="day",
)
SEEN = Table(
    "seen",
    "token x kind x value",
    (
        _c("token_key", INT, "token", required=True),
        _c("kind", STRING, "network, client, operation or object", required=True),
        _c("value_key", INT, "int64 key of the value", required=True),
        _c("first_day", DAY, "first day"),
        _c("last_day", DAY, "last day"),
        _c("days_seen", INT, "days with it", "days"),
        _c("requests", INT, "calls with it", "calls"),
    ),
)

_WINDOW = (
    _c("day", DAY, "UTC day; the partition", required=True),
    _c("profile_uid", STRING, "what has a fingerprint", required=True),
    _c("window", STRING, "hour or day", required=True),
    _c("start", TIME, "start of the window", required=True),
)
FINGERPRINT = Table(
    "fingerprint", "profile x window; one column a feature follows (tokenkit features)", _WINDOW, partition="day"
)
BASELINE = Table(
    "baseline",
    "profile x feature x bin",
    (
        _c("profile_uid", STRING, "profile", required=True),
        _c("window", STRING, "day", required=True),
        _c("feature", STRING, "feature", required=True),
        _c("bin", STRING, "weekday or weekend", required=True),
        _c("location", FLOAT, "level on the log scale; given calls: intercept of a robust fit"),
        _c("scale", FLOAT, "noise on the log scale: m s of docs/method/baseline.md"),
        _c("slope", FLOAT, "how the amount follows the requests; 0 where it does not"),
        _c("n", INT, "windows it was made from", "windows"),
        _c("maturity", STRING, "mature, or young (judged by peers)"),
        _c("start", TIME, "first moment of the reference"),
        _c("end", TIME, "end of the reference, exclusive"),
        _c("version", INT, "1 as learned from the reference, one more for each new normal that was accepted"),
        _c("accepted_by", STRING, "who accepted the newest one; null where none was"),
        _c("accepted_time", TIME, "when that was"),
    ),
)
DEVIATIONS = Table(
    "deviations",
    "profile x window x feature",
    (
        *_WINDOW,
        _c("feature", STRING, "feature", required=True),
        _c("value", FLOAT, "observed"),
        _c("expected", FLOAT, "usual for this profile, given what it did"),
        _c("rz", FLOAT, "robust z, held within 20"),
        _c("tail_probability", FLOAT, "share of the peers' windows at least as far off"),
        _c("bits", FLOAT, "surprise, -log2 of the tail probability", "bits"),
    ),
    partition="day",
)
SCORES = Table(
    "scores",
    "profile x window x channel",
    (
        *_WINDOW,
        _c("channel", STRING, "channel", required=True),
        _c("raw_bits", FLOAT, "the channel's own score", "bits"),
        _c("score_bits", FLOAT, "score, comparable between channels", "bits"),
        _c("threshold_bits", FLOAT, "the day's threshold, of profiles without an accepted change", "bits"),
        _c("parts", STRING, "JSON: feature to bits; the parts add up to score_bits"),
    ),
    partition="day",
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        EVENTS, DIM_TOKEN, DIM_NETWORK, DIM_CLIENT, DIM_OPERATION, DIM_OBJECT, TOKENS,
        ACTIVITY_HOUR, ACTIVITY_NETWORK, ACTIVITY_CLIENT, ACTIVITY_OPERATION, ACTIVITY_TRANSITION, ACTIVITY_SESSION,
        ACTIVITY_PAIR, ACTIVITY_OBJECT, SEEN,
        FINGERPRINT, BASELINE, DEVIATIONS, SCORES,
    )
}  # fmt: skip
