"""Catalogue: what the simulated jobs call, with which clients, and what each job is for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest

# fmt: off
# ---- what can be called: name -> (median response kB, median request kB, noun of the objects or "") ----
GATEWAY = {
    "GET /v1/orders/{id}": (3.2, 0.4, "orders"), "GET /v1/orders": (38.0, 0.4, ""),
    "POST /v1/orders": (1.1, 2.4, ""), "PATCH /v1/orders/{id}": (1.0, 1.2, "orders"),
    "GET /v1/customers/{id}": (2.1, 0.4, "customers"), "GET /v1/customers": (44.0, 0.4, ""),
    "GET /v1/invoices/{id}": (6.5, 0.4, "invoices"), "GET /v1/invoices": (52.0, 0.4, ""),
    "GET /v1/invoices/{id}/pdf": (140.0, 0.4, "invoices"), "POST /v1/invoices/{id}/close": (0.7, 0.8, "invoices"),
    "GET /v1/shipments/{id}": (2.7, 0.4, "shipments"), "GET /v1/shipments": (31.0, 0.4, ""),
    "POST /v1/shipments/{id}/tracking": (0.5, 1.6, "shipments"),
    "GET /v1/shipments/{id}/label": (85.0, 0.4, "shipments"),
    "GET /v1/products/{id}": (4.0, 0.4, "products"), "GET /v1/products": (64.0, 0.4, ""),
    "GET /v1/products/{id}/stock": (0.6, 0.4, "products"), "GET /v1/prices": (27.0, 0.4, ""),
    "POST /v1/events": (0.4, 2.2, ""), "POST /v1/webhooks/{id}/ack": (0.3, 0.6, "webhooks"),
    "GET /v1/webhooks/{id}": (1.3, 0.4, "webhooks"), "GET /v1/payments/{id}": (1.9, 0.4, "payments"),
    "POST /v1/refunds": (0.9, 1.5, ""), "GET /v1/refunds/{id}": (1.2, 0.4, "refunds"),
    "GET /v1/tickets/{id}": (5.0, 0.4, "tickets"), "GET /v1/tickets": (29.0, 0.4, ""),
    "POST /v1/tickets/{id}/notes": (0.6, 1.9, "tickets"), "GET /v1/builds/{id}": (9.0, 0.4, "builds"),
    "POST /v1/builds": (0.9, 3.5, ""), "GET /v1/builds/{id}/logs": (210.0, 0.4, "builds"),
    "POST /v1/deployments": (0.8, 2.8, ""), "GET /v1/deployments/{id}": (3.4, 0.4, "deployments"),
    "GET /v1/reports/{id}": (95.0, 0.4, "reports"), "GET /v1/status": (0.3, 0.3, ""), "GET /v1/me": (0.7, 0.3, ""),
    "GET /v1/users": (36.0, 0.3, ""), "GET /v1/keys": (4.4, 0.3, ""), "GET /v1/exports": (8.0, 0.3, ""),
    "DELETE /v1/webhooks/{id}": (0.2, 0.4, "webhooks"), "GET /v1/regions": (5.5, 0.3, ""),
}
AWS = {  # management events carry no bytes; those that name something have a noun
    "s3 GetObject": (420.0, 0.0, "object"), "s3 PutObject": (0.0, 310.0, "object"),
    "s3 HeadObject": (0.0, 0.0, "object"),
    "s3 DeleteObject": (0.0, 0.0, "object"), "s3 ListObjects": (22.0, 0.0, ""), "s3 ListBuckets": (0.0, 0.0, ""),
    "sts GetCallerIdentity": (0.0, 0.0, ""), "sts AssumeRole": (0.0, 0.0, ""), "kms Decrypt": (0.0, 0.0, ""),
    "kms GenerateDataKey": (0.0, 0.0, ""), "secretsmanager GetSecretValue": (0.0, 0.0, "secret"),
    "ssm GetParameter": (0.0, 0.0, "parameter"), "ec2 DescribeInstances": (0.0, 0.0, ""),
    "ec2 DescribeSecurityGroups": (0.0, 0.0, ""), "ec2 DescribeSubnets": (0.0, 0.0, ""),
    "ec2 DescribeImages": (0.0, 0.0, ""), "iam GetUser": (0.0, 0.0, ""), "iam ListUsers": (0.0, 0.0, ""),
    "iam ListRoles": (0.0, 0.0, ""), "iam GetRole": (0.0, 0.0, "role"), "iam ListAccessKeys": (0.0, 0.0, ""),
    "ecr GetAuthorizationToken": (0.0, 0.0, ""), "ecr BatchGetImage": (0.0, 0.0, "image"),
    "ecr DescribeRepositories": (0.0, 0.0, ""), "cloudformation DescribeStacks": (0.0, 0.0, "stack"),
    "cloudformation ListStacks": (0.0, 0.0, ""), "lambda ListFunctions20150331": (0.0, 0.0, ""),
    "lambda UpdateFunctionCode20150331v2": (0.0, 0.0, "function"), "logs DescribeLogGroups": (0.0, 0.0, ""),
    "logs FilterLogEvents": (0.0, 0.0, ""), "rds DescribeDBInstances": (0.0, 0.0, ""),
    "sqs ListQueues": (0.0, 0.0, ""), "cloudtrail LookupEvents": (0.0, 0.0, ""), "s3 GetBucketAcl": (0.0, 0.0, ""),
}
USUAL = len(GATEWAY) + len(AWS)  # what follows is called by the bench's jobs only, and stands behind
MORE_GATEWAY = {
    "POST /v1/sessions": (1.2, 0.7, ""), "DELETE /v1/sessions/{id}": (0.2, 0.4, "sessions"),
    "GET /v1/feed": (34.0, 0.5, ""), "GET /v1/parcels/{id}": (2.4, 0.5, "parcels"),
    "POST /v1/parcels/{id}/photos": (0.6, 180.0, "parcels"), "PATCH /v1/devices/{id}": (0.4, 0.8, "devices"),
    "POST /v1/devices": (0.6, 1.1, ""), "POST /v1/chat/completions": (5.0, 7.0, ""),
    "POST /v1/embeddings": (48.0, 6.0, ""), "GET /v1/models": (6.0, 0.3, ""),
    "GET /v1/exports/{id}": (900.0, 0.4, "exports"), "POST /v1/exports": (0.6, 0.9, ""),
    "DELETE /v1/exports/{id}": (0.2, 0.4, "exports"), "DELETE /v1/reports/{id}": (0.2, 0.4, "reports"),
    "POST /v1/keys": (1.1, 0.6, ""), "DELETE /v1/keys/{id}": (0.2, 0.4, "keys"),
}
MORE_AWS = {
    "secretsmanager PutSecretValue": (0.0, 0.0, "secret"), "secretsmanager ListSecrets": (0.0, 0.0, ""),
    "iam CreateAccessKey": (0.0, 0.0, ""), "iam UpdateAccessKey": (0.0, 0.0, ""),
    "iam DeleteAccessKey": (0.0, 0.0, ""), "iam CreateRole": (0.0, 0.0, ""),
    "iam AttachRolePolicy": (0.0, 0.0, ""), "iam PutRolePolicy": (0.0, 0.0, ""),
    "iam DeleteRolePolicy": (0.0, 0.0, ""), "iam PassRole": (0.0, 0.0, ""),
    "ec2 AuthorizeSecurityGroupIngress": (0.0, 0.0, ""), "cloudformation UpdateStack": (0.0, 0.0, "stack"),
    "logs DeleteLogGroup": (0.0, 0.0, ""),
}
# fmt: on
COST = {**GATEWAY, **AWS, **MORE_GATEWAY, **MORE_AWS}
ENDPOINTS: tuple[str, ...] = tuple(COST)
ENDPOINT = {name: number for number, name in enumerate(ENDPOINTS)}
LISTINGS = [name for name, (sent, _, noun) in COST.items() if name[:4] == "GET " and sent > 20 and not noun]
WHOAMI = {
    "gateway": ("GET /v1/me", "GET /v1/users", "GET /v1/keys", "GET /v1/exports"),
    "aws": ("sts GetCallerIdentity", "s3 ListBuckets", "iam ListUsers", "iam ListRoles", "iam ListAccessKeys"),
}


# ---- clients: family -> user agent of its n-th version ----
CLIENTS = {
    "boto3": "Boto3/1.34.{a} md/Botocore#1.34.{a} ua/2.0 os/linux#5.15.0-1051-aws md/arch#x86_64 lang/python#3.11.7 "
    "md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.34.{a}",
    "aws-cli": "aws-cli/2.15.{b} Python/3.11.6 Darwin/23.2.0 source/arm64 prompt/off",
    "aws-cli-ci": "aws-cli/2.15.{b} Python/3.11.6 Linux/6.2.0-1018-azure exe/x86_64.ubuntu.22 prompt/off",
    "terraform": "APN/1.0 HashiCorp/1.0 Terraform/1.6.{c} (+https://www.terraform.io) terraform-provider-aws/5.{d}.0 "
    "(+https://registry.terraform.io/providers/hashicorp/aws)",
    "requests": "python-requests/2.{d}.0",
    "okhttp": "okhttp/4.12.{n}",
    "axios": "axios/1.6.{c}",
    "java": "Apache-HttpClient/5.2.{c} (Java/17.0.9)",
    "curl": "curl/8.{c}.0",
    "httpx": "python-httpx/0.{b}.0",
    "job": "{slug}/3.{c}",
    "node": "node-fetch/1.0 (+{slug}/{c}.1)",
}
MORE_CLIENTS = {"app": "{slug}/4.{c}.0 (Android 14; mobile)", "openai": "OpenAI/Python 1.{d}.0"}  # the bench's
RARE_CLIENTS = (
    "HTTPie/3.2.2",
    "PostmanRuntime/7.36.1",
    "insomnia/8.6.1",
    "s5cmd/2.2.2",
    "Wget/1.21.4",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36",
    "aws-sdk-go/1.50.5 (go1.21.6; linux)",
)
STRANGE_CLIENTS = (  # an attacker's
    *("rclone/v1.65.2", "Go-http-client/2.0", "Python/3.10 aiohttp/3.9.1", "python-urllib3/2.0.7"),
    *("libwww-perl/6.72", "Ruby/3.2 faraday/2.9.0"),
)


def user_agent(family: str, version: int, slug: str) -> str:
    """The user agent of a client family's ``version``-th release.

    Examples
    --------
    >>> user_agent("job", 0, "billing-export"), user_agent("okhttp", 3, "")
    ('billing-export/3.2', 'okhttp/4.12.3')
    """
    return (CLIENTS | MORE_CLIENTS)[family].format(
        slug=slug, n=version, a=28 + 3 * version, b=10 + 2 * version, c=2 + version, d=28 + version
    )


# ---- jobs ----
@dataclass(frozen=True)
class Job:
    """A purpose: what its tokens call (name and weight), seldom call, and have never called yet."""

    purpose: str
    archetype: str
    issuer: str
    share: float
    teams: tuple[str, ...]
    calls: dict[str, float]
    seldom: tuple[str, ...]
    untried: tuple[str, ...]
    clients: tuple[str, ...]
    scopes: str
    roles: float = 0.0  # share of its AWS tokens that are roles with session keys
    chain: float = 0.0  # share of the requests that follow from the one before

    @property
    def slug(self) -> str:
        """The purpose as it stands in names.

        Examples
        --------
        >>> JOBS[0].slug
        'nightly-export'
        """
        return self.purpose.lower().replace(" ", "-")


# fmt: off
JOBS = (
    Job("nightly export", "cron", "aws", 0.11, ("data-platform", "finance-systems"),
        {"s3 GetObject": 60, "s3 PutObject": 18, "s3 ListObjects": 8, "kms Decrypt": 5, "sts GetCallerIdentity": 1},
        ("s3 HeadObject", "secretsmanager GetSecretValue"), ("s3 DeleteObject", "ssm GetParameter", "s3 ListBuckets"),
        ("boto3", "job"), "s3:read s3:write"),
    Job("data lake sync", "cron", "aws", 0.08, ("data-platform",),
        {"s3 GetObject": 45, "s3 PutObject": 30, "s3 HeadObject": 14, "s3 ListObjects": 10, "kms GenerateDataKey": 4},
        ("s3 DeleteObject", "ssm GetParameter"), ("logs DescribeLogGroups", "sqs ListQueues"), ("boto3",),
        "s3:read s3:write", 0.3),
    Job("log archive", "cron", "aws", 0.05, ("sre",),
        {"s3 PutObject": 40, "s3 GetObject": 12, "s3 ListObjects": 10, "logs FilterLogEvents": 9},
        ("logs DescribeLogGroups",), ("s3 DeleteObject", "s3 HeadObject"), ("boto3", "job"), "s3:write logs:read"),
    Job("CI build", "ci", "aws", 0.10, ("developer-experience", "sre"),
        {"s3 GetObject": 25, "s3 PutObject": 14, "ecr GetAuthorizationToken": 8, "ecr BatchGetImage": 20,
         "sts GetCallerIdentity": 7, "ssm GetParameter": 9, "cloudformation DescribeStacks": 6},
        ("lambda UpdateFunctionCode20150331v2", "ec2 DescribeImages"),
        ("ecr DescribeRepositories", "iam GetRole", "kms Decrypt"), ("aws-cli-ci", "terraform"), "s3 ecr deploy", 0.45),
    Job("engineer CLI", "human", "aws", 0.11, ("sre", "data-platform", "payments", "growth"),
        {"s3 GetObject": 20, "s3 ListObjects": 14, "ec2 DescribeInstances": 16, "logs FilterLogEvents": 14,
         "sts GetCallerIdentity": 7, "cloudformation DescribeStacks": 7, "ssm GetParameter": 6},
        ("s3 PutObject", "ec2 DescribeSecurityGroups", "rds DescribeDBInstances", "iam GetUser",
         "lambda ListFunctions20150331"),
        ("ec2 DescribeSubnets", "sqs ListQueues", "iam GetRole", "secretsmanager GetSecretValue",
         "logs DescribeLogGroups"),
        ("aws-cli", "terraform"), "power-user"),
    Job("webhook delivery", "webhook", "gateway", 0.11, ("payments", "growth"),
        {"POST /v1/events": 30, "GET /v1/orders/{id}": 35, "GET /v1/customers/{id}": 14,
         "POST /v1/webhooks/{id}/ack": 18},
        ("GET /v1/payments/{id}", "GET /v1/webhooks/{id}"),
        ("GET /v1/refunds/{id}", "GET /v1/status", "GET /v1/regions"),
        ("axios", "node"), "orders:read events:write"),
    Job("order events", "webhook", "gateway", 0.08, ("logistics", "payments"),
        {"GET /v1/orders/{id}": 40, "PATCH /v1/orders/{id}": 16, "GET /v1/payments/{id}": 22, "POST /v1/events": 14},
        ("GET /v1/refunds/{id}", "POST /v1/refunds"), ("GET /v1/shipments/{id}", "GET /v1/status"),
        ("okhttp", "java"), "orders:write payments:read"),
    Job("partner catalogue feed", "partner", "gateway", 0.11, ("partner-success",),
        {"GET /v1/products": 24, "GET /v1/products/{id}": 46, "GET /v1/products/{id}/stock": 22, "GET /v1/prices": 8},
        ("GET /v1/regions",), ("GET /v1/orders", "GET /v1/status", "GET /v1/exports"),
        ("okhttp", "java", "requests", "axios"), "catalogue:read"),
    Job("logistics partner", "partner", "gateway", 0.08, ("logistics", "partner-success"),
        {"GET /v1/shipments": 15, "GET /v1/shipments/{id}": 42, "POST /v1/shipments/{id}/tracking": 26,
         "GET /v1/shipments/{id}/label": 9},
        ("GET /v1/orders/{id}",), ("GET /v1/regions", "GET /v1/status", "GET /v1/customers/{id}"),
        ("java", "requests", "okhttp"), "shipments:write"),
    Job("deployment checks", "ci", "gateway", 0.06, ("developer-experience",),
        {"POST /v1/builds": 12, "GET /v1/builds/{id}": 46, "GET /v1/builds/{id}/logs": 14, "POST /v1/deployments": 6,
         "GET /v1/deployments/{id}": 24, "GET /v1/status": 8},
        ("GET /v1/me",), ("GET /v1/keys", "GET /v1/regions"), ("requests", "curl"), "builds:write"),
    Job("billing close", "cron", "gateway", 0.05, ("finance-systems",),
        {"GET /v1/invoices": 14, "GET /v1/invoices/{id}": 48, "GET /v1/invoices/{id}/pdf": 16,
         "POST /v1/invoices/{id}/close": 14, "GET /v1/customers/{id}": 10},
        ("GET /v1/refunds/{id}",), ("GET /v1/reports/{id}", "GET /v1/payments/{id}"),
        ("job", "httpx"), "invoices:write"),
    Job("support scripts", "human", "gateway", 0.06, ("customer-support", "growth"),
        {"GET /v1/tickets/{id}": 34, "GET /v1/tickets": 12, "POST /v1/tickets/{id}/notes": 9,
         "GET /v1/customers/{id}": 22, "GET /v1/orders/{id}": 20},
        ("GET /v1/customers", "GET /v1/shipments/{id}", "GET /v1/me"),
        ("GET /v1/refunds/{id}", "GET /v1/payments/{id}", "GET /v1/reports/{id}"),
        ("requests", "curl"), "support:read"),
)
MORE_JOBS = (
    Job("customer app", "mobile", "gateway", 0, ("growth", "customer-support"),
        {"POST /v1/sessions": 6, "GET /v1/feed": 16, "GET /v1/parcels/{id}": 42, "GET /v1/orders/{id}": 22,
         "PATCH /v1/devices/{id}": 5, "GET /v1/me": 9},
        ("DELETE /v1/sessions/{id}", "POST /v1/devices"), ("GET /v1/regions", "GET /v1/invoices/{id}"),
        ("app", "okhttp"), "orders:read parcels:read"),
    Job("chat assistant", "llm", "gateway", 0, ("customer-support", "growth"),
        {"POST /v1/chat/completions": 82, "POST /v1/embeddings": 12, "GET /v1/models": 3},
        ("GET /v1/tickets/{id}",), ("GET /v1/customers/{id}", "GET /v1/orders/{id}"),
        ("openai", "node"), "models:use"),
    Job("audit extracts", "dormant", "gateway", 0, ("finance-systems",),
        {"POST /v1/exports": 8, "GET /v1/exports": 10, "GET /v1/exports/{id}": 22, "GET /v1/invoices": 14,
         "GET /v1/users": 4},
        ("DELETE /v1/exports/{id}",), ("GET /v1/keys", "GET /v1/customers"), ("requests", "curl"), "exports:write"),
    Job("secret rotation", "cron", "aws", 0, ("sre",),
        {"secretsmanager ListSecrets": 8, "secretsmanager GetSecretValue": 34, "secretsmanager PutSecretValue": 22,
         "iam ListAccessKeys": 12, "iam CreateAccessKey": 7, "iam DeleteAccessKey": 7, "kms Decrypt": 10},
        ("iam UpdateAccessKey", "iam GetUser"), ("ssm GetParameter", "iam ListUsers"), ("boto3",), "secrets:write iam"),
    Job("driver app", "mobile", "gateway", 0, ("logistics",),
        {"POST /v1/sessions": 4, "GET /v1/parcels/{id}": 40, "POST /v1/shipments/{id}/tracking": 30,
         "POST /v1/parcels/{id}/photos": 14, "PATCH /v1/devices/{id}": 5},
        ("GET /v1/shipments/{id}/label",), ("GET /v1/regions", "GET /v1/status"), ("app",), "parcels:write"),
    Job("document embedding", "llm", "gateway", 0, ("data-platform",),
        {"POST /v1/embeddings": 74, "POST /v1/chat/completions": 10, "GET /v1/exports/{id}": 6, "GET /v1/models": 2},
        ("GET /v1/tickets",), ("GET /v1/reports/{id}",), ("openai", "httpx"), "models:use exports:read"),
    Job("infrastructure rollout", "ci", "aws", 0, ("sre", "developer-experience"),
        {"cloudformation UpdateStack": 8, "cloudformation DescribeStacks": 30, "iam GetRole": 14, "iam CreateRole": 3,
         "iam AttachRolePolicy": 5, "iam PutRolePolicy": 5, "iam PassRole": 6, "ec2 DescribeSecurityGroups": 10,
         "ec2 AuthorizeSecurityGroupIngress": 3, "s3 GetObject": 12, "sts GetCallerIdentity": 6},
        ("iam DeleteRolePolicy", "lambda UpdateFunctionCode20150331v2"), ("logs DeleteLogGroup", "ec2 DescribeImages"),
        ("terraform", "aws-cli-ci"), "iam deploy", 0.5),
    Job("emergency access", "dormant", "aws", 0, ("sre", "payments"),
        {"sts GetCallerIdentity": 8, "ec2 DescribeInstances": 20, "logs FilterLogEvents": 24, "s3 ListObjects": 10,
         "secretsmanager GetSecretValue": 8, "iam GetRole": 6},
        ("iam AttachRolePolicy", "iam CreateAccessKey"), ("s3 DeleteObject", "cloudtrail LookupEvents"),
        ("aws-cli",), "admin"),
    Job("retention clean-up", "cron", "gateway", 0, ("finance-systems", "data-platform"),
        {"GET /v1/exports": 14, "DELETE /v1/exports/{id}": 44, "DELETE /v1/reports/{id}": 26,
         "DELETE /v1/webhooks/{id}": 6},
        ("GET /v1/reports/{id}",), ("GET /v1/status", "DELETE /v1/keys/{id}"), ("job", "httpx"), "exports:delete"),
)
# fmt: on
BENCH_JOBS = tuple(  # in turns, so that a few tokens have most of them
    replace(job, chain=0.6) for pair in zip_longest(JOBS, MORE_JOBS) for job in pair if job
)
