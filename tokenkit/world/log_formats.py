"""Raw logs: simulated requests written as CloudTrail, NGINX and HAProxy would have written them, and the inventory.

Reads  EVENT rows sorted by log and time, and the Organisation that their numbers point into.
Writes logs/cloudtrail/, logs/gateway/ and inventory.csv; the truth about attacks never passes through here.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tokenkit.world.catalogue import COST, ENDPOINTS
from tokenkit.world.draws import Array
from tokenkit.world.organisation import DAY, HAPROXY, NGINX, TRAILS, Credential, Organisation, Token


def write_logs(logs: Path, events: Array, org: Organisation, progress: Callable[[int], None]) -> None:
    """Write every log, one day at a time; ``progress`` is told the day.

    Parameters
    ----------
    logs : Path
        Folder, made if absent.
    events : array of EVENT, sorted by ``log`` and ``time``
    org : Organisation
    progress : callable(int)
    """
    edges = np.searchsorted(events["log"], np.arange(len(TRAILS) + 3))
    identities = [identity(credential, org) for credential in org.credentials]
    agents = [orjson.dumps(client).decode() for client in org.clients]
    late: dict[int, list[str]] = {}
    for day in range(org.days):
        for log in range(len(TRAILS) + 2):
            rows = events[edges[log] : edges[log + 1]]
            lower, noon, upper = np.searchsorted(rows["time"], org.begin + day * DAY + np.array([0, DAY // 2, DAY]))
            when = org.start + timedelta(days=day)
            if log == NGINX:
                path = logs / "gateway" / "nginx" / f"access-{when}.jsonl.gz"
                pack(path, "".join(nginx_lines(rows[lower:upper], org, agents)))
            elif log == HAPROXY:
                path = logs / "gateway" / "haproxy" / f"haproxy-{when}.jsonl"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes("".join(haproxy_lines(rows[lower:upper], org, agents)).encode())
            else:
                for clock, part in (("1200Z", rows[lower:noon]), ("2355Z", rows[noon:upper])):
                    records = list(cloudtrail_records(part, org, identities, agents, TRAILS[log]))
                    repeated = [record for record, twice in zip(records, part["again"].tolist(), strict=True) if twice]
                    records += late.pop(log, [])
                    late[log] = repeated  # delivered again with the next file
                    path = trail_path(logs, TRAILS[log], when, clock, org.seed)
                    pack(path, '{"Records":[' + ",".join(records) + "]}")
        write_digest(logs, when, org.seed)
        progress(day)


def pack(path: Path, text: str) -> None:
    """Write a gzip file whose bytes depend on the text alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=5, mtime=0))


