"""The end of a stream that is learned outside it, from the log alone."""

import pytest
from msgspec.json import encode

from streamfold.fold import State, with_response
from streamfold.log import MemoryLog, Record, StreamKey
from streamfold.relay.ends import CANCELLED, TOOK_BACK
from streamfold.relay.reader import end_outside

pytestmark = pytest.mark.anyio

KEY = StreamKey("", "resp_1")


def response(status: str, *texts: str) -> dict[str, object]:
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    output = [{"id": "msg_1", "type": "message", "status": status, "content": parts}]
    return {"id": "resp_1", "object": "response", "status": status, "output": output}


def final(status: str, *texts: str) -> State:
    return with_response(State(), encode(response(status, *texts)))


@pytest.mark.parametrize(
    ("ended", "names", "reason"),
    [
        (final("completed", "a"), ["output_item.done", "completed"], ""),
        (
            final("completed", "ab"),
            ["output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed"],
            "",
        ),
        (final("incomplete", "a"), ["output_item.done", "incomplete"], ""),
        # Most SDKs do not know the event, and would take a clean end for a finished answer.
        (final("cancelled", "a"), ["output_item.done", "cancelled"], CANCELLED),
        (final("completed", "x"), [], TOOK_BACK),
    ],
)
async def test_an_end_is_made_that_continues_what_was_sent(ended: State, names: list[str], reason: str) -> None:
    created = {"type": "response.created", "sequence_number": 0, "response": response("in_progress", "a")}
    async with MemoryLog() as log:
        lease = await log.acquire(KEY, owner="relay", seconds=1)
        await log.append(lease, [Record(0, "response.created", encode(created))])
        end = await end_outside(log, KEY, ended)
    assert [each.record.name.removeprefix("response.") for each in end.made] == names
    assert end.reason == reason
