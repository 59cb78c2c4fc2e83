"""Recognition: whether a file, or a record of it, is of CloudTrail, and which records of it are no calls."""

from itertools import islice
from pathlib import Path
from typing import Any

from tokenkit.sources import files, wrappers
from tokenkit.sources.aws import exports, shapes
from tokenkit.sources.contract import Record

DIGEST_FILE, INSIGHT, AGGREGATED = "cloudtrail digest file", "cloudtrail insight event", "cloudtrail aggregated event"
CONTROL = "cloudwatch control message"
HEAD_PIECES = 50  # that are looked at to tell what a file is


def recognises(record: Record) -> bool:
    """Whether this is a CloudTrail record, a document without any, or a digest; what wraps one is told by the file."""
    return record.get("Records") == [] or is_digest(record) or is_of_cloudtrail(record)


def holds_records(value: Any) -> bool:
    """Whether this is a CloudTrail record, or what wraps some."""
    return (type(value) is dict and recognises(value)) or any(map(is_of_cloudtrail, shapes.unwrap(value)[:10]))


def is_of_cloudtrail(record: Any) -> bool:
    """Whether this is one record of CloudTrail, a call or a summary."""
    if type(record) is not dict:
        return False
    names = {name.lower() for name in record}
    return names >= {"eventsource", "eventname", "eventtime"} or rule_of(record) in (INSIGHT, AGGREGATED)


def recognises_file(path: Path) -> bool:
    """Whether a file whose first record says nothing is CloudTrail: an array, joined records, a table of columns."""
    if exports.is_table(path):
        return exports.is_cloudtrail(path)
    return is_of_aws(path) or is_shipped(path)


def is_of_aws(path: Path) -> bool:
    """Whether a file begins with records, or with what AWS wraps them in."""
    head = files.Reader(path).head(files.HEADS[-1])
    return any(holds_records(piece.value) for piece in islice(shapes.pieces(head), HEAD_PIECES) if not piece.reason)


def is_shipped(path: Path) -> bool:
    """Whether a file has records that a log shipper wrapped: in syslog, a container's log, an index, ..."""
    return wrappers.is_json(path) and any(map(holds_records, wrappers.first_records(path, holds_records)))


def is_digest(document: Any) -> bool:
    """Whether a document is a digest: a signed list of log files, no log."""
    return isinstance(document, dict) and "digestStartTime" in document and "Records" not in document


def rule_of(record: Record) -> str:
    """Return the rule by which a record is no call of the log: a summary of calls, or a message of the carrier."""
    category = record.get("eventCategory")
    type_ = record.get("eventType")
    if category == "Insight" or type_ == "AwsCloudTrailInsight" or "insightDetails" in record:
        return INSIGHT
    if category == "Aggregated" or type_ == "AwsAggregatedEvent":
        return AGGREGATED
    return CONTROL if record.get("messageType") == "CONTROL_MESSAGE" else ""
