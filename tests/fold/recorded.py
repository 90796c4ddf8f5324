"""A recorded stream as events, read as it has to be read, and what is odd about some of them (see the corpus's INDEX.md)."""

from typing import Any

import msgspec

from streamfold import Event, EventReader, SequencePolicy, State, UnknownEvent
from streamfold.schema import ResponseCancelled, ResponseCompleted, ResponseEvent, ResponseFailed, ResponseIncomplete
from tests.conftest import Recording

TERMINAL = (ResponseCompleted, ResponseIncomplete, ResponseFailed, ResponseCancelled)

# The source of this one left out some delta events: its numbers have real holes, and its texts too.
CUT_BY_HAND = {"openai/ai-openai-phase-1.sse"}

# Early OpenAI recordings, whose events have no number.
UNNUMBERED = {
    "openai/dd-trace-py-response-function-call-streamed.sse",
    "openai/dd-trace-py-response-stream.sse",
    "openai/dd-trace-py-response-tools-stream.sse",
    "openai/pydantic-ai-openai-responses-stream-1.sse",
    "openai/pydantic-ai-openai-responses-stream.sse",
    "openai/ruby-openai-responses-stream-without-proc.sse",
    "openai/ruby-openai-responses-stream.sse",
}


def start(recording: Recording) -> State:
    """The state that this recording folds from."""
    return State.under(SequencePolicy.RENUMBER) if recording.name in CUT_BY_HAND else State()


def events_of(recording: Recording) -> list[Event]:
    """All events of the recording; a last block without its blank line counts, for the recorder may have dropped it."""
    reader = EventReader(tolerant=True)
    events = reader.feed(recording.data) + reader.close()
    assert not [event for event in events if isinstance(event, UnknownEvent)], "every recorded event is typed"
    return events


def terminal_of(events: list[Event]) -> ResponseEvent:
    """The terminal event, which every recording has."""
    (terminal,) = [event for event in events if isinstance(event, TERMINAL)]
    return terminal


def value(data: bytes) -> Any:
    """The JSON value of these bytes."""
    return msgspec.json.decode(data)
