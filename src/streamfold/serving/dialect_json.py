"""An event or a Response as a dialect sends it: JSON that its SDK decodes typed.

The `shape_` functions work on decoded fields, in which an `error` event is flat. The `translate_` functions work on
bytes; from a dialect to itself they return the very bytes that they were given. What each SDK requires is in
docs/reference/dialects.md.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.json import encode

from streamfold.schema import Dialect
from streamfold.serving.reply import Problem
from streamfold.serving.request import Fields, is_object, read_object

__all__ = [
    "event_data",
    "output_text",
    "shape_event",
    "shape_response",
    "translate_event",
    "translate_response",
    "usage_of",
]

PADDING_BLOCK = 16  # a delta and its padding fill whole blocks, so that their length does not reveal the text's
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
PADDING = LETTERS * 2
ONLY_SHOWN_BY_MKA1 = ("args", "function_call_output")

# The values of required keys that a Response does not have.
FILLINGS: Mapping[str, Any] = {
    "object": "response",
    "status": "in_progress",
    "background": False,
    "metadata": {},
    "output": [],
    "parallel_tool_calls": True,
    "store": True,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "truncation": "auto",
}


def event_data(fields: Fields, *, sequence_number: int, dialect: Dialect, obfuscation: bool) -> bytes:
    """The event's JSON, as the data of one frame.

    Args:
        fields: The event, `type` among them; a `sequence_number` among them is replaced.
        sequence_number: Written right after the type.
        dialect: Whose shape it gets.
        obfuscation: Whether a delta carries padding.
    """
    shaped = shape_event(fields, dialect)
    if obfuscation and isinstance(delta := fields.get("delta"), str):
        start = sequence_number % len(LETTERS)
        padding = PADDING[start : start + PADDING_BLOCK - len(delta) % PADDING_BLOCK]
        shaped = {**shaped, "obfuscation": padding}
    return encode({"type": shaped["type"], "sequence_number": sequence_number, **shaped})


def shape_event(fields: Fields, dialect: Dialect) -> Fields:
    """The event as the dialect has it; the fields given are not modified.

    A Response in it is shaped. Fields that only MKA1 sends are left out elsewhere, an `error` event is nested where
    the dialect nests it, and for MKA1 an annotation also gets MKA1's own form.
    """
    kind = fields["type"]
    if kind.endswith(".delta"):
        return fields
    if "response" in fields:
        return {**fields, "response": shape_response(fields["response"], dialect)}
    if kind == "error":
        if not dialect.nests_error_event:
            return fields
        code = fields.get("code")
        facts = {"type": code, "code": code, "message": fields.get("message"), "param": fields.get("param")}
        return {"type": "error", "error": facts}
    if dialect.arguments_done_has_name:
        return _with_span(fields) if "annotation" in fields else fields
    hidden = (*ONLY_SHOWN_BY_MKA1, "name") if kind == "response.function_call_arguments.done" else ONLY_SHOWN_BY_MKA1
    return {name: value for name, value in fields.items() if name not in hidden}


def shape_response(fields: Fields, dialect: Dialect) -> Fields:
    """The Response as the dialect has it: every required key, and usage and output_text where they are sent.

    Where the dialect refuses null, an empty value stands in: usage of zeros, an empty list. `output_text` is always
    made from `output`.
    """
    shaped = {name: value for name, value in fields.items() if name != "output_text"}
    for name in dialect.required_fields:
        if shaped.get(name) is None:
            shaped[name] = FILLINGS.get(name) if name in dialect.never_null_fields else None
    if "usage" in dialect.never_null_fields and shaped["usage"] is None:
        shaped["usage"] = usage_of(0, 0, 0, dialect=dialect)
    if dialect.sends_output_text:
        shaped["output_text"] = output_text(shaped["output"])
    return shaped


def translate_event(data: bytes, source: Dialect, target: Dialect) -> bytes:
    """The event as another dialect sends it, with its own number; the same bytes from a dialect to itself.

    What is not a JSON object with a type is returned as it is.
    """
    if source.name == target.name:
        return data
    fields = read_object(data)
    if isinstance(fields, Problem) or not isinstance(fields.get("type"), str):
        return data
    number = {"sequence_number": fields["sequence_number"]} if "sequence_number" in fields else {}
    if fields["type"] == "error" and is_object(nested := fields.get("error")):
        fields = {"type": "error"} | {name: nested.get(name) for name in ("code", "message", "param")}
    shaped = shape_event(fields, target)
    return encode({"type": shaped["type"], **number, **shaped})


def translate_response(raw: bytes, source: Dialect, target: Dialect) -> bytes:
    """The Response as another dialect sends it; the same bytes from a dialect to itself."""
    if source.name == target.name:
        return raw
    fields = read_object(raw)
    return raw if isinstance(fields, Problem) else encode(shape_response(fields, target))


def output_text(output: list[Any]) -> str:
    """All output_text parts of all messages, joined."""
    parts: list[Fields] = []
    for item in output:
        if item.get("type") == "message":
            parts += item.get("content") or []
    return "".join(part.get("text", "") for part in parts if part.get("type") == "output_text")


def usage_of(input_tokens: int, output_tokens: int, reasoning_tokens: int, *, dialect: Dialect) -> Fields:
    """The usage object, which every SDK requires whole."""
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0}
        | ({"cache_write_tokens": 0} if dialect.usage_has_cache_writes else {}),
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": input_tokens + output_tokens,
    }


def _with_span(fields: Fields) -> Fields:
    """The annotation with MKA1's `text`, `start` and `end` beside the keys that the part will have."""
    known: Fields = fields["annotation"]
    span = {"text": known.get("title", ""), "start": known.get("start_index", 0), "end": known.get("end_index", 0)}
    return {**fields, "annotation": {**known, **span}}
