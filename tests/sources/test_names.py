"""Clients, networks, routes and operations: what a name says without any lookup."""

import pytest

from tokenkit.sources.fields import clients, operations
from tokenkit.sources.fields.sensitive import sensitive_because

STRATUS = "stratus-red-team_11a6ef34-e130-4579-a1d3-79c915cee6ec"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "family", "version"),
    [
        ("Boto3/1.34.2 md/Botocore#1.34.2 ua/2.0 os/linux", "Boto3", "1.34.2"),
        ("[aws-cli/2.15.0 Python/3.11.6 Linux/5.10]", "aws-cli", "2.15.0"),
        ("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488]", "S3Console", "0.4"),
        ("RDS Console, aws-internal/3 aws-sdk-java/1.11.975", "RDS Console", None),
        ("APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) aws-sdk-go/1.44", "Terraform", "1.1.2"),
        (STRATUS, STRATUS, None),
        (f"[{STRATUS}]", STRATUS, None),
        ("secretsmanager.amazonaws.com", "secretsmanager.amazonaws.com", None),
        ("AWS Internal", "AWS Internal", None),
        (CHROME, "Chrome", "126.0"),
        ("Mozilla/", "Mozilla", None),
        ("kubectl v1.28", "kubectl", None),
        ("curl \"x\"/8", "curl \"x\"", "8"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert", None),
        ("(compatible)", "(compatible)", None),
        ("", "unknown", None),
        ("[]", "unknown", None),
        ("/", "/", None),
        ("[masked]", "[masked]", None),
    ],
)  # fmt: skip
def test_a_program_is_its_first_product(agent: str, family: str, version: str | None) -> None:
    assert clients.client(agent) == (family, version)


def test_a_family_is_short_whatever_a_client_sends() -> None:
    family, version = clients.client("x" * 1000 + "/1" + "2" * 1000)
    assert len(family) == 80 and version is not None and len(version) == 40


@pytest.mark.parametrize(
    ("address", "network", "kind"),
    [
        ("203.0.113.77", "203.0.113.0/24", "unknown"),
        ("10.1.2.3", "10.1.2.0/24", "private"),
        ("100.64.1.1", "100.64.1.0/24", "private"),
        ("127.0.0.1", "127.0.0.0/24", "private"),
        ("2001:db8:1:2::3", "2001:db8:1::/48", "unknown"),
        ("fd00::1", "fd00::/48", "private"),
        ("fe80::1%eth0", "fe80::/48", "private"),
        ("::ffff:203.0.113.7", "203.0.113.0/24", "unknown"),
        ("203.0.113.7:51234", "203.0.113.0/24", "unknown"),
        ("[2001:db8::1]:443", "2001:db8::/48", "unknown"),
        ("203.0.113.7, 10.0.0.1", "203.0.113.0/24", "unknown"),
    ],
)
def test_an_address_has_a_network(address: str, network: str, kind: str) -> None:
    found = clients.network(address)
    assert found is not None and found[1:] == (network, kind)


@pytest.mark.parametrize(
    "text", ["AWS Internal", "rds.amazonaws.com", "", "unix:", "1.2.3", "999.1.1.1", "[", "1.2.3.4/24"]
)
def test_what_is_no_address_has_none(text: str) -> None:
    assert clients.network(text) is None


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/orders", "/v1/orders"),
        ("/v1/orders/17", "/v1/orders/{id}"),
        ("/v1.2/orders/order-17", "/v1.2/orders/{id}"),
        ("/api/v1beta1/users/ana@example.com/keys", "/api/v1beta1/users/{id}/keys"),
        ("/v1/customers/cus_9f8a7b6c5d/cards", "/v1/customers/{id}/cards"),
        ("/files/deadbeefcafe", "/files/deadbeefcafe"),  # letters alone may be a word
        ("/files/deadbeef01", "/files/{id}"),
        ("/files/550e8400-e29b-41d4-a716-446655440000", "/files/{id}"),
        ("/days/2026-03-01", "/days/{id}"),
        ("/x/dGhpcyBpcyBhIHRlc3Qx", "/x/{id}"),
        ("/data/part-00012.parquet", "/data/{id}"),
        ("/well-known/openid-configuration", "/well-known/openid-configuration"),
        ("/feature-flags/customer-support", "/feature-flags/customer-support"),
        ("/" + "x" * 65, "/{id}"),
        ("/keys/[masked]/use", "/keys/{id}/use"),
        ("//a//b/", "/a/b"),
    ],
)
def test_a_route_is_a_path_without_ids(path: str, route: str) -> None:
    assert operations.Routes().template(path) == route


@pytest.mark.parametrize(
    ("operation", "sensitive"),
    [
        ("GET /v1/secrets/{id}", True),
        ("POST /v1/users/{id}/api-keys", True),
        ("PUT /v1/users/{id}/roles", True),
        ("GET /v1/users/{id}/roles", False),
        ("DELETE /v1/orders/{id}", True),
        ("GET /v1/orders", False),
        ("GET /v1/keys", True),
        ("POST /v1/webhooks", True),
        ("POST /v1/webhooks/{id}/ack", False),
        ("PutBucketPolicy", True),
        ("GetBucketPolicy", False),
        ("GetBucketPublicAccessBlock", False),
        ("PutBucketPublicAccessBlock", True),
        ("UpdateAssumeRolePolicy", True),
        ("AssumeRole", False),
    ],
)
def test_credentials_secrets_rights_logging_and_deletion_are_sensitive(operation: str, sensitive: bool) -> None:
    assert (sensitive_because(operation) is not None) == sensitive


@pytest.mark.parametrize(
    ("operation", "is_list"),
    [("ListUsers", True), ("DescribeInstances", True), ("GetUser", False), ("GET /v1/orders", True),
     ("GET /v1/orders/{id}", False), ("GET /v1/orders/{id}/items", True), ("POST /v1/orders", False),
     ("GET /v1/me", False)],
)  # fmt: skip
def test_what_lists_is_told_from_what_reads_one(operation: str, is_list: bool) -> None:
    assert operations.lists(operation) == is_list
