"""Streams as lists of payloads, put into a log, and the states that they fold to."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from streamfold import State, checkpoint, decode_event, fold, snapshot_json
from streamfold.history import import_stream
from streamfold.log import EventLog, Lease, Record, SavedCheckpoint, StreamKey
from streamfold.schema import Event

TENANT = "one"
KEY = StreamKey(TENANT, "resp_1")
RESPONSE: dict[str, Any] = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
MESSAGE = {"id": "msg_1", "type": "message", "status": "in_progress", "content": [{"type": "output_text", "text": ""}]}


def said(*fragments: str, first: int = 0, is_over: bool = True) -> list[bytes]:
    """The payloads of a stream that says these fragments: two events, one for each fragment, and the terminal one."""
    item = MESSAGE | {"status": "completed", "content": [{"type": "output_text", "text": "".join(fragments)}]}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": RESPONSE},
        {"type": "response.output_item.added", "output_index": 0, "item": MESSAGE},
        *(
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": each}
            for each in fragments
        ),
    ]
    if is_over:
        events.append({"type": "response.completed", "response": RESPONSE | {"status": "completed", "output": [item]}})
    return [
        json.dumps(event | {"sequence_number": number}, ensure_ascii=False).encode()
        for number, event in enumerate(events, first)
    ]


def records_of(data: Iterable[bytes], *, first: int = 0) -> list[Record]:
    return [Record(number, decode_event(each).type, each) for number, each in enumerate(data, first)]


def body(data: Iterable[bytes]) -> bytes:
    """The payloads as server-sent events."""
    return b"".join(b"event: %b\ndata: %b\n\n" % (decode_event(each).type.encode(), each) for each in data)


def events_of(data: Iterable[bytes]) -> list[Event]:
    return [decode_event(each) for each in data]


async def begin(log: EventLog, records: Sequence[Record], *, key: StreamKey = KEY, status: str | None = None) -> Lease:
    """A stream with these records; its lease is not released."""
    lease = await log.acquire(key, owner="test", seconds=3600, first_number=records[0].sequence_number)
    await log.append(lease, records, status=status)
    return lease


async def save(log: EventLog, lease: Lease, data: Sequence[bytes], *, at: int) -> State:
    """A checkpoint at this number of a stream that begins at 0."""
    state = fold(events_of(data[: at + 1]))
    await log.save_checkpoint(lease, SavedCheckpoint(at, checkpoint(state)))
    return state


async def all_records(log: EventLog, key: StreamKey = KEY) -> list[Record]:
    return await log.read(key, limit=1_000_000)


async def imported(log: EventLog, data: Iterable[bytes], **options: Any) -> StreamKey:
    return StreamKey(TENANT, (await import_stream(log, TENANT, [body(data)], **options)).response_id)


def facts(state: State) -> tuple[object, ...]:
    """All that a state tells."""
    return state.cursor, state.status, state.anomalies, state.error, snapshot_json(state)
