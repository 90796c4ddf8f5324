"""Event-sourced state for streamed LLM responses: exact, immutable, at every sequence number.

This is the pure core: feed it the bytes of a Responses API stream, and get events, a State after each, and its
Response. It opens no socket and no file. Event classes are in `streamfold.schema`, the client in `streamfold.client`.
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
