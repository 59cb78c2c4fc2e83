"""Okta: the System Log, JSON from its API, an export or a stream.

A credential is the API token by whose id Okta says that it was used (``transaction.detail.requestApiTokenId``); what
people do without one is theirs, in a session. Traps: of a sign-in under a name that nobody has, the actor's name is
what was typed, perhaps a password, and is not kept; a reason stands beside successes, too; ``dtHash`` tells devices
apart and is kept as the program that calls, where no client of OAuth is named.
"""

from typing import Any

from tokenkit.sources.contract import Record
from tokenkit.sources.mapped import Mapping, source
from tokenkit.sources.mapped.computed import first_text, inner, text
from tokenkit.sources.tabular import ENDINGS

MAPPING = Mapping(
    name="okta-log",
    issuer="okta",
    columns={
        "time": "published", "event_uid": "uuid", "native_id": "transaction.detail.requestApiTokenId",
        "principal": "actor.alternateId + actor.id", "session": "authenticationContext.externalSessionId",
        "app": "client.id + debugContext.debugData.dtHash", "src_ip": "client.ipAddress",
        "src_country": "client.geographicalContext.country", "src_asn": "securityContext.asNumber",
        "user_agent": "client.userAgent.rawUserAgent", "operation": "eventType", "resource": "target.id",
        "resource_type": "target.type", "status": "outcome.result", "error": "outcome.reason",
        "denied": "outcome.result + eventType",
    },
    values={"service": "okta", "token_kind": "okta_api_token", "token_lifetime": "long_lived"},
    files=ENDINGS["jsonl"],
    unique_ids=True,  # Okta's own id of the entry
)  # fmt: skip
FAILED = ("FAILURE", "DENY")
# where a failure is a refusal, whatever its reason is called
SIGNING_IN = ("user.session.start", "user.session.access", "user.authentication.", "user.mfa.", "app.oauth2.",
              "user.account.access_super_user")  # fmt: skip
NOBODY = ("", "unknown")


def recognises(record: Record) -> bool:
    """Whether a record is an entry of the System Log."""
    return {"eventType", "published", "actor", "outcome"} <= record.keys() and "uuid" in record


def fields(record: Record) -> Record:
    """Return what is made of several fields of an entry."""
    actor, client, outcome = inner(record, "actor"), inner(record, "client"), inner(record, "outcome")
    result, event = text(outcome.get("result")), text(record.get("eventType")) or ""
    actor_id = text(actor.get("id"))
    is_known = actor_id is not None and actor_id.lower() not in NOBODY
    country = text(inner(client, "geographicalContext").get("country"))
    target = _object(record.get("target"), actor_id)
    refused = result == "DENY" or (result == "FAILURE" and event.startswith(SIGNING_IN))
    return {
        "actor.alternateId + actor.id": first_text(actor, "alternateId", "id") if is_known else None,
        "client.id + debugContext.debugData.dtHash": text(client.get("id"))
        or text(inner(record, "debugContext", "debugData").get("dtHash")),
        "client.geographicalContext.country": country if country and len(country) == 2 else None,
        "target.id": first_text(target, "id", "alternateId"),
        "target.type": text(target.get("type")),
        "outcome.reason": text(outcome.get("reason")) if result in FAILED else None,
        "outcome.result + eventType": True if refused else None,
    }


def _object(targets: Any, actor_id: str | None) -> Record:
    """Return the first target that is not the actor; of a sign-in there is no other."""
    objects = [target for target in targets if type(target) is dict] if type(targets) is list else []
    others = [target for target in objects if text(target.get("id")) != actor_id]
    return next(iter(others or objects), {})


SOURCE = source(MAPPING, "Okta System Log, JSON", recognises=recognises, fields=fields)
