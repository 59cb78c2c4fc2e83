"""Model usage: what keys used of models, as OpenAI and Anthropic report it: JSON pages of buckets of time, and CSV.

A row is what one key used of one model in a bucket: the model is the operation, its tokens are ``cost_units``, those of
answers ``rows``, and the number of requests is ``count``, where it is told. Traps: a bucket that is not over grows
until it is, so that it is ignored; the parts of a bucket add up only where the report was asked for by key and model
(``group_by``), and a report by neither is nobody's usage; a bucket of a day stands at its beginning, so ask for hours
(``bucket_width=1h``); reports of cost know projects or workspaces, seldom keys, and are operations of their own, in the
report's currency.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tokenkit.sources import files
from tokenkit.sources.contract import Record
from tokenkit.sources.mapped import Mapping, source
from tokenkit.sources.mapped.computed import first_text, inner, text
from tokenkit.sources.mapped.values import moment
from tokenkit.sources.tabular import ENDINGS

ENDINGS_OF_BOTH = (*ENDINGS["jsonl"], *ENDINGS["csv"])
USED, NOTHING, NOT_OVER = "used", "nothing", "not over"  # what there is of a bucket; the first is a row
OPENAI_MAPPING = Mapping(
    name="openai-usage",
    issuer="openai",
    columns={
        "time": "start_time", "event_uid": "start_time + results", "native_id": "api_key_id",
        "principal": "user_id + project_id", "tenant": "project_id", "service": "object", "operation": "model + object",
        "count": "num_model_requests", "cost_units": "input_tokens + output_tokens",
        "rows": "output_tokens",
    },
    values={"token_kind": "api_key", "token_lifetime": "long_lived", "status": "ok"},
    where={"results": (USED,)},
    decimal=".",
    files=ENDINGS_OF_BOTH,
    unique_ids=True,  # made below of the bucket and of what it is told apart by
)  # fmt: skip
ANTHROPIC_MAPPING = Mapping(
    name="anthropic-usage",
    issuer="anthropic",
    columns={
        "time": "starting_at", "event_uid": "starting_at + results", "native_id": "api_key_id",
        "principal": "account_id + workspace_id", "tenant": "workspace_id", "operation": "model + description",
        "cost_units": "uncached_input_tokens + cache_creation + cache_read_input_tokens + output_tokens",
        "rows": "output_tokens",
    },
    values={"service": "anthropic", "token_kind": "api_key", "token_lifetime": "long_lived", "status": "ok"},
    where={"results": (USED,)},
    decimal=".",
    files=ENDINGS_OF_BOTH,
    unique_ids=True,
)  # fmt: skip
# names of amounts; all else tells the results of one bucket apart
_AMOUNT = re.compile(
    r"tokens|requests|amount|(?<![a-z])count|seconds|characters|images|bytes|sessions|cache_|server_tool_use|cost$"
    r"|^usage_(input|output)|name$|redacted|email"
)
_OPENAI_TOKENS = ("input_tokens", "output_tokens", "input_audio_tokens", "output_audio_tokens")
_ANTHROPIC_TOKENS = re.compile(r"^(uncached_input|cache_read_input|output)_tokens$|^usage_(input|output)_tokens")


def recognises_openai(record: Record) -> bool:
    """Whether a record is a bucket of OpenAI's usage or costs."""
    return {"start_time", "end_time"} <= record.keys() and _results(record) is not None


def recognises_anthropic(record: Record) -> bool:
    """Whether a record is a bucket of Anthropic's usage or cost report."""
    return {"starting_at", "ending_at"} <= record.keys() and _results(record) is not None


def _results(record: Record) -> list[Any] | None:
    results = record.get("results", record.get("result"))
    return results if type(results) is list else None


def openai_fields(record: Record) -> Record | list[Record]:
    """Return the rows of a bucket, or of a CSV's row."""
    return _rows(record, "start_time", "end_time", _openai_row)


def anthropic_fields(record: Record) -> Record | list[Record]:
    """Return the rows of a bucket, or of a CSV's row."""
    return _rows(record, "starting_at", "ending_at", _anthropic_row)


