"""AWS ids: what the first four letters of an id say, and which role a session is of.

Prefixes: docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
"""

import re

Kind = tuple[str, str, int]  # kind, lifetime, OCSF token type

BEARER: Kind = ("aws_bearer", "unknown", 7)
OTHER_KEY: Kind = ("aws_access_key", "unknown", 7)
PRINCIPAL: Kind = ("principal", "unknown", 0)
# prefix: what it is of, and kind, lifetime and OCSF token type of a call that names it as its credential
PREFIXES: dict[str, tuple[str, Kind]] = {
    "AKIA": ("access key of a user", ("aws_access_key", "long_lived", 7)),
    "ASIA": ("temporary key of STS", ("aws_session", "session", 99)),
    "ABIA": ("bearer token of STS for one service", ("aws_bearer", "session", 99)),
    "ACCA": ("credential for one service", ("aws_service_credential", "long_lived", 7)),
    "APKA": ("public key", ("aws_public_key", "long_lived", 7)),
    "ASCA": ("certificate", ("aws_certificate", "long_lived", 99)),
    "AIDA": ("user", PRINCIPAL),
    "AROA": ("role", PRINCIPAL),
    "AGPA": ("group of users", PRINCIPAL),
    "AIPA": ("instance profile", PRINCIPAL),
}
_ID = re.compile(rf"(?:{'|'.join(PREFIXES)})[A-Z0-9]{{12,124}}")
_SESSION = re.compile(r"(arn:aws[a-z-]*):sts::(\d*):assumed-role/([^/]+)(?:/.*)?", re.DOTALL)
_OF_ROLE_ID = re.compile(r"(AROA[A-Z0-9]{12,124}):.+", re.DOTALL)


def kind_of(native_id: str) -> Kind | None:
    """Return kind, lifetime and OCSF token type of an id of AWS or an ARN, or None where it is neither.

    Examples
    --------
    >>> kind_of("ASIAIOSFODNN7EXAMPLE"), kind_of("AROAIOSFODNN7EXAMPLE"), kind_of("ASIA-team")
    (('aws_session', 'session', 99), ('principal', 'unknown', 0), None)
    """
    if native_id.startswith("arn:aws"):
        return PRINCIPAL
    # of a session's principal id, AROA...:name, the role's counts
    return PREFIXES[native_id[:4]][1] if _ID.fullmatch(native_id.split(":", 1)[0]) else None


def role_of(principal: str | None) -> str | None:
    """Return the role of a session: by the session's ARN, else by its principal id; None where it is no session.

    Of the ARN the role's path is missing. It does not count: a role's name is unique in its account, and
    ``identity.token_uid`` leaves the path out.

    Examples
    --------
    >>> role_of("arn:aws:sts::111122223333:assumed-role/nightly/i-0abc")
    'arn:aws:iam::111122223333:role/nightly'
    >>> role_of("AROAIOSFODNN7EXAMPLE:etl"), role_of("arn:aws:iam::111122223333:user/ana"), role_of(None)
    ('AROAIOSFODNN7EXAMPLE', None, None)
    """
    if not principal:
        return None
    if session := _SESSION.fullmatch(principal):
        partition, account, name = session.groups()
        return f"{partition}:iam::{account}:role/{name}"
    of_role = _OF_ROLE_ID.fullmatch(principal)
    return of_role.group(1) if of_role else None
