"""The Response as it begins, which echoes its request, and the items of its input.

Fields come in the order in which servers send them.
"""

from random import Random
from typing import Any

from streamfold.emulator.model.textgen import identifier
from streamfold.schema import Dialect
from streamfold.serving import CreateRequest, Fields

# OpenAI sends these in every Response, even if the request does not name them.
OPENAI_DEFAULTS: Fields = {
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "top_logprobs": 0,
    "top_p": 1.0,
}
# Of the ids of input items; any other type has `item`.
PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco"}
# Sent only if the request names them: one SDK refuses null in them.
ECHOED = (
    "context_management",
    "frequency_penalty",
    "presence_penalty",
    "prompt",
    "prompt_cache_key",
    "safety_identifier",
    "temperature",
    "top_logprobs",
    "top_p",
)
# The same of parameters that only OpenAI has.
ECHOED_BY_OPENAI = ("access_programs", "prompt_cache_retention")
CACHE_DEFAULTS: Fields = {"mode": "implicit", "ttl": "30m"}
CATEGORIES = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")


def response_begun(request: CreateRequest, *, response_id: str, created_at: float, dialect: Dialect) -> Fields:
    """The Response before anything has happened: in progress, no output, no usage."""
    given = {name: value for name, value in request.fields.items() if value is not None}
    text = {name: value for name, value in given.get("text", {}).items() if value is not None}
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(created_at),
        "completed_at": None,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "background": request.background,
        "instructions": given.get("instructions"),
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": given.get("max_tool_calls", dialect.max_tool_calls_default),
        "metadata": given.get("metadata", {}),
        "model": request.model,
        "output": [],
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
        "previous_response_id": request.previous_response_id,
        "reasoning": {"effort": None, "summary": None} | given.get("reasoning", {}),
        "service_tier": given.get("service_tier", "auto"),
        "store": request.store,
        "text": {"format": {"type": "text"}, "verbosity": dialect.verbosity_default or "medium"} | text,
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": [_with_strict(each) for each in given.get("tools", [])],
        "truncation": given.get("truncation", dialect.truncation_default),
        "usage": None,
        "user": given.get("user"),
        **_echoed(given, dialect),
        **_conversation(given),
    }


def moderation(given: Any) -> Fields:
    """The `moderation` of a terminal Response, for which the create asked: the toy model says nothing that is flagged."""
    return {"input": _verdict(given["model"]), "output": _verdict(given["model"])}


def input_items(request: CreateRequest, *, response_id: str) -> list[Fields]:
    """The input as a list of items, oldest first. Their ids are always the same for the same Response."""
    random = Random(f"input of {response_id}")
    given: Any = request.input or []
    if isinstance(given, str):
        given = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    return [_with_id(item, random) for item in given]


def _with_id(item: Fields, random: Random) -> Fields:
    """The item as a list shows it: with a type and an id; a message also with a status and its content in parts."""
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    known: Fields = {"id": identifier(random, PREFIXES.get(kind, "item")), "type": kind}
    if kind != "message":
        return known | item
    role, content = item.get("role"), item.get("content")
    part = "output_text" if role == "assistant" else "input_text"
    parts = [{"type": part, "text": content}] if isinstance(content, str) else content or []
    return known | {"status": "completed"} | item | {"content": parts}


def _with_strict(tool: Fields) -> Fields:
    """A function as it is shown: `strict` is always there, true unless the request says otherwise."""
    if tool.get("type") != "function" or tool.get("strict") is not None:
        return tool
    return tool | {"strict": True}


def _echoed(given: Fields, dialect: Dialect) -> Fields:
    shown = {name: given[name] for name in ECHOED if name in given}
    return shown if dialect.sends_output_text else OPENAI_DEFAULTS | shown | _only_openai(given)


def _only_openai(given: Fields) -> Fields:
    shown: Fields = {name: given[name] for name in ECHOED_BY_OPENAI if name in given}
    if (image := given.get("image")) is not None:
        is_compressed = image.get("context_compression") == "enabled"
        shown["image"] = {"context_compression": "enabled" if is_compressed else "disabled"}
    if (cache := given.get("prompt_cache_options")) is not None:
        known = {name: value for name, value in cache.items() if value is not None and name != "prewarm"}
        shown["prompt_cache_options"] = CACHE_DEFAULTS | known
        if "comparison_response_id" in known:
            shown["prompt_cache_diagnostics"] = {"type": "unavailable"}
    return shown


def _verdict(model: str) -> Fields:
    return {
        "type": "moderation_result",
        "model": model,
        "flagged": False,
        "categories": dict.fromkeys(CATEGORIES, False),
        "category_scores": dict.fromkeys(CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }


def _conversation(given: Fields) -> Fields:
    found = given.get("conversation")
    if found is None:
        return {}
    return {"conversation": {"id": found} if isinstance(found, str) else found}
