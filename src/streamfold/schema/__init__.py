"""The API's vocabulary: events, items, parts, Response and Batch as types, decoded from JSON.

Whatever fits no type becomes its `Unknown…` class, which keeps the bytes.
"""

from streamfold.schema import event
from streamfold.schema.batch import Batch, BatchStatus, is_terminal_batch_status
from streamfold.schema.body import decode_annotation, decode_batch, decode_item, decode_part, decode_response
from streamfold.schema.codec import UNDECODABLE, decode_event, decode_known_event, is_end_marker, well_formed
from streamfold.schema.create_params import CreateParams
from streamfold.schema.dialect import (
    DIALECTS,
    MKA1,
    OPEN_RESPONSES,
    OPENAI,
    Dialect,
    DoneMarker,
    FinishedReplay,
    WebhookScheme,
)
from streamfold.schema.event import *
from streamfold.schema.parameter import Complaint, check_batch, check_create, check_names
from streamfold.schema.response import Response, ResponseStatus, is_terminal_status

__all__ = [
    "DIALECTS",
    "MKA1",
    "OPENAI",
    "OPEN_RESPONSES",
    "UNDECODABLE",
    "Batch",
    "BatchStatus",
    "Complaint",
    "CreateParams",
    "Dialect",
    "DoneMarker",
    "FinishedReplay",
    "Response",
    "ResponseStatus",
    "WebhookScheme",
    "check_batch",
    "check_create",
    "check_names",
    "decode_annotation",
    "decode_batch",
    "decode_event",
    "decode_item",
    "decode_known_event",
    "decode_part",
    "decode_response",
    "event",
    "is_end_marker",
    "is_terminal_batch_status",
    "is_terminal_status",
    "well_formed",
]
__all__ += event.__all__
