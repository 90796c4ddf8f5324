"""What each parameter of a create must be, as one table of rules for each dialect.

A client checks its arguments before it sends them, and the emulator checks what it reads. They differ in one point:
an *open set* is a list of names to which a server may add, such as efforts, tool types or service tiers. A server
(`strict`) refuses a name that it does not know; a client passes it on, so that a new value works on the day it
appears. Ranges, types and combinations are checked by both. null is the same as not given.

`CreateParams` in `create_params.py` is generated from these tables.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeGuard

from streamfold.schema.dialect import DIALECTS, Dialect

Complaint: TypeAlias = tuple[str, str]
"""A parameter, with its place inside if it is an object or a list, and what it must be."""

Rule: TypeAlias = Callable[[Any, bool], Complaint | None]
"""Checks a value. The second argument is `strict`: whether open sets are closed."""

MAX_SAFE = 2**53 - 1  # the largest whole number that every JSON reader keeps exactly
MAX_PAIRS, MAX_KEY, MAX_VALUE = 16, 64, 512
REQUIRED = "is required"
MAX_SHOWN = 40  # characters of a refused value in a complaint


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether this value, decoded from JSON or about to be encoded, is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether this value, decoded from JSON or about to be encoded, is a list."""
    return isinstance(value, list | tuple)


def check(fields: Mapping[str, Any], rules: Mapping[str, Rule], *, strict: bool = True) -> Complaint | None:
    """Return the first field that breaks its rule. Fields without a rule, and nulls, pass."""
    for name, rule in rules.items():
        value = fields.get(name)
        if value is not None and (complaint := rule(value, strict)):
            return name + complaint[0], complaint[1]
    return None


# Kinds of rules


def text(low: int = 0, high: int | None = None) -> Rule:
    if high is not None:
        wanted = f"a string of {low} to {high} characters"
    else:
        wanted = "a non-empty string" if low else "a string"
    return lambda value, strict: (
        None if isinstance(value, str) and low <= len(value) <= (high or len(value)) else ("", f"must be {wanted}")
    )


def boolean(value: Any, strict: bool) -> Complaint | None:
    return None if isinstance(value, bool) else ("", f"must be true or false{got(value)}")


def got(value: Any) -> str:
    """The value that was given, if it is a short one. Only for what is never a secret."""
    shown = repr(value) if isinstance(value, str | int | float) else ""
    return f", got {shown}" if 0 < len(shown) <= MAX_SHOWN else ""


def whole(low: int, high: int = MAX_SAFE) -> Rule:
    def rule(value: Any, strict: bool) -> Complaint | None:
        is_whole = type(value) is int
        if is_whole and low <= value <= high:
            return None
        bounds = f" from {low} to {high}"
        if high == MAX_SAFE and not (is_whole and abs(value) > high):  # a bound that nobody meets
            bounds = "" if low == -MAX_SAFE else f" of at least {low}"
        return "", f"must be a whole number{bounds}{got(value)}"

    return rule


def number(low: float, high: float) -> Rule:
    bounds = "" if high == MAX_SAFE else f" from {low:g} to {high:g}"

    def rule(value: Any, strict: bool) -> Complaint | None:
        is_good = type(value) in (int, float) and low <= value <= high
        return None if is_good else ("", f"must be a number{bounds}{got(value)}")

    return rule


def one_of(*names: str) -> Rule:
    """One name of an open set."""
    wanted = f"must be one of {', '.join(names)}"

    def rule(value: Any, strict: bool) -> Complaint | None:
        if not isinstance(value, str):
            return "", wanted if strict else "must be a string"
        return ("", wanted) if strict and value not in names else None

    return rule


def record(rules: Mapping[str, Rule], *, required: tuple[str, ...] = ()) -> Rule:
    """An object whose known fields follow their rules; it may have others."""

    def rule(value: Any, strict: bool) -> Complaint | None:
        if not is_object(value):
            return "", "must be an object"
        for name in required:
            if value.get(name) is None:
                return f".{name}", REQUIRED
        complaint = check(value, rules, strict=strict)
        return complaint and (f".{complaint[0]}", complaint[1])

    return rule


