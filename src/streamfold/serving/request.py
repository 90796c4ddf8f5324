"""What the body or the query of a request asks for, or the problem that refuses it. Bad input is a value: nothing raises.

In a query, `include` and `include[]` mean the same: one SDK repeats the one, the other SDK the other. If any other
parameter is given twice, the last one counts. Unknown parameters are ignored.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard
from urllib.parse import parse_qsl

from attrs import field, fields_dict, frozen
from msgspec.json import decode

from streamfold.schema import UNDECODABLE, Complaint, Dialect, check_batch, check_create
from streamfold.serving.reply import MISSING, Problem, invalid

__all__ = [
    "CreateRequest",
    "Fields",
    "PageQuery",
    "RetrieveQuery",
    "is_list",
    "is_obfuscated",
    "is_object",
    "read_batch_create",
    "read_compaction",
    "read_create",
    "read_metadata_update",
    "read_object",
    "read_page_query",
    "read_retrieve_query",
    "read_token_count",
    "value_marks",
]

Fields: TypeAlias = dict[str, Any]
MAX_LIMIT = 100
MAX_CURSOR = 2**53 - 1  # the largest whole number that every JSON reader keeps exactly
MAX_DEPTH = 100  # of lists and objects in each other
# Each list or object takes 60 bytes or more, decoded, but can be sent in three.
MAX_VALUES = 1_000_000
ANY_MODEL = "toy"  # a prompt template has a model of its own, which a server without templates cannot know


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


# The other two are not in the body under their names.
READ_FROM_CREATE = fields_dict(CreateRequest).keys() - {"fields", "include_obfuscation"}
TYPES_READ: Mapping[str, type] = {"stream_events": bool, "webhook_url": str, "webhook_secret": str}
# What `compact` and `input_tokens` read: the input, and what counts towards it.
READ_FROM_INPUT = frozenset({"model", "input", "instructions", "previous_response_id", "conversation", "tools"})
DEFAULT_MAX_CONCURRENCY = 10  # no source states MKA1's; its SDK requires the field in every batch


def read_create(body: bytes, dialect: Dialect) -> CreateRequest | Problem:
    """The create that a body asks for, or the first thing that is wrong with it.

    Unknown fields are kept. A null is the same as a field that was not sent. `model` may be missing beside a `prompt`.
    """
    if isinstance(fields := read_small_object(body), Problem):
        return fields
    if complaint := check_create(fields, dialect):
        return invalid(*complaint)
    # Parameters of another dialect have no rule here, but those that are read must have their types.
    for name, kind in TYPES_READ.items():
        if fields.get(name) is not None and not isinstance(fields[name], kind):
            return invalid(name, f"must be {'true or false' if kind is bool else 'a string'}")
    return _as_request(fields)


def read_compaction(body: bytes, dialect: Dialect) -> CreateRequest | Problem:
    """The conversation that a body asks to compact, as a create of the same input; `model` is required."""
    if isinstance(fields := read_small_object(body), Problem):
        return fields
    if fields.get("model") is None:
        return invalid("model", MISSING)
    return _read_part(fields, dialect)


def read_token_count(body: bytes, dialect: Dialect) -> CreateRequest | Problem:
    """The input whose tokens a body asks to count, as a create of the same input."""
    fields = read_small_object(body)
    return fields if isinstance(fields, Problem) else _read_part(fields, dialect)


def _read_part(fields: Fields, dialect: Dialect) -> CreateRequest | Problem:
    """Fields that mean the same as in a create; nothing is made, so those of another meaning are left out."""
    read = {name: value for name, value in fields.items() if name in READ_FROM_INPUT and value is not None}
    known = {"model": ANY_MODEL, **read}
    if complaint := check_create(known, dialect):
        return invalid(*complaint)
    return _as_request(known)


def _as_request(fields: Fields) -> CreateRequest:
    options: Fields = fields.get("stream_options") or {}
    given: Fields = {"model": ANY_MODEL}
    given |= {name: fields[name] for name in READ_FROM_CREATE if fields.get(name) is not None}
    return CreateRequest(fields=fields, include_obfuscation=options.get("include_obfuscation"), **given)


def read_batch_create(body: bytes, dialect: Dialect) -> Fields | Problem:
    """The batch that a body asks for, with the dialect's defaults filled in, or the first thing that is wrong with it."""
    if isinstance(fields := read_small_object(body), Problem):
        return fields
    if complaint := check_batch(fields, dialect):
        return invalid(*complaint)
    known = {name: fields.get(name) for name in ("input_file_id", "endpoint", "completion_window", "metadata")}
    known["completion_window"] = known["completion_window"] or "24h"
    if dialect.requires_max_concurrency:
        known["max_concurrency"] = fields.get("max_concurrency") or DEFAULT_MAX_CONCURRENCY
    return known


