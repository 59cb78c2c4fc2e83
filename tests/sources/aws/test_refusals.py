"""Which codes of AWS mean that the caller was refused."""

import pytest

from tokenkit.sources.aws import refusals


@pytest.mark.parametrize("code", sorted({code for codes in refusals.CODES.values() for code in codes}))
@pytest.mark.parametrize("spelling", ["{}", "Client.{}", "com.amazonaws.service#{}", "{}:http://internal"])
def test_every_listed_code_is_a_refusal_in_every_spelling(code: str, spelling: str) -> None:
    assert refusals.status_of_error(spelling.format(code.removeprefix("Client."))) == 403


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("NoSuchKey", 400), ("ValidationException", 400), ("InvalidParameterValue", 400), ("ResourceNotFound", 400),
        ("MethodNotAllowed", 400), ("InvalidObjectState", 400), ("ConditionalCheckFailedException", 400),
        ("InsufficientCapabilitiesException", 400), ("AuthorizationAlreadyExists", 400),
        ("ThrottlingException", 429), ("Client.RequestLimitExceeded", 429), ("InternalFailure", 500),
        ("ServiceUnavailable", 500), ("", 400),
    ],
)  # fmt: skip
def test_other_failures_are_no_refusals(code: str, status: int) -> None:
    assert refusals.status_of_error(code) == status


def test_what_a_function_was_refused_its_caller_was_not() -> None:
    for code in refusals.NOT_THE_CALLER:
        assert refusals.status_of_error(code, "lambda.amazonaws.com") == 500
        assert refusals.status_of_error(code, "sns.amazonaws.com") == 403