def each(inside: Rule, *, low: int = 0, high: int | None = None) -> Rule:
    """A list whose entries all follow the rule."""

    def rule(value: Any, strict: bool) -> Complaint | None:
        if not is_list(value):
            return "", "must be a list"
        if len(value) < low:
            return "", f"must have at least {low} entries" if low > 1 else "must have at least one entry"
        if high is not None and len(value) > high:
            return "", f"must have at most {high} entries"
        for index, entry in enumerate(value):
            if complaint := inside(entry, strict):
                return f"[{index}]{complaint[0]}", complaint[1]
        return None

    return rule


def either(wanted: str, *rules: Rule) -> Rule:
    """A value that follows one of the rules. If an object or list follows none, its own rule explains why."""

    def rule(value: Any, strict: bool) -> Complaint | None:
        complaints = [each(value, strict) for each in rules]
        if None in complaints:
            return None
        inside = [complaint for complaint in complaints if complaint and complaint[0]]
        return inside[0] if inside else ("", f"must be {wanted}")

    return rule


def metadata(value: Any, strict: bool) -> Complaint | None:
    if not is_object(value) or len(value) > MAX_PAIRS:
        return "", f"must be an object of at most {MAX_PAIRS} pairs"
    pairs: dict[Any, Any] = value  # the caller's: its keys may be anything
    for key, word in pairs.items():
        if not isinstance(key, str) or len(key) > MAX_KEY:
            return "", f"must have keys of at most {MAX_KEY} characters"
        if not isinstance(word, str) or len(word) > MAX_VALUE:
            return f".{key}", f"must be a string of at most {MAX_VALUE} characters"
    return None


def web_address(value: Any, strict: bool) -> Complaint | None:
    is_good = isinstance(value, str) and value.startswith(("http://", "https://")) and len(value.split("://")[1]) > 0
    return None if is_good else ("", "must be an http or https URL")


def response_format(value: Any, strict: bool) -> Complaint | None:
    needs = ("name", "schema") if is_object(value) and value.get("type") == "json_schema" else ()
    kinds = one_of("text", "json_object", "json_schema")
    return record({"type": kinds, "name": text(1), "schema": record({})}, required=("type", *needs))(value, strict)


def tool(value: Any, strict: bool) -> Complaint | None:
    """A tool needs a type, and one that the caller runs needs a name; of others only the type is known."""
    needs = ("name",) if is_object(value) and value.get("type") in ("function", "custom") else ()
    if needs and is_object(value) and is_object(value.get("function")) and value.get("name") is None:
        return ".name", f"{REQUIRED} (the Responses API has no nested `function` object)"
    return record({"type": text(1), "name": text(1), "parameters": record({})}, required=("type", *needs))(
        value, strict
    )


def hosted_by_mka1(value: Any, strict: bool) -> Complaint | None:
    if strict and is_object(value) and value.get("type") == "computer_use_preview":
        return ".type", "must not be computer_use_preview, which is not supported"
    return tool(value, strict)


def not_auto(value: Any, strict: bool) -> Complaint | None:
    return ("", "must not be auto") if value == "auto" else text(1)(value, strict)


# The tables

INCLUDES = (
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
)
TIERS = ("auto", "default", "flex", "priority")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
SUMMARIES = one_of("auto", "concise", "detailed")
COMPACTION: Mapping[str, Rule] = {"type": one_of("compaction"), "compact_threshold": whole(1000)}

CONTENT = either("a string or a list of parts", text(), each(record({"type": text(), "text": text()})))

