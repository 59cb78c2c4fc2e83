"""Scopes beside calls: named is what no call has a word of, and nothing is said of what has no thing in its name."""

import pytest

from tokenkit.tokens import scopes


@pytest.mark.parametrize(
    ("granted", "calls", "expected"),
    [
        ("orders:read, orders:write; billing:write", ["GET /v1/orders/{id}"], ["billing:write"]),
        ("s3:GetObject sqs:SendMessage", ["s3.amazonaws.com", "GetObject"], ["sqs:SendMessage"]),
        ("admin read:all orders:read", ["GET /v1/orders"], []),
        ("customers.readonly", ["GET /v1/customer/{id}"], []),
        ("read:packages", ["packages.package_version_published"], []),
        ("invoiceLines:read customers:read", ["GET /v1/invoices/{id}"], ["customers:read"]),
        ("companies:read boxes:write addresses:read", ["GET /company/{id}", "PUT /box", "GET /v1/address/{id}"], []),
        ("AmazonDynamoDBFullAccess AmazonSQSFullAccess", ["dynamodb.amazonaws.com"], ["AmazonSQSFullAccess"]),
        ("s3:GetObject sqs:SendMessage", ["GET /s/{id}", "sqs"], ["s3:GetObject"]),
        ("support:read", ["GET /v1/tickets"], []),
        ("openid profile email", ["GET /v1/orders"], []),
        ("", ["GET /v1/orders"], []),
    ],
)  # fmt: skip
def test_scopes_that_no_call_has_a_word_of_are_named(granted: str, calls: list[str], expected: list[str]) -> None:
    assert scopes.unused(granted, calls) == expected


def test_a_scope_of_another_language_or_a_number_is_kept_out_of_it() -> None:
    assert scopes.unused("заказы 12:34 ***", ["GET /v1/orders"]) == []
