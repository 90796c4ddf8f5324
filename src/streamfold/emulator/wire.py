"""An event, a Response or a Problem as a dialect sends it: JSON that its SDK decodes typed.

In      an event's fields without a number, or a Response's, or a Problem; and a Dialect
Out     JSON bytes, or fields
Units   sequence numbers
Errors  none
Source  docs/reference/emulator.md; docs/reference/dialects.md says what each SDK requires
"""

from collections.abc import Mapping
from typing import Any

from msgspec.json import encode

from streamfold.emulator.body import usage_of
from streamfold.emulator.request import CreateRequest, Fields, Problem
from streamfold.emulator.words import LETTERS
from streamfold.schema import Dialect

__all__ = ["error_body", "event_data", "is_obfuscated", "shape_event", "shape_response"]

PADDING_BLOCK = 16  # a delta and its padding fill whole blocks, so that their length tells nothing about the text
PADDING = LETTERS * 2
ONLY_SHOWN_BY_MKA1 = ("args", "function_call_output")

# What a Response must have where it says nothing.
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
    """The event's JSON, as the data of one frame. obfuscation: whether a delta carries padding."""
    shaped = shape_event(fields, dialect)
    if obfuscation and isinstance(delta := fields.get("delta"), str):
        start = sequence_number % len(LETTERS)
        padding = PADDING[start : start + PADDING_BLOCK - len(delta) % PADDING_BLOCK]
        shaped = {**shaped, "obfuscation": padding}
    return encode({"type": shaped["type"], "sequence_number": sequence_number, **shaped})


def shape_event(fields: Fields, dialect: Dialect) -> Fields:
    """The event as the dialect has it. Never changes what it is given.

    Its Response is shaped; what only MKA1 tells is left out elsewhere; an `error` event is nested where the dialect
    nests it; and MKA1's own form of an annotation is added to the one that all others send.
    """
    kind = fields["type"]
    if kind.endswith(".delta"):
        return fields
    if "response" in fields:
        return {**fields, "response": shape_response(fields["response"], dialect)}
    if kind == "error":
        return _shape_error(fields, dialect)
    if dialect.arguments_done_has_name:
        return _with_span(fields) if "annotation" in fields else fields
    hidden = (*ONLY_SHOWN_BY_MKA1, "name") if kind == "response.function_call_arguments.done" else ONLY_SHOWN_BY_MKA1
    return {name: value for name, value in fields.items() if name not in hidden}


def shape_response(fields: Fields, dialect: Dialect) -> Fields:
    """The Response as the dialect has it: with each key that must be there, and usage and output_text where sent.

    Where the dialect refuses null it gets what stands for nothing: usage with zeros, an empty list. Whoever changed
    `output` need not care for `output_text`: it is made anew.
    """
    shaped = {name: value for name, value in fields.items() if name != "output_text"}
    for name in dialect.required_fields:
        if shaped.get(name) is None:
            refuses_null = name in dialect.never_null_fields
            shaped[name] = _filling(name, fields, dialect) if refuses_null else None
    if dialect.sends_output_text:
        shaped["output_text"] = output_text(shaped["output"])
    return shaped


def output_text(output: list[Any]) -> str:
    """All output_text parts of all messages, joined."""
    parts: list[Fields] = []
    for item in output:
        if item.get("type") == "message":
            parts += item.get("content") or []
    return "".join(part.get("text", "") for part in parts if part.get("type") == "output_text")


def is_obfuscated(request: CreateRequest, asked: bool | None, dialect: Dialect) -> bool:
    """Whether deltas carry padding: as the call asked, or the create did, or as the dialect does by default.

    OpenAI's background streams were recorded without any.
    """
    for wish in (asked, request.include_obfuscation):
        if wish is not None:
            return wish
    return bool(dialect.obfuscates_by_default) and not request.background


def error_body(problem: Problem, dialect: Dialect) -> bytes:
    """The body of a refusal. MKA1 documents one alone, the rate limit's: there `error` is the message itself."""
    if problem.status == 429 and dialect.name == "mka1":
        return encode({"error": problem.message})
    facts = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.code}
    return encode({"error": facts})


def _filling(name: str, fields: Fields, dialect: Dialect) -> Any:
    if name == "usage":
        return usage_of(0, 0, 0, dialect=dialect)
    return FILLINGS.get(name, fields.get(name))


def _shape_error(fields: Fields, dialect: Dialect) -> Fields:
    if not dialect.nests_error_event:
        return fields
    code = fields.get("code")
    facts = {"type": code, "code": code, "message": fields.get("message"), "param": fields.get("param")}
    return {"type": "error", "error": facts}


def _with_span(fields: Fields) -> Fields:
    """The annotation with MKA1's `text`, `start` and `end` beside the keys that the part will have."""
    known: Fields = fields["annotation"]
    span = {"text": known.get("title", ""), "start": known.get("start_index", 0), "end": known.get("end_index", 0)}
    return {**fields, "annotation": {**known, **span}}