SHARED: Mapping[str, Rule] = {
    "model": text(1),
    "input": either("a string or a list of items", text(), each(record({"type": text(), "content": CONTENT}))),
    "instructions": text(),
    "conversation": either("an id or an object with an id", text(1), record({"id": text(1)}, required=("id",))),
    "previous_response_id": text(1),
    "prompt": record({"id": text(1), "version": text(), "variables": record({})}, required=("id",)),
    "include": each(one_of(*INCLUDES)),
    "stream": boolean,
    "stream_options": record({"include_obfuscation": boolean}),
    "store": boolean,
    "background": boolean,
    "tools": each(tool),
    "tool_choice": either(
        "none, auto, required or an object",
        one_of("none", "auto", "required"),
        record({"type": text(1)}, required=("type",)),
    ),
    "parallel_tool_calls": boolean,
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "top_logprobs": whole(0, 20),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "truncation": one_of("auto", "disabled"),
    "context_management": each(record(COMPACTION, required=("type",)), low=1),
    "service_tier": one_of(*TIERS),
    "text": record({"format": response_format, "verbosity": one_of("low", "medium", "high")}),
    "reasoning": record({"effort": one_of(*EFFORTS), "summary": SUMMARIES}),
    "metadata": metadata,
    "prompt_cache_key": text(),
    "safety_identifier": text(),
    "user": text(),
}

MKA1_ONLY: Mapping[str, Rule] = {
    "stream_options": record({"include_obfuscation": boolean, "include_usage": boolean}),
    "tools": each(hosted_by_mka1),
    "context_management": each(record(COMPACTION, required=("type", "compact_threshold")), low=1),
    "stream_events": boolean,
    "webhook_url": web_address,
    "webhook_secret": text(16, 256),
    "fallback_models": each(not_auto, high=5),
    "auto_routing": boolean,
    "auto_routing_debug": boolean,
    "modalities": each(one_of("text", "audio")),
    "audio": record({"voice": one_of("alloy"), "format": one_of("wav")}),
    "stop": either("a string or a list of strings", text(), each(text())),
    "top_k": whole(-MAX_SAFE),
    "min_p": number(-MAX_SAFE, MAX_SAFE),
    "repetition_penalty": number(-MAX_SAFE, MAX_SAFE),
    "do_sample": boolean,
    "extra_body": record({}),
    "chat_template_kwargs": record({}),
    "prefill_think": either("true, false or a string", boolean, text()),
    "use_cache": boolean,
}

MODERATION_SIDE = record({"mode": one_of("score", "block")}, required=("mode",))
CONTEXTS = one_of("auto", "current_turn", "all_turns")
REASONING = {"summary": SUMMARIES, "generate_summary": SUMMARIES, "context": CONTEXTS}

OPENAI_ONLY: Mapping[str, Rule] = {
    "include": each(one_of(*INCLUDES, "web_search_call.results")),
    "service_tier": one_of(*TIERS, "scale", "fast", "ultrafast"),
    "reasoning": record(REASONING | {"effort": one_of(*EFFORTS, "max")}),
    "background_options": record({"completion_window": one_of("soonest", "2h", "8h"), "continuation_id": text()}),
    "access_programs": record({"cyber": one_of("standard", "daybreak_blue", "daybreak_red")}),
    "image": record({"context_compression": one_of("auto", "enabled", "disabled")}),
    "moderation": record(
        {"model": text(1), "policy": record({"input": MODERATION_SIDE, "output": MODERATION_SIDE})}, required=("model",)
    ),
    "prompt_cache_options": record(
        {"mode": one_of("implicit", "explicit"), "ttl": one_of("30m", "12h"), "prewarm": boolean}
    ),
    "prompt_cache_retention": one_of("in_memory", "24h"),
}

BATCH: dict[str, Rule] = {
    "input_file_id": text(1),
    "endpoint": one_of("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/images/generations"),
    "completion_window": one_of("24h"),
    "metadata": metadata,
}
OWN: Mapping[str, Mapping[str, Rule]] = {"mka1": MKA1_ONLY, "openai": OPENAI_ONLY}


def create_rules(dialect: Dialect) -> Mapping[str, Rule]:
    """Return the rule of each parameter of a create."""
    low, high = dialect.max_tool_calls_range or (-MAX_SAFE, MAX_SAFE)
    limits = {"max_tool_calls": whole(low, high), "max_output_tokens": whole(dialect.min_max_output_tokens or 1)}
    return {**SHARED, **OWN.get(dialect.name, {}), **limits}