def read_metadata_update(body: bytes, dialect: Dialect) -> dict[str, str] | Problem:
    """The metadata with which an update replaces the old, or what is wrong with it."""
    if isinstance(fields := read_small_object(body), Problem):
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


def read_small_object(body: bytes) -> Fields | Problem:
    """The JSON object that a request's body holds, if it has neither too many values nor is too deep.

    Its size alone does not bound its cost: a body of `[[],[],...]` takes twenty times its size in memory, and code that follows
    values into each other would exhaust the stack.
    """
    if value_marks(body) > MAX_VALUES:
        return Problem(413, f"The body holds more than {MAX_VALUES} values.", code="request_too_large")
    fields = read_object(body)
    # Counting is cheaper than following, and most bodies have fewer brackets than this.
    if isinstance(fields, Problem) or body.count(b"[") + body.count(b"{") <= MAX_DEPTH or not _is_deep(fields):
        return fields
    return Problem(400, f"The body is nested more than {MAX_DEPTH} levels deep.", code="invalid_json")


def value_marks(body: bytes) -> int:
    """At least the number of values in JSON; marks inside strings count as well."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _is_deep(fields: Fields) -> bool:
    level: list[Any] = [fields]
    for _ in range(MAX_DEPTH):
        inside: list[list[Any]] = [list(each.values()) if is_object(each) else each for each in level]
        level = [value for values in inside for value in values if isinstance(value, dict | list)]
        if not level:
            return False
    return True


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


@frozen(kw_only=True)
class RetrieveQuery:
    """How a Response is asked for. starting_after: the cursor, exclusive; None for all events."""

    stream: bool = False
    starting_after: int | None = None
    include: tuple[str, ...] = ()
    include_obfuscation: bool | None = None


@frozen(kw_only=True)
class PageQuery:
    """Which page of a list is asked for.

    after, before: ids of the objects next to it, which are not in it. order: `asc` or `desc`.
    """

    after: str | None = None
    before: str | None = None
    limit: int = 20
    order: str = "desc"
    include: tuple[str, ...] = ()


def read_retrieve_query(query: bytes, dialect: Dialect) -> RetrieveQuery | Problem:
    """What GET .../responses/{id} asks for. Without `stream`, a valid `starting_after` has no effect."""
    given, include = _parse(query)
    text, lowest = given.get("starting_after"), dialect.lowest_starting_after or 0
    cursor = _whole_number("starting_after", text, lowest, MAX_CURSOR) if text else None
    stream, obfuscation = _read_boolean(given, "stream"), _read_boolean(given, "include_obfuscation")
    for each in (_check_include(include, dialect), cursor, stream, obfuscation):
        if isinstance(each, Problem):
            return each
    return RetrieveQuery(
        stream=stream is True,
        starting_after=cursor if isinstance(cursor, int) else None,
        include=include,
        include_obfuscation=obfuscation if isinstance(obfuscation, bool) else None,
    )


def read_page_query(query: bytes, dialect: Dialect) -> PageQuery | Problem:
    """What a GET of a list, or of input_items, asks for."""
    given, include = _parse(query)
    if problem := _check_include(include, dialect):
        return problem
    set_ones = {name: value for name, value in given.items() if value}
    if isinstance(limit := _whole_number("limit", set_ones.get("limit", "20"), 1, MAX_LIMIT), Problem):
        return limit
    order = set_ones.get("order", "desc")
    if order not in ("asc", "desc"):
        return invalid("order", "must be asc or desc")
    return PageQuery(
        after=set_ones.get("after"),
        before=set_ones.get("before"),
        limit=limit,
        order=order,
        include=include,
    )


def _parse(query: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    pairs = parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True)
    include = tuple(value for name, value in pairs if name in ("include", "include[]"))
    return dict(pairs), include


def _check_include(include: tuple[str, ...], dialect: Dialect) -> Problem | None:
    complaint = check_parameter("include", list(include), dialect)
    return invalid(*complaint) if complaint else None


def _whole_number(name: str, text: str, low: int, high: int) -> int | Problem:
    digits = text.removeprefix("-")
    is_whole = digits.isascii() and digits.isdigit() and len(digits) <= len(str(MAX_CURSOR))
    if is_whole and low <= int(text) <= high:
        return int(text)
    shown = f", got {text}" if len(text) <= len(str(MAX_CURSOR)) else ""
    return invalid(name, f"must be a whole number from {low} to {high}{shown}")


def _read_boolean(given: dict[str, str], name: str) -> bool | Problem | None:
    match given.get(name, "").lower():
        case "":
            return None
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            return invalid(name, "must be true or false")
