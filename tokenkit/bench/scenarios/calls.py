"""Calls that an attacker would make with a token, written as the token's own log would write them.

Reads  events (``scenario.COLUMNS``). Writes nothing.
A log names calls by route ("GET /v1/orders/{id}") or by operation ("ListUsers"). Calls that others of the organisation
make are preferred to calls that are only plausible.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tokenkit.bench.scenarios.scenario import SIZES, Setting, with_columns
from tokenkit.sources.fields import normalise, operations


class Call(NamedTuple):
    """A service and what is called of it."""

    service: str
    operation: str


_ROUTE = re.compile(r"^[A-Z]+ /")
_BASE = re.compile(r"^[A-Z]+ ((?:/[a-z][a-z0-9-]*)?/v\d+)/")
AWS = ".amazonaws.com"

# purpose: names as in a cloud's trail, routes as of a gateway
NAMES: dict[str, str] = {
    "identity": "sts GetCallerIdentity, iam ListUsers, iam ListRoles, iam ListAccessKeys, s3 ListBuckets, iam GetUser",
    "list": "iam ListUsers, iam ListRoles, iam ListGroups, iam ListPolicies, iam ListAccessKeys, iam"
    " ListInstanceProfiles, s3 ListBuckets, ec2 DescribeInstances, ec2 DescribeVpcs, ec2 DescribeSubnets,"
    " ec2 DescribeSecurityGroups, ec2 DescribeVolumes, ec2 DescribeSnapshots, ec2 DescribeImages, ec2"
    " DescribeRegions, ec2 DescribeKeyPairs, ec2 DescribeRouteTables, ec2 DescribeNatGateways, rds"
    " DescribeDBInstances, rds DescribeDBSnapshots, lambda ListFunctions20150331, dynamodb ListTables, sqs"
    " ListQueues, sns ListTopics, kms ListKeys, kms ListAliases, secretsmanager ListSecrets, ssm"
    " DescribeParameters, ecr DescribeRepositories, ecs ListClusters, eks ListClusters, cloudformation"
    " ListStacks, cloudtrail DescribeTrails, logs DescribeLogGroups, route53 ListHostedZones,"
    " organizations ListAccounts, guardduty ListDetectors, config DescribeConfigRules, elasticache"
    " DescribeCacheClusters, redshift DescribeClusters, athena ListWorkGroups, glue GetDatabases, batch"
    " DescribeJobQueues, ses ListIdentities",
    "secret": "secretsmanager GetSecretValue, ssm GetParameter",
    "mint": "iam CreateAccessKey, iam CreateLoginProfile, iam CreateServiceSpecificCredential, iam UploadSSHPublicKey",
    "rights": "iam AttachUserPolicy, iam PutUserPolicy, iam CreatePolicyVersion, iam AddUserToGroup, iam PutRolePolicy,"
    " iam AttachRolePolicy, iam UpdateAssumeRolePolicy, iam CreateUser, s3 PutBucketPolicy",
    "audit": "cloudtrail StopLogging, cloudtrail DeleteTrail, cloudtrail PutEventSelectors, ec2 DeleteFlowLogs,"
    " guardduty DeleteDetector, logs DeleteLogGroup",
    "delete": "s3 DeleteObject, rds DeleteDBInstance, ec2 DeleteSnapshot",
    "compute": "bedrock InvokeModel, bedrock InvokeModelWithResponseStream, ec2 RunInstances",
}
_NOUNS = (
    "users keys exports roles members teams projects webhooks accounts groups policies tokens sessions settings"
    " integrations reports invoices orders customers payments products refunds shipments tickets contracts documents"
    " files subscriptions plans coupons devices locations audit-logs jobs queues templates campaigns contacts leads"
    " regions services"
)
ROUTES: dict[str, str] = {
    "identity": "GET /me, GET /users, GET /keys, GET /exports, GET /accounts",
    "list": ", ".join(f"GET /{noun}" for noun in _NOUNS.split()),
    "secret": "GET /secrets/{id}, GET /credentials/{id}",
    "mint": "POST /keys, POST /tokens, POST /credentials, POST /service-accounts/{id}/keys",
    "rights": "PUT /roles/{id}, POST /members, PUT /policies/{id}, POST /grants, PATCH /members/{id}",
    "audit": "PUT /logging, DELETE /audit-logs/{id}, DELETE /webhooks/{id}, PUT /audit, DELETE /jobs/{id}",
    "delete": "DELETE /exports/{id}",
    "compute": "POST /chat/completions, POST /completions, POST /embeddings",
    "refresh": "POST /oauth/token",
}


def logs_routes(events: pd.DataFrame) -> bool:
    """Return whether most calls in the token's log are named by route."""
    called = events["operation"].value_counts()  # few are distinct
    routes = [bool(_ROUTE.match(one)) for one in called.index]
    return bool(called[routes].sum() > called.sum() / 2)