def batch_rules(dialect: Dialect) -> Mapping[str, Rule]:
    """Return the rule of each parameter of a batch create."""
    return BATCH | {"max_concurrency": whole(1)} if dialect.requires_max_concurrency else BATCH


# Rules between parameters: whether they hold for the parameters given (without nulls), the one at fault, and why.
Combination: TypeAlias = tuple[Callable[[Mapping[str, Any]], bool], str, str]


def needs(name: str, other: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda given: not given.get(name) or bool(given.get(other))


ONLY_WITH_STREAM: Combination = (
    lambda given: "stream_options" not in given or bool(given.get("stream")),
    "stream_options",
    "is allowed only with stream true",
)
STORED: Combination = (lambda given: bool(given.get("store", True)), "store", "must be true with background true")
SOON_WITH_STREAM: Combination = (
    lambda given: (
        given.get("background_options", {}).get("completion_window") not in ("2h", "8h") or not given.get("stream")
    ),
    "background_options.completion_window",
    "must be soonest with stream true",
)
COMBINATIONS: Mapping[str, tuple[Combination, ...]] = {
    "mka1": (
        ONLY_WITH_STREAM,
        (needs("stream_events", "background"), "stream_events", "is allowed only with background true"),
        (needs("webhook_url", "background"), "webhook_url", "is allowed only with background true"),
        (needs("webhook_secret", "webhook_url"), "webhook_secret", "requires webhook_url"),
    ),
    "openai": (ONLY_WITH_STREAM, SOON_WITH_STREAM),
}


def check_create(fields: Mapping[str, Any], dialect: Dialect, *, strict: bool = True) -> Complaint | None:
    """Return the first parameter of a create that is wrong, and what it must be; None if all are right.

    Args:
        fields: The body of the create. Parameters that no rule knows pass: see `check_names`.
        dialect: Whose rules apply.
        strict: Refuse names of open sets that are not known. A client sets this to False and lets the server decide.
    """
    if fields.get("model") is None and fields.get("prompt") is None:
        return "model", REQUIRED  # a prompt template names a model of its own
    if complaint := check(fields, create_rules(dialect), strict=strict):
        return complaint
    given = {name: value for name, value in fields.items() if value is not None}
    for holds, name, reason in combinations(dialect, is_background=given.get("background") is True):
        if not holds(given):
            return name, reason
    return None


def combinations(dialect: Dialect, *, is_background: bool) -> tuple[Combination, ...]:
    """Return the rules between parameters. In the background `store` must be true, unless a source says otherwise."""
    needs_store = is_background and dialect.background_needs_store is not False
    return (*COMBINATIONS.get(dialect.name, ()), *((STORED,) if needs_store else ()))


def check_batch(fields: Mapping[str, Any], dialect: Dialect, *, strict: bool = True) -> Complaint | None:
    """Return the first parameter of a batch create that is wrong, and what it must be; None if all are right."""
    for name in ("input_file_id", "endpoint"):
        if fields.get(name) is None:
            return name, REQUIRED
    return check(fields, batch_rules(dialect), strict=strict)


# What callers of Chat Completions, or of an SDK's helpers, are used to.
CHAT_NAMES = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning",
    "response_format": "text",
    "text_format": "text",
}


def check_names(names: Iterable[str]) -> Complaint | None:
    """Return the first name that is not a parameter of a create in any dialect, with the nearest one that is."""
    from difflib import get_close_matches

    known = {name for dialect in DIALECTS.values() for name in create_rules(dialect)}
    for name in names:
        if name not in known:
            nearest = (
                [CHAT_NAMES[name]] if name in CHAT_NAMES else get_close_matches(name, sorted(known), n=1, cutoff=0.7)
            )
            hint = f" (did you mean {nearest[0]}?)" if nearest else ""
            return name, f"is not a known parameter{hint}; pass parameters newer than this version in extra_body"
    return None
