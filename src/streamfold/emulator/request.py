"""What a client asks for, read from the body of a create, or the Problem that refuses it.

In      the bytes of a request body, and the Dialect that is spoken
Out     CreateRequest, BatchRequest, metadata, or a Problem that names the field
Errors  none: what a client sends wrong is a value
Source  docs/reference/emulator.md
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import field, frozen
from msgspec.json import decode

from streamfold.emulator.value import is_object
from streamfold.schema import UNDECODABLE, Complaint, Dialect, check_batch, check_create

__all__ = [
    "BatchRequest",
    "CreateRequest",
    "Fields",
    "Problem",
    "read_batch_create",
    "read_create",
    "read_metadata_update",
]

Fields: TypeAlias = dict[str, Any]


@frozen
class Problem:
    """Why a request is refused.

    status: the HTTP status. message: one sentence. param: the field it is about, as the API spells it.
    """

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    type: str = "invalid_request_error"


@frozen(kw_only=True)
class CreateRequest:
    """A create that may run, with the dialect's defaults filled in.

    fields: the whole body as it was sent, unknown fields too. All others are what the body, or its default, says.
    include_obfuscation: what stream_options ask for; None where they say nothing.
    """

    fields: Mapping[str, Any]
    model: str
    input: str | list[Any] | None = None
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
    """A batch that may run, with the dialect's defaults filled in. fields: the whole body as it was sent."""

    fields: Mapping[str, Any]
    input_file_id: str
    endpoint: str
    completion_window: str = "24h"
    metadata: Mapping[str, str] | None = None
    max_concurrency: int | None = None


MISSING = "is required"
DEFAULT_MAX_CONCURRENCY = 10  # no source states MKA1's; its SDK requires the field in every batch


def read_create(body: bytes, dialect: Dialect) -> CreateRequest | Problem:
    """The create that a body asks for, or the first thing that is wrong with it.

    A field that no rule knows passes and is kept; null is the same as not given. Never raises.
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
    """The batch that a body asks for, or the first thing that is wrong with it. Never raises."""
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
    """The metadata that an update of a Response puts in the place of the old, or what is wrong. Never raises."""
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
    """The JSON object that a body holds, or what it is instead."""
    try:
        fields: Any = decode(body)
    except UNDECODABLE as error:
        return Problem(400, f"The body is no JSON: {error}.", code="invalid_json")
    if not is_object(fields):
        return Problem(400, "The body must be a JSON object.", code="invalid_json")
    return fields


def check_parameter(name: str, value: Any, dialect: Dialect) -> Complaint | None:
    """What is wrong with one parameter of a create, where it is sent in another call."""
    return check_create({"model": "any", name: value}, dialect)


def invalid(param: str, reason: str) -> Problem:
    """The Problem with a field."""
    code = "missing_required_parameter" if reason == MISSING else "invalid_value"
    return Problem(400, f"{param} {reason}.", param, code)
