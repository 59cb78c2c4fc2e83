"""Operations: what a call does, and whether it lists; and routes, which are paths without ids."""

import re

CREATE, READ, UPDATE, DELETE, UNKNOWN, OTHER = 1, 2, 3, 4, 0, 99

_VERBS = (
    (READ, "Get List Describe Head Lookup Search Query Scan Select BatchGet Check View Test Simulate Validate Estimate "
           "Filter Discover Preview Detect Decrypt Verify Download"),
    (DELETE, "Delete Remove Terminate Deregister Release Revoke Destroy Purge Cancel Reject ScheduleKeyDeletion "
             "BatchDelete EndSecretVersionDelete StartSecretVersionDelete"),
    (UPDATE, "Update Put Modify Set Change Attach Detach Associate Disassociate Enable Disable Add Apply Tag Untag "
             "Reset Stop Reboot Replace Rotate Authorize Restore Move Complete Accept Switch Increase Decrease Assign "
             "Unassign"),
    (CREATE, "Create Run Allocate Register Import Copy Start Issue Generate Upload Send Publish Request Launch Invoke "
             "Assume Initiate Export Batch Encrypt ReEncrypt Sign"),
)  # fmt: skip
_ACTIVITY = {verb: activity for activity, verbs in _VERBS for verb in verbs.split()}
_VERB = re.compile(
    r"^(?:BatchGet|BatchDelete|ReEncrypt|ScheduleKeyDeletion|(?:Start|End)SecretVersionDelete|[A-Z][a-z]*)"
)
_METHODS = {"GET": READ, "HEAD": READ, "POST": CREATE, "PUT": UPDATE, "PATCH": UPDATE, "DELETE": DELETE}
_OTHER_METHODS = {"OPTIONS", "CONNECT", "TRACE", "PROPFIND", "PURGE"}

_LISTS = re.compile(r"^(List|Describe|Scan|Search|Lookup)|^Get\w*List$|^Get(Account)?AuthorizationDetails$"
                    r"|^(impersonate: )?list |^[\w.]+/list$")  # fmt: skip
_COLLECTION = re.compile(r"^(GET|HEAD) .*/([a-z0-9_-]*[a-rt-z0-9]s|list|search|export)$", re.IGNORECASE)


def activity_of_name(name: str) -> int:
    """Return what a call of that name does, by its first word; 0 where the word is not known.

    Examples
    --------
    >>> activity_of_name("ListUsers"), activity_of_name("CreateAccessKey"), activity_of_name("ConsoleLogin")
    (2, 1, 0)
    """
    verb = _VERB.match(name)
    return _ACTIVITY.get(verb.group(), UNKNOWN) if verb else UNKNOWN


def activity_of_method(method: str) -> int:
    """Return what an HTTP method does."""
    return _METHODS.get(method, OTHER)


def known_method(method: str | None) -> str:
    """Return the method in capitals; an invented one is OTHER, so that a scanner cannot fill the lake with names.

    Examples
    --------
    >>> known_method("get"), known_method("<BADREQ>"), known_method(None)
    ('GET', 'OTHER', 'OTHER')
    """
    upper = (method or "").upper()
    return upper if upper in _METHODS or upper in _OTHER_METHODS else "OTHER"


def lists(operation: str) -> bool:
    """Whether a call lists or describes rather than reads one thing.

    Examples
    --------
    >>> lists("DescribeInstances"), lists("GET /v1/orders"), lists("GET /v1/orders/{id}"), lists("GET /v1/status")
    (True, True, False, False)
    """
    if _LISTS.search(operation):
        return True
    return bool(_COLLECTION.search(operation)) and not operation.endswith("/status")


MAX_SEGMENTS = 8
_VERSION = re.compile(r"^v\d{1,3}(?:\.\d{1,3}){0,2}(?:(?:alpha|beta|rc)\d{0,2})?$", re.IGNORECASE)
_ID = re.compile(
    r"^[+-]?\d[\d.,:_-]*$"  # numbers, dates, addresses
    r"|^\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?$"
    r"|^(?:0x)?(?=[a-f]*\d)[0-9a-f]{8,}$|^[0-9a-f]{16,}$"
    r"|^[^@/\s]+@[^@/\s]+$"
    r"|^[a-z]{1,12}[-_:]\d+$|^[a-z]{1,12}[-_:](?=[a-z]*\d)[0-9a-z]{6,}$"  # order-17, cus_9f8a7b6c
    r"|^(?=.*\d)(?=.*[a-z])[\w=+.~-]{20,}$"  # long and mixed
    r"|^[\w.-]*\d[\w.-]*\.[a-z]{2,8}$"  # part-00012.parquet
    r"|\[masked\]",
    re.IGNORECASE,
)
_MIXED = re.compile(r"^(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])(?=\D*\d)[\w=+~-]{10,}$")


def is_id(segment: str) -> bool:
    """Whether a path segment is an id rather than a word.

    Examples
    --------
    >>> [s for s in ("17", "v1", "deadbeef01", "orders", "a@b.c", "aGVsbG8gd29ybGQ5") if is_id(s)]
    ['17', 'deadbeef01', 'a@b.c', 'aGVsbG8gd29ybGQ5']
    """
    if len(segment) > 64:
        return True
    if _VERSION.match(segment):
        return False
    return bool(_ID.search(segment) or _MIXED.match(segment))


class Routes:
    """Turns paths into templates; each distinct segment is looked at once."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def template(self, path: str) -> str:
        """Return the path with ids replaced by ``{id}`` and at most eight segments.

        Examples
        --------
        >>> Routes().template("/v1/orders/17/items"), Routes().template("")
        ('/v1/orders/{id}/items', '/')
        """
        segments = [part for part in path.split("/") if part]
        longer = len(segments) > MAX_SEGMENTS
        replacements = self._seen
        parts = []
        for segment in segments[:MAX_SEGMENTS]:
            replacement = replacements.get(segment)
            if replacement is None:
                replacement = replacements[segment] = "{id}" if is_id(segment) else segment
            parts.append(replacement)
        return "/" + "/".join(parts) + ("/..." if longer else "")