def called_before(events: pd.DataFrame) -> set[tuple[str, str]]:
    """Return service and operation of all calls that the token made."""
    return set(events[["service", "operation"]].drop_duplicates().itertuples(index=False, name=None))


def plausible_calls(events: pd.DataFrame, purpose: str) -> list[Call]:
    """Return calls of a purpose (a key of ``NAMES`` or ``ROUTES``) as the token's log would name them."""
    own = str(events["service"].mode().get(0, ""))
    if logs_routes(events):
        base = _base(events["operation"].value_counts())
        routes = [one.split(" ", 1) for one in ROUTES.get(purpose, "").split(", ") if one]
        return [Call(own, f"{method} {base}{path}") for method, path in routes]
    named = [one.split(" ", 1) for one in NAMES.get(purpose, "").split(", ") if one]
    return [Call(service + AWS if own.endswith(AWS) else own, name) for service, name in named]


def _base(called: pd.Series) -> str:
    """Return what most routes begin with, such as "/v1"; ``called`` counts the operations."""
    found = [_BASE.match(one) for one in called.index]
    counts = called.groupby([match.group(1) if match else None for match in found]).sum()
    return str(counts.sort_index().idxmax()) if len(counts) else ""


def unused_calls(events: pd.DataFrame, setting: Setting, purpose: str, n: int) -> list[Call]:
    """Return one to ``n`` calls of a purpose that the token never made; first those that others make."""
    known = called_before(events)
    others = list(zip(setting.operations["service"], setting.operations["operation"], strict=True))
    wanted = plausible_calls(events, purpose)
    fresh = [call for call in wanted if call not in known]
    if purpose == "list":
        routes = logs_routes(events)
        lists = setting.operations["is_list"].fillna(False).to_numpy(dtype=bool)
        same = [bool(_ROUTE.match(operation)) == routes for _, operation in others]
        theirs = [Call(*call) for call, a, b in zip(others, lists, same, strict=True) if a and b and call not in known]
        fresh = list(dict.fromkeys([*theirs, *fresh]))
    made_by_others = set(others)
    setting.rng.shuffle(fresh)
    fresh.sort(key=lambda call: call not in made_by_others)
    return (fresh or wanted)[:n]


