"""Event-sourced state for streamed LLM responses: exact, immutable, at every sequence number.

In      bytes of a Responses API stream, cut anywhere
Out     events, a State after each, and the Response it stands for
Units   bytes; sequence numbers
Errors  StreamfoldError and its families
Source  docs/reference/api.md

The pure core: no socket, no file, no clock. Event types are in `streamfold.schema`.
"""

from streamfold import errors, sse
from streamfold.errors import *
from streamfold.fold import (
    Anomaly,
    AnomalyKind,
    SequencePolicy,
    State,
    StreamError,
    checkpoint,
    fold,
    reduce,
    replay,
    restore,
    snapshot,
    snapshot_json,
    states,
)
from streamfold.reader import EventReader
from streamfold.schema import Event, Response, ResponseStatus, UnknownEvent, decode_batch, decode_event, decode_response
from streamfold.sse import *

__all__ = [
    "Anomaly",
    "AnomalyKind",
    "Event",
    "EventReader",
    "Response",
    "ResponseStatus",
    "SequencePolicy",
    "State",
    "StreamError",
    "UnknownEvent",
    "checkpoint",
    "decode_batch",
    "decode_event",
    "decode_response",
    "fold",
    "reduce",
    "replay",
    "restore",
    "snapshot",
    "snapshot_json",
    "states",
]
__all__ += errors.__all__
__all__ += sse.__all__