def _rows(record: Record, begin: str, end: str, row: Callable[[Record], Record]) -> Record | list[Record]:
    results = _results(record)
    if results is None:  # of a CSV
        start = first_text(record, begin, f"{begin}_iso", "usage_date_utc")
        its = row(record)
        over = record.get(end) or (f"{start}T23:59:59Z" if start and len(start) == 10 else None)
        return {**its, begin: start, f"{begin} + results": _uid(start, record), "results": _state(its, start, over)}
    parts = [result if type(result) is dict else {} for result in results]
    made = [{**part, **row(part)} for part in parts]
    whole = [
        {
            **its,
            f"{begin} + results": _uid(record.get(begin), part),
            "results": _state(its, record.get(begin), record.get(end)),
        }
        for its, part in zip(made, parts, strict=True)
    ]
    return whole or {"results": NOTHING}


def _uid(start: Any, result: Record) -> str:
    """Return what a result is called by: the beginning of its bucket and all that is no amount."""
    told_apart = {name: value for name, value in sorted(result.items()) if not _AMOUNT.search(name)}
    return hashlib.sha256(files.as_json([start, told_apart])).hexdigest()


def _state(row: Record, start: Any, end: Any) -> str:
    """Return what there is of a bucket; one that begins after now has a wrong clock, and is judged as such later."""
    begins, ends, now = moment(start, ""), moment(end, ""), datetime.now(UTC).timestamp() * 1e6
    if begins is not None and ends is not None and begins <= now < ends:
        return NOT_OVER
    return NOTHING if row.get("num_model_requests") == 0 else USED


def _number(value: Any) -> float:
    """Return an amount; 0 of what is none, as its row has others.

    Examples
    --------
    >>> _number(17), _number("0.5"), _number(None), _number("many"), _number(1e400)
    (17.0, 0.5, 0.0, 0.0, 0.0)
    """
    try:
        number = float(value) if type(value) in (int, float, str) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return number if 0 <= number < 1e15 else 0.0


def _openai_row(result: Record) -> Record:
    """Return model, amount and number of requests of one result; without a model, the kind of usage."""
    kind = re.sub(r"^organization\.(usage\.)?|\.result$", "", text(result.get("object")) or "")
    cost = inner(result, "amount").get("value", result.get("amount_value"))
    # audio tokens are among the others
    tokens = sum(_number(result.get(name)) for name in _OPENAI_TOKENS[:2]) or sum(
        _number(result.get(name)) for name in _OPENAI_TOKENS[2:]
    )
    others = (_number(result.get(name)) for name in ("images", "characters", "seconds", "num_sessions", "usage_bytes"))
    requests = result.get("num_model_requests")
    return {
        "api_key_id": text(result.get("api_key_id")),
        "user_id + project_id": first_text(result, "user_id", "project_id"),
        "object": f"openai {kind}" if kind else "openai",
        "model + object": _cost_of(result, "line_item")
        if cost is not None
        else text(result.get("model")) or kind or "usage",
        "input_tokens + output_tokens": _number(cost)
        if cost is not None
        else tokens or next(filter(None, others), 0.0),
        "output_tokens": None if cost is not None else _number(result.get("output_tokens")),
        "num_model_requests": int(_number(requests)) if requests is not None else None,
    }


def _anthropic_row(result: Record) -> Record:
    cost = result.get("amount")
    tokens = sum(_number(value) for name, value in result.items() if _ANTHROPIC_TOKENS.search(name))
    tokens += sum(_number(value) for value in inner(result, "cache_creation").values())
    model = first_text(result, "model", "model_version")
    output = result.get("output_tokens", result.get("usage_output_tokens"))
    return {
        "api_key_id": first_text(result, "api_key_id", "api_key"),
        "account_id + workspace_id": first_text(
            result, "account_id", "service_account_id", "workspace_id", "workspace"
        ),
        "workspace_id": first_text(result, "workspace_id", "workspace"),
        "output_tokens": None if cost is not None else _number(output),
        "model + description": _cost_of(result, "description") if cost is not None else model or "usage",
        "uncached_input_tokens + cache_creation + cache_read_input_tokens + output_tokens": _number(cost)
        if cost is not None
        else tokens,
    }


def _cost_of(result: Record, name: str) -> str:
    return f"cost of {text(result.get(name)) or 'everything'}"


OPENAI = source(
    OPENAI_MAPPING, "OpenAI usage and costs by key, JSON pages or CSV", recognises=recognises_openai,
    fields=openai_fields, header=("start_time", "end_time", "api_key_id"),
)  # fmt: skip
ANTHROPIC = source(
    ANTHROPIC_MAPPING, "Anthropic usage and cost reports by key, JSON pages or CSV", recognises=recognises_anthropic,
    fields=anthropic_fields, header=("usage_date_utc", "model_version"),
)  # fmt: skip
