"""What the body of a create asks for, or the problem that refuses it. Nothing here raises: bad input is a value."""

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard

from attrs import field, frozen
from msgspec.json import decode

from streamfold.schema import UNDECODABLE, Complaint, Dialect, check_batch, check_create
from streamfold.serving.reply import MISSING, Problem, invalid

__all__ = [
    "BatchRequest",
    "CreateRequest",
    "Fields",
    "check_parameter",
    "is_list",
    "is_obfuscated",
    "is_object",
    "read_batch_create",
    "read_create",
    "read_metadata_update",
]

Fields: TypeAlias = dict[str, Any]


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a value decoded from JSON is an object; unlike isinstance, typed down to its keys."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether a value decoded from JSON is a list."""
    return isinstance(value, list)


@frozen(kw_only=True)
class CreateRequest:
    """A valid create, with the dialect's defaults filled in.

    fields: the whole body as it was sent, unknown fields too. include_obfuscation: what `stream_options` ask for; None
    if they do not say.
    """

    fields: Mapping[str, Any] = field(repr=False)
    model: str
    input: str | list[Any] | None = field(default=None, repr=False)
    stream: bool = False
    background: bool = False
    store: bool = True
    stream_events: bool = False
    include_obfuscation: bool | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    previous_response_id: str | None = None
    max_output_tokens: int | None = None


@frozen(kw_only=True)
class BatchRequest:
    """A valid batch, with the dialect's defaults filled in. fields: the whole body as it was sent."""

    fields: Mapping[str, Any] = field(repr=False)
    input_file_id: str
    endpoint: str
    completion_window: str = "24h"
    metadata: Mapping[str, str] | None = None
    max_concurrency: int | None = None


DEFAULT_MAX_CONCURRENCY = 10  # no source states MKA1's; its SDK requires the field in every batch


def read_create(body: bytes, dialect: Dialect) -> CreateRequest | Problem:
    """The create that a body asks for, or the first thing that is wrong with it.

    Unknown fields are kept. A null is the same as a field that was not sent.
    """
    fields = read_object(body)
    if isinstance(fields, Problem):
        return fields
    if complaint := check_create(fields, dialect):
        return invalid(*complaint)
    given = {name: value for name, value in fields.items() if value is not None}
    return CreateRequest(
        fields=fields,
        model=given["model"],
        input=given.get("input"),
        stream=given.get("stream", False),
        background=given.get("background", False),
        store=given.get("store", True),
        stream_events=given.get("stream_events", False),
        include_obfuscation=given.get("stream_options", {}).get("include_obfuscation"),
        webhook_url=given.get("webhook_url"),
        webhook_secret=given.get("webhook_secret"),
        previous_response_id=given.get("previous_response_id"),
        max_output_tokens=given.get("max_output_tokens"),
    )


def read_batch_create(body: bytes, dialect: Dialect) -> BatchRequest | Problem:
    """The batch that a body asks for, or the first thing that is wrong with it."""
    fields = read_object(body)
    if isinstance(fields, Problem):
        return fields
    if complaint := check_batch(fields, dialect):
        return invalid(*complaint)
    limit = fields.get("max_concurrency")
    return BatchRequest(
        fields=fields,
        input_file_id=fields["input_file_id"],
        endpoint=fields["endpoint"],
        completion_window=fields.get("completion_window") or "24h",
        metadata=fields.get("metadata"),
        max_concurrency=limit or DEFAULT_MAX_CONCURRENCY if dialect.requires_max_concurrency else None,
    )


def read_metadata_update(body: bytes, dialect: Dialect) -> dict[str, str] | Problem:
    """The metadata with which an update replaces the old, or what is wrong with it."""
    fields = read_object(body)
    if isinstance(fields, Problem):
        return fields
    if fields.get("metadata") is None:
        return invalid("metadata", MISSING)
    if complaint := check_parameter("metadata", fields["metadata"], dialect):
        return invalid(*complaint)
    pairs: dict[str, str] = fields["metadata"]
    return pairs


def read_object(body: bytes) -> Fields | Problem:
    """The JSON object that a body holds."""
    try:
        fields: Any = decode(body)
    except UNDECODABLE as error:
        return Problem(400, f"The body is not valid JSON: {error}.", code="invalid_json")
    if not is_object(fields):
        return Problem(400, "The body must be a JSON object.", code="invalid_json")
    return fields


def check_parameter(name: str, value: Any, dialect: Dialect) -> Complaint | None:
    """What is wrong with one parameter of a create that is sent in another call."""
    return check_create({"model": "any", name: value}, dialect)


def is_obfuscated(request: CreateRequest, asked: bool | None, dialect: Dialect) -> bool:
    """Whether deltas carry padding: as the call asks, else as the create did, else as the dialect does.

    OpenAI's background streams were recorded without any.
    """
    for wish in (asked, request.include_obfuscation):
        if wish is not None:
            return wish
    return bool(dialect.obfuscates_by_default) and not request.background