def suffix(*parts: object) -> str:
    """Sixteen letters and digits, as CloudTrail appends them to a file's name."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:16]


def trail_path(logs: Path, trail: tuple[str, str], when: date, clock: str, seed: int) -> Path:
    """Where CloudTrail would have put a file."""
    account, region = trail
    name = f"{account}_CloudTrail_{region}_{when:%Y%m%d}T{clock}_{suffix(seed, account, region, when, clock)}.json.gz"
    return logs / "cloudtrail" / "AWSLogs" / account / "CloudTrail" / region / f"{when:%Y/%m/%d}" / name


def write_digest(logs: Path, when: date, seed: int) -> None:
    """A digest file: no records, to be ignored by whoever reads the logs."""
    account, region = TRAILS[0]
    digest = {
        "awsAccountId": account,
        "digestStartTime": f"{when}T00:00:00Z",
        "digestEndTime": f"{when}T23:59:59Z",
        "digestS3Bucket": "org-audit-trail",
        "digestPublicKeyFingerprint": suffix(seed, "key") * 2,
        "digestSignatureAlgorithm": "SHA256withRSA",
        "logFiles": [],
    }
    folder = logs / "cloudtrail" / "AWSLogs" / account / "CloudTrail-Digest" / region / f"{when:%Y/%m/%d}"
    name = f"{account}_CloudTrail-Digest_{region}_org-trail_{region}_{when:%Y%m%d}T235500Z.json.gz"
    pack(folder / name, json.dumps(digest))


# ---- CloudTrail ----
def identity(credential: Credential, org: Organisation) -> str:
    """The ``userIdentity`` of a credential, as JSON."""
    if credential.token < 0:
        return json.dumps({"type": "AWSService", "invokedBy": credential.session}, separators=(",", ":"))
    token = org.tokens[credential.token]
    if token.log >= len(TRAILS):
        return ""
    account = TRAILS[token.log][0]
    unique = hashlib.sha256(f"{org.seed}{token.name}".encode()).hexdigest()[:17].upper()
    if not token.is_role:
        fields: dict[str, Any] = {
            "type": "IAMUser",
            "principalId": f"AIDA{unique}",
            "arn": f"arn:aws:iam::{account}:user/{token.name}",
            "accountId": account,
            "accessKeyId": credential.key,
            "userName": token.name,
        }
    else:
        created = datetime.fromtimestamp(credential.created // 1000, UTC)
        fields = {
            "type": "AssumedRole",
            "principalId": f"AROA{unique}:{credential.session}",
            "arn": f"arn:aws:sts::{account}:assumed-role/{token.name}/{credential.session}",
            "accountId": account,
            "accessKeyId": credential.key,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": f"AROA{unique}",
                    "arn": f"arn:aws:iam::{account}:role/{token.name}",
                    "accountId": account,
                    "userName": token.name,
                },
                "webIdFederationData": {},
                "attributes": {"creationDate": f"{created:%Y-%m-%dT%H:%M:%SZ}", "mfaAuthenticated": "false"},
            },
        }
    return json.dumps(fields, separators=(",", ":"))


# fmt: off
PARAMETERS = {  # request parameters of management events; the others log null
    "ec2 DescribeInstances": '{"instancesSet":{},"filterSet":{}}',
    "sts AssumeRole": '{"roleSessionName":"service","durationSeconds":3600}',
    "secretsmanager GetSecretValue": '{"secretId":"app/credentials-%d"}',
    "ssm GetParameter": '{"name":"/app/parameter-%d","withDecryption":true}',
    "iam GetRole": '{"roleName":"app-role-%d"}',
    "ecr BatchGetImage": '{"repositoryName":"service-%d","imageIds":[{"imageTag":"main"}]}',
    "cloudformation DescribeStacks": '{"stackName":"stack-%d"}',
    "lambda UpdateFunctionCode20150331v2": '{"functionName":"function-%d","dryRun":false}',
    "s3 GetBucketAcl": '{"bucketName":"org-audit-trail","acl":""}',
}
# fmt: on
READS = ("Get", "List", "Describe", "Head", "Lookup", "Filter", "BatchGet", "AssumeRole", "Decrypt", "GenerateDataKey")
ERRORS = {
    400: "ValidationException",
    403: "AccessDenied",
    404: "NoSuchKey",
    429: "ThrottlingException",
    503: "SlowDown",
}


def is_data(call: str) -> bool:
    """Whether CloudTrail logs a call as a data event, with bytes and the object.

    Examples
    --------
    >>> is_data("s3 GetObject"), is_data("s3 ListBuckets"), is_data("GET /v1/orders")
    (True, False, False)
    """
    return call.startswith("s3 ") and call not in ("s3 ListBuckets", "s3 GetBucketAcl")


def is_numbered(call: str) -> bool:
    """Whether the log of a call names an object by its number."""
    return COST[call][2] == "object" or "{id}" in call


def object_names(rows: Array, org: Organisation) -> Iterator[str]:
    """The object of each event whose call ``is_numbered``, as its log names it: ARN or path."""
    parts = [call.split(" ")[1] for call in ENDPOINTS]
    for log, number, endpoint, thing in zip(
        *(rows[name].tolist() for name in ("log", "token", "endpoint", "object")), strict=True
    ):
        if log < len(TRAILS):
            token = org.tokens[number]
            yield f"arn:aws:s3:::{token.bucket}/{object_key(token, thing, org.start)}"
        else:
            yield parts[endpoint].replace("{id}", str(thing))


def object_key(token: Token, thing: int, start: date) -> str:
    """Where in its bucket a token's object lies: by the day on which it was new."""
    when = start + timedelta(days=int((thing - token.first) // token.pace))
    return f"{token.folder}/{when.year:04d}/{when.month:02d}/{when.day:02d}/part-{thing:07d}.parquet"


def cloudtrail_records(
    rows: Array, org: Organisation, identities: list[str], agents: list[str], trail: tuple[str, str]
) -> Iterator[str]:
    """Each event as the JSON of a CloudTrail record."""
    account, region = trail
    times = np.datetime_as_string(rows["time"].astype("M8[ms]").astype("M8[s]")).tolist()
    names = ("credential", "token", "endpoint", "object", "address", "client", "status", "sent", "received")
    columns = [rows[name].tolist() for name in names]
    for clock, credential, number, endpoint, thing, where, client, status, sent, received, (high, low) in zip(
        times, *columns, rows["uid"].tolist(), strict=True
    ):
        call = ENDPOINTS[endpoint]
        service, operation = call.split(" ")
        code, error, resources, extra = f"{high:016x}{low:016x}", "", "", ""
        data = is_data(call)
        agent = f'"[{agents[client][1:-1]}]"' if service == "s3" and number >= 0 else agents[client]
        parameters = PARAMETERS.get(call, "null")
        if "%d" in parameters:
            parameters = parameters % (thing % 40)
        if status >= 400:
            name = "ThrottlingException" if status == 503 and not data else ERRORS[status]
            name = "ResourceNotFoundException" if status == 404 and not data else name
            error = f'"errorCode":"{name}","errorMessage":"{name}: the request was not fulfilled",'
        if data:
            token = org.tokens[number]
            bucket = token.bucket
            host = f'"bucketName":"{bucket}","Host":"{bucket}.s3.{region}.amazonaws.com"'
            if operation == "ListObjects":
                parameters = f'{{"list-type":"2",{host},"prefix":"{token.folder}/","max-keys":"1000"}}'
                resources = (
                    f'"resources":[{{"type":"AWS::S3::Object","ARNPrefix":"arn:aws:s3:::{bucket}/{token.folder}/"}},'
                )
            else:
                key = object_key(token, thing, org.start)
                parameters = f'{{{host},"key":"{key}"}}'
                resources = f'"resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{bucket}/{key}"}},'
            resources += f'{{"accountId":"{account}","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{bucket}"}}],'
            point = ".0" if low % 8 == 0 else ""  # now and then AWS writes the numbers as floats
            extra = (
                '"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"ECDHE-RSA-AES128-GCM-SHA256",'
                f'"bytesTransferredIn":{received}{point},"AuthenticationMethod":"AuthHeader","bytesTransferredOut":{sent}{point}}},'
            )
        yield (
            f'{{"eventVersion":"1.09","userIdentity":{identities[credential]},"eventTime":"{clock}Z",'
            f'"eventSource":"{service}.amazonaws.com","eventName":"{operation}","awsRegion":"{region}",'
            f'"sourceIPAddress":"{org.addresses[where]}","userAgent":{agent},{error}"requestParameters":{parameters},'
            f'"responseElements":null,{extra}"requestID":"{code[16:32].upper()}",'
            f'"eventID":"{code[:8]}-{code[8:12]}-4{code[13:16]}-a{code[17:20]}-{code[20:]}",'
            f'"readOnly":{"true" if operation.startswith(READS) else "false"},{resources}"eventType":"AwsApiCall",'
            f'"managementEvent":{"false" if data else "true"},"recipientAccountId":"{account}",'
            f'"eventCategory":"{"Data" if data else "Management"}",'
            f'"tlsDetails":{{"tlsVersion":"TLSv1.3","clientProvidedHostHeader":"{service}.{region}.amazonaws.com"}}}}'
        )


# ---- gateways ----
def requests(rows: Array) -> Iterator[tuple[str, str, int]]:
    """Method, path and the low half of the id of each gateway event."""
    parts = [(*call.split(" "), COST[call][2]) for call in ENDPOINTS]
    for endpoint, thing, page, (_, low) in zip(
        rows["endpoint"].tolist(), rows["object"].tolist(), rows["page"].tolist(), rows["uid"].tolist(), strict=True
    ):
        method, path, noun = parts[endpoint]
        if noun:
            path = path.replace("{id}", str(thing))
            yield method, f"{path}?expand=lines" if low % 32 == 0 and method == "GET" else path, low
        else:
            yield method, f"{path}?page={page}&page_size=100" if page else path, low


def nginx_lines(rows: Array, org: Organisation, agents: list[str]) -> Iterator[str]:
    """Each event as a line of NGINX's JSON access log."""
    names = ("time", "credential", "address", "client", "status", "sent", "received", "latency")
    columns = [rows[name].tolist() for name in names]
    for time, credential, where, client, status, sent, received, latency, (high, low), (method, path, _) in zip(
        *columns, rows["uid"].tolist(), requests(rows), strict=True
    ):
        yield (
            f'{{"request_id":"{high:016x}{low:016x}","msec":{time // 1000}.{time % 1000:03d},'
            f'"remote_addr":"{org.addresses[where]}",'
            f'"request_method":"{method}","uri":"{path}","status":{status},"bytes_sent":{sent},"request_length":{received},'
            f'"request_time":{latency / 1000:.3f},"http_user_agent":{agents[client]},'
            f'"api_key_id":"{org.credentials[credential].key}"}}\n'
        )


def haproxy_lines(rows: Array, org: Organisation, agents: list[str]) -> Iterator[str]:
    """Each event as a line of HAProxy's JSON log."""
    names = ("time", "credential", "address", "client", "status", "sent", "received", "latency")
    columns = [rows[name].tolist() for name in names]
    for time, credential, where, client, status, sent, received, latency, (method, path, _) in zip(
        *columns, requests(rows), strict=True
    ):
        yield (
            f'{{"ts_ms":{time},"key_hmac":"{org.credentials[credential].key}","action":"allow","src_ip":"{org.addresses[where]}",'
            f'"method":"{method}","path":"{path}","status":{status},"bytes_out":{sent},"bytes_in":{received},'
            f'"latency_ms":{latency:.0f},"ua":{agents[client]}}}\n'
        )
