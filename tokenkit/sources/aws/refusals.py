"""Refusals: which error codes of AWS mean that the caller was refused.

Each code stands under the page of AWS that lists it. A service may put ``Client.``, a namespace and ``#`` before it,
and ``Exception`` or ``Error`` behind it; all spellings are one code. A code in no list is refused if its name says so.
"""

import re
from functools import lru_cache

from tokenkit.sources import http

REFUSED = 403
# page of docs.aws.amazon.com: codes by which it says that it does not know the caller, or that the caller has no right
CODES: dict[str, tuple[str, ...]] = {
    "IAM/latest/APIReference/CommonErrors.html": (
        "AccessDenied", "AccessDeniedException", "ExpiredTokenException", "IncompleteSignature",
        "MissingAuthenticationToken", "MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired",
        "RequestExpired", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSignatureException",
    ),
    "awsec2/latest/APIReference/errors-overview.html": (
        "AuthFailure", "Client.UnauthorizedOperation", "UnauthorizedOperation", "Blocked", "PendingVerification",
        "Client.UnauthorizedAccess", "UnauthorizedAccess", "MissingAuthenticationToken", "VpceAccessDenied",
    ),
    "AmazonS3/latest/API/ErrorResponses.html": (
        "AccountProblem", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidPayer", "InvalidSecurity",
        "InvalidToken", "NotSignedUp", "RequestTimeTooSkewed", "TokenRefreshRequired", "AuthorizationHeaderMalformed",
        "AccessPointAccessDenied", "Unauthorized", "UnauthorizedAccessError",
    ),
    "STS/latest/APIReference/CommonErrors.html": (
        "ExpiredTokenException", "IDPRejectedClaim", "InvalidIdentityToken", "RegionDisabledException",
    ),
    "amazondynamodb/latest/developerguide/Programming.Errors.html": (
        "UnrecognizedClientException", "MissingAuthenticationTokenException", "IncompleteSignatureException",
    ),
    "kms/latest/APIReference/CommonErrors.html": ("InvalidGrantTokenException", "InvalidClientToken"),
    "AWSSimpleQueueService/latest/APIReference/API_SendMessage.html": ("KmsAccessDenied", "KMS.AccessDenied"),
    "sns/latest/api/API_Publish.html": ("AuthorizationError", "KMSAccessDenied"),
    "cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html": (
        "NotAuthorizedException", "ForbiddenException", "PasswordResetRequiredException", "UserNotConfirmedException",
    ),
    "singlesignon/latest/OIDCAPIReference/API_CreateToken.html": (
        "UnauthorizedClientException", "InvalidClientException", "InvalidGrantException", "ExpiredTokenException",
    ),
    "singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html": ("UnauthorizedException",),
    "elasticbeanstalk/latest/api/API_CreateApplicationVersion.html": ("InsufficientPrivilegesException",),
    "organizations/latest/APIReference/API_CreateAccount.html": ("AccessDeniedForDependencyException",),
    "codecommit/latest/APIReference/API_GetFile.html": ("EncryptionKeyAccessDeniedException",),
    "redshift/latest/APIReference/API_CreateCluster.html": ("UnauthorizedOperation", "DependentServiceAccessDenied"),
}  # fmt: skip
# the function's own role, not the caller of Invoke, lacks the right: lambda/latest/api/API_Invoke.html
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