def as_calls(rows: pd.DataFrame, calls: Sequence[Call], events: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the rows as successful ``calls``, each in turn, as the token's log would write them.

    A route with an id has a random object. Sizes are those of a small answer (2 kB, a listing 20 kB) where the log
    records sizes for nearly all calls, else unknown.
    """
    which = np.arange(len(rows)) % len(calls)
    service = np.array([call.service or None for call in calls], dtype=object)[which]
    operation = np.array([call.operation for call in calls], dtype=object)[which]
    parts = [re.match(r"^([A-Z]+) (/.*)$", call.operation) for call in calls]
    acts = [
        operations.activity_of_method(part.group(1)) if part else operations.activity_of_name(call.operation)
        for part, call in zip(parts, calls, strict=True)
    ]
    methods = [part.group(1) if part else None for part in parts]
    numbers = rng.integers(1_000, 900_000, len(rows))
    paths: list[str | None] = []
    for w, number in zip(which.tolist(), numbers.tolist(), strict=True):
        part = parts[w]
        paths.append(part.group(2).replace("{id}", str(number)) if part else None)
    with_id = [path if "{id}" in word else None for path, word in zip(paths, operation, strict=True)]
    called = with_columns(
        rows, service=service, operation=operation, operation_key=0, activity_id=np.array(acts)[which],
        http_method=np.array(methods, dtype=object)[which], url_path=paths, resource_uid=with_id, resource_type=None,
        object_key=0,
    )  # fmt: skip
    listed = np.array([operations.lists(call.operation) for call in calls])[which]
    usual: dict[str, Any] = {
        "request_bytes": 400.0,
        "response_bytes": np.where(listed, 2e4, 2e3),
        "rows": np.where(listed, 50.0, 1.0),
    }
    said = events[list(SIZES)].notna().groupby(events["operation"]).any().mean() > 0.9
    known = np.isin(service, events["service"].dropna().unique()) | bool(parts[0])
    sizes = {}
    for column in SIZES:
        size = np.round(usual[column] * rng.lognormal(0.0, 0.3, len(rows)))
        sizes[column] = pd.Series(size, rows.index).where(known & said[column])
    return with_status(with_columns(called, **sizes), 200)


REFUSALS = {400: "ValidationException", 401: "ExpiredToken", 403: "AccessDenied", 404: "NoSuchKey",
            503: "ServiceUnavailable"}  # fmt: skip


def with_status(rows: pd.DataFrame, status: int | Sequence[int], code: str | None = None) -> pd.DataFrame:
    """Return the rows with these HTTP statuses, as the log of each row would write them; a refusal has few bytes.

    Parameters
    ----------
    code : the error code of the service; None for the usual one of the status
    """
    statuses = np.broadcast_to(np.asarray(status), len(rows))
    failed = statuses >= 400
    routes = rows["operation"].str.match(_ROUTE).to_numpy(dtype=bool)
    codes: list[str | None] = []
    for one, route in zip(statuses.tolist(), routes.tolist(), strict=True):
        said = str(one) if route else REFUSALS.get(one, "InternalError") if one >= 400 else None
        codes.append(code if code and one >= 400 else said)
    http = pd.array(np.where(routes | failed, statuses, -1), dtype="Int16")
    http[~(routes | failed)] = pd.NA
    sizes: dict[str, Any] = {
        "response_bytes": rows["response_bytes"].mask(failed, rows["response_bytes"].clip(upper=300)),
        "rows": rows["rows"].mask(failed, rows["rows"].clip(upper=0)),
    }
    return with_columns(
        rows, http_status=http, status_id=np.where(failed, 2, 1), status_code=codes,
        is_denied=np.isin(statuses, (401, 403)), **sizes,
    )  # fmt: skip


# ---- objects ----
def is_numbered_read(events: pd.DataFrame) -> np.ndarray:
    """Return which events read an object whose id has a number (bool array)."""
    read = (events["activity_id"] == operations.READ).to_numpy(dtype=bool, na_value=False)
    return read & events["resource_uid"].astype("str").str.contains("[0-9]", na=False).to_numpy(dtype=bool)


def numbered_reads(events: pd.DataFrame) -> pd.DataFrame:
    """Return the successful reads of an object whose id has a number."""
    return events[is_numbered_read(events) & (events["status_id"] == 1).to_numpy(dtype=bool, na_value=False)]


def with_number(resource: str, number: int) -> str:
    """Return the resource with another last number, padded to the same width.

    Examples
    --------
    >>> with_number("/v1/orders/17/items", 18), with_number("a/part-00009.parquet", 10)
    ('/v1/orders/18/items', 'a/part-00010.parquet')
    """
    found = normalise.LAST_NUMBER.match(resource)
    assert found, f"no number in {resource!r}"
    before, digits, after = found.groups()
    return f"{before or ''}{str(number).zfill(len(digits))}{after}"


def last_number(resource: str) -> int:
    """Return the last number of a resource.

    Examples
    --------
    >>> last_number("/v1/orders/17/items")
    17
    """
    found = normalise.LAST_NUMBER.match(resource)
    assert found, f"no number in {resource!r}"
    return int(found.group(2))


def on_objects(rows: pd.DataFrame, resources: Sequence[str]) -> pd.DataFrame:
    """Return the rows on these objects, one each; of a route the path changes too."""
    names = np.array(resources, dtype=object)
    route = rows["operation"].str.match(_ROUTE).to_numpy(dtype=bool)
    paths = np.where(route, names, rows["url_path"].astype(object))
    return with_columns(rows, resource_uid=names, url_path=paths, object_key=0)


def older_objects(rows: pd.DataFrame, events: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """Return for each row an object of the same kind that the token never touched, with a lower number if possible."""
    known = set(events["resource_uid"].dropna())
    numbers = [last_number(resource) for resource in known if re.search("[0-9]", resource)]
    span = min(max(max(numbers, default=0) - min(numbers, default=0), 1_000, 4 * len(rows)), 10**9)
    out = []
    for resource in rows["resource_uid"]:
        number = last_number(resource)
        while True:
            step = int(rng.integers(1, 2 * span))
            found = with_number(resource, number - step if number > step else number + step)
            if found not in known:
                break
        known.add(found)
        out.append(found)
    return out
