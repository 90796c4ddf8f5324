"""The wire's fold operations on plain Python values: what the steps are compared with."""

import json
import re
from itertools import pairwise
from typing import Any

from streamfold.fold.reduce import fold, reduce
from streamfold.fold.state import State
from streamfold.schema import (
    EVENT_TYPES,
)
from tests.fold.made import created, event

JsonObject = dict[str, Any]

# What the wire's operations say, where the steps do something else. Its words for the delta of a shell's output: it
# "appends `delta.stdout` and `delta.stderr`, when present, to a provisional entry", yet its operation is `none`.
DEVIATIONS: dict[str, list[JsonObject]] = {
    "response.shell_call_output_content.delta": [
        {"op": "append", "path": f"output[output_index].output[command_index].{stream}", "from": f"delta.{stream}"}
        for stream in ("stdout", "stderr")
    ]
}

PART: JsonObject = {"type": "any", "text": "t", "refusal": "r", "annotations": [{"a": 0}] * 2, "logprobs": [{"l": 0}]}
ITEM: JsonObject = {
    "id": "item",
    "type": "any",
    "status": "waiting",
    "content": [PART, PART],
    "summary": [PART, PART],
    "arguments": "a",
    "code": "c",
    "input": "i",
    "operation": {"diff": "d", "path": "p"},
    "action": {"commands": ["ls", "cd"]},
    "output": [{"stdout": "o", "stderr": "e"}] * 2,
    "new": 1e300,
}
BARE_ITEM = {"id": "item", "type": "any"}
FIELDS: JsonObject = {
    "item_id": "another id",
    "output_index": 1,
    "content_index": 1,
    "summary_index": 1,
    "annotation_index": 1,
    "command_index": 1,
    "partial_image_index": 1,
    "partial_image_b64": "aaaa",
    "response": {"id": "resp", "status": "completed", "output": [], "new": [1]},
    "item": {"type": "put", "new": {"a": 1}},
    "part": {"type": "put", "new": {"a": 1}},
    "annotation": {"type": "put", "new": {"a": 1}},
    "delta": " more",
    "logprobs": [{"l": 1}, {"l": 2}],
    "obfuscation": "zzzz",
    "text": "whole",
    "refusal": "whole",
    "arguments": "whole",
    "code": "whole",
    "input": "whole",
    "diff": "whole",
    "command": "whole",
    "output": [{"stdout": "whole"}, {"stdout": "next"}],
    "function_call_output": "for display",
    "agent_id": "agent",
    "response_id": "resp",
    "reason": "why",
    "required_input": [],
    "steer": {},
    "error": "why",
}
OTHER_FIELDS: dict[str, JsonObject] = {
    "error": {"error": {"message": "why"}},
    "response.shell_call_output_content.delta": {"delta": {"stdout": "O", "stderr": "E"}},
    "response.inject.failed": {"error": {}, "input": []},
    "response.steer.failed": {"error": {}},
}


def payload(name: str) -> JsonObject:
    """A payload of this type with all its required fields, and those that a step reads."""
    fields = {**FIELDS, **OTHER_FIELDS.get(name, {})}
    known = EVENT_TYPES[name].__struct_fields__
    optional_words = {"param", "name", "status", "wake_at", "stream_id", "quality", "size"}
    return {field: value for field, value in fields.items() if field in set(known) - optional_words}


# A reference: the wire's fold operations on plain Python values


def keys_of(path: str, values: JsonObject) -> list[Any]:
    """The keys of a path like `output[output_index].content`, its indexes read from the event."""
    return [values[index] if index else key for key, index in re.findall(r"(\w+)|\[(\w+)\]", path)]


def unshared(value: Any) -> Any:
    """A copy that shares nothing, not even with itself, as deepcopy would."""
    return json.loads(json.dumps(value))


def put_at(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, list) and key == len(holder):
        holder.append(value)
    else:
        holder[key] = value


def there(holder: Any, key: Any) -> Any:
    return holder.get(key) if isinstance(holder, dict) else dict(enumerate(holder)).get(key)


def read(values: Any, name: str) -> Any:
    for key in name.split("."):
        values = values.get(key) if isinstance(values, dict) else None
    return values


def way_to(holder: Any, keys: list[Any]) -> tuple[Any, Any]:
    """What holds the last key, made where it is not there, and that key."""
    for key, following in pairwise(keys):
        if there(holder, key) is None:
            put_at(holder, key, {} if isinstance(following, str) else [])
        holder = holder[key]
    return holder, keys[-1]


def interpret(response: JsonObject, operation: JsonObject, values: JsonObject) -> JsonObject:
    """The Response after one fold operation of the wire."""
    if operation["op"] == "none":
        return response
    value = unshared(operation.get("value") or read(values, operation.get("from", "")))
    if operation["op"] in ("snapshot", "terminal"):
        return {**value, "output": value.get("output") or response["output"]}
    holder, last = way_to(response, keys_of(operation["path"], values))
    match operation["op"]:
        case "put" | "set":
            put_at(holder, last, value)
        case "append":
            put_at(holder, last, (there(holder, last) or "") + value)
        case "extend":
            put_at(holder, last, (there(holder, last) or []) + value)
        case "status" if last in holder:
            holder[last] = value
        case "shell_output":
            entries = holder.setdefault(last, [])
            entries[values["command_index"] : values["command_index"] + len(value)] = value
    return response


def expected_of(protocol_events: list[JsonObject], name: str, response: JsonObject, values: JsonObject) -> JsonObject:
    (facts,) = (each for each in protocol_events if each["type"] == name)
    response = unshared(response)
    for operation in DEVIATIONS[name] if name in DEVIATIONS else facts["fold"]:
        response = interpret(response, operation, values)
    return response


def folded(start: JsonObject, name: str, *payloads: JsonObject) -> State:
    """The state after the Response `start` and events of one type."""
    state = fold([created(0, **start)])
    for number, values in enumerate(payloads, 1):
        state = reduce(state, event(name, number, **values))
    return state


# The type of the part that an event creates if there is none
GROWS_PARTS = {
    "response.output_text.annotation.added": "output_text",
    "response.output_text.delta": "output_text",
    "response.output_text.done": "output_text",
    "response.refusal.delta": "refusal",
    "response.refusal.done": "refusal",
    "response.reasoning.delta": "reasoning_text",
    "response.reasoning.done": "reasoning_text",
    "response.reasoning_text.delta": "reasoning_text",
    "response.reasoning_text.done": "reasoning_text",
    "response.reasoning_summary_text.delta": "summary_text",
    "response.reasoning_summary_text.done": "summary_text",
}
