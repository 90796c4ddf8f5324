"""Events made by hand, and states read back: what the tests of this room share."""

import json
from typing import Any

from msgspec import Raw

from streamfold.fold import State, snapshot_json
from streamfold.schema import (
    Event,
    Keepalive,
    OutputItemAdded,
    OutputTextDelta,
    ResponseCompleted,
    ResponseCreated,
    decode_event,
)

PART: dict[str, Any] = {"type": "output_text", "text": ""}
MESSAGE: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "content": [PART]}


def raw(value: object) -> Raw:
    """The value as the JSON bytes that an event would carry."""
    return Raw(json.dumps(value).encode())


def event(kind: str, number: int | None = None, **fields: object) -> Event:
    """The event of this wire name with these fields, decoded as from the wire."""
    return decode_event(json.dumps({"type": kind, "sequence_number": number, **fields}).encode())


def delta(number: int | None, text: str = "x", *, item: int = 0, part: int = 0) -> OutputTextDelta:
    return OutputTextDelta(sequence_number=number, output_index=item, content_index=part, delta=text)


def added(number: int | None, item: object = MESSAGE, *, index: int = 0) -> OutputItemAdded:
    return OutputItemAdded(sequence_number=number, output_index=index, item=raw(item))


def created(number: int | None, **fields: object) -> ResponseCreated:
    return ResponseCreated(sequence_number=number, response=raw({"status": "in_progress", **fields}))


def completed(number: int | None, **fields: object) -> ResponseCompleted:
    return ResponseCompleted(sequence_number=number, response=raw({"status": "completed", **fields}))


def keepalive(number: int | None) -> Keepalive:
    return Keepalive(sequence_number=number)


def seen(state: State) -> Any:
    """The snapshot as plain Python values."""
    return json.loads(snapshot_json(state))


def tolerated(state: State) -> list[tuple[str, int, int]]:
    """The anomalies as kind, count and the number of the first."""
    return [(anomaly.kind.value, anomaly.count, anomaly.first) for anomaly in state.anomalies]
