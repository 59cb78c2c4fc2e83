"""Refusals: which error codes of AWS mean that the caller was refused.

They were gathered by service. ``AuthFailure``, ``Blocked``, ``MissingAuthenticationToken``, ``OptInRequired`` and
``PendingVerification`` stand on EC2's page of error codes (docs.aws.amazon.com/AWSEC2/latest/APIReference/
errors-overview.html, 2026-11-30); the others were not looked up one by one. A service may put ``Client.``, a namespace
and ``#`` before a code, and ``Exception`` or ``Error`` behind it; all spellings are one code. A code in no list is
refused if its name says so.
"""

import re
from functools import lru_cache

from tokenkit.sources import http

REFUSED = 403
# service: codes by which it says that it does not know the caller, or that the caller has no right
CODES: dict[str, tuple[str, ...]] = {
    "every service": (
        "AccessDenied", "AccessDeniedException", "ExpiredTokenException", "IncompleteSignature",
        "MissingAuthenticationToken", "MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired",
        "RequestExpired", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSignatureException",
    ),
    "EC2": (
        "AuthFailure", "Client.UnauthorizedOperation", "UnauthorizedOperation", "Blocked", "PendingVerification",
        "Client.UnauthorizedAccess", "UnauthorizedAccess", "MissingAuthenticationToken", "VpceAccessDenied",
    ),
    "S3": (
        "AccountProblem", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidPayer", "InvalidSecurity",
        "InvalidToken", "NotSignedUp", "RequestTimeTooSkewed", "TokenRefreshRequired", "AuthorizationHeaderMalformed",
        "AccessPointAccessDenied", "Unauthorized", "UnauthorizedAccessError",
    ),
    "STS": (
        "ExpiredTokenException", "IDPRejectedClaim", "InvalidIdentityToken", "RegionDisabledException",
    ),
    "DynamoDB": (
        "UnrecognizedClientException", "MissingAuthenticationTokenException", "IncompleteSignatureException",
    ),
    "KMS": ("InvalidGrantTokenException", "InvalidClientToken"),
    "SQS": ("KmsAccessDenied", "KMS.AccessDenied"),
    "SNS": ("AuthorizationError", "KMSAccessDenied"),
    "Cognito": (
        "NotAuthorizedException", "ForbiddenException", "PasswordResetRequiredException", "UserNotConfirmedException",
    ),
    "Identity Center, signing in": (
        "UnauthorizedClientException", "InvalidClientException", "InvalidGrantException", "ExpiredTokenException",
    ),
    "Identity Center, roles": ("UnauthorizedException",),
    "Elastic Beanstalk": ("InsufficientPrivilegesException",),
    "Organizations": ("AccessDeniedForDependencyException",),
    "CodeCommit": ("EncryptionKeyAccessDeniedException",),
    "Redshift": ("UnauthorizedOperation", "DependentServiceAccessDenied"),
}  # fmt: skip
# the function's own role, not the caller of Invoke, lacks the right
NOT_THE_CALLER = ("KMSAccessDeniedException", "EC2AccessDeniedException")
_LAMBDA = "lambda.amazonaws.com"


def _plain(code: str) -> str:
    code = code.rsplit("#", 1)[-1].split(":", 1)[0].strip().lower()
    code = re.sub(r"^(client|server)\.", "", code)
    return re.sub(r"(exception|error|fault)$", "", code).replace(".", "")


_REFUSED = frozenset(_plain(code) for codes in CODES.values() for code in codes)
_NOT_THE_CALLER = frozenset(map(_plain, NOT_THE_CALLER))


@lru_cache(maxsize=10_000)
def status_of_error(code: str, service: str | None = None) -> int:
    """Return the HTTP status that an error code of AWS means: 403 refused, 429 throttled, 500 AWS's own, else 400.

    Parameters
    ----------
    code : str
    service : str, optional
        ``eventSource``: of Lambda two codes say that the function was refused something, not its caller.

    Examples
    --------
    >>> codes = ("Client.UnauthorizedAccess", "com.amazonaws.kms#AccessDeniedException", "ExpiredToken", "NoSuchKey")
    >>> [status_of_error(code) for code in codes]
    [403, 403, 403, 400]
    >>> status_of_error("KMSAccessDeniedException", "lambda.amazonaws.com")
    500
    """
    plain = _plain(code)
    if service == _LAMBDA and plain in _NOT_THE_CALLER:
        return 500
    return REFUSED if plain in _REFUSED else http.status_of_error(code)
