"""The API's vocabulary: events, items, parts, Response and Batch as types, decoded from JSON.

Whatever fits no type becomes its `Unknown…` class, which keeps the bytes.
"""

from streamfold.schema import body, codec, event, promotion
from streamfold.schema.body import *
from streamfold.schema.codec import *
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
from streamfold.schema.item import Item, UnknownItem
from streamfold.schema.parameter import Complaint, check_batch, check_create, check_names
from streamfold.schema.response import (
    Batch,
    BatchStatus,
    Response,
    ResponseStatus,
    is_terminal_batch_status,
    is_terminal_status,
)

__all__ = [
    "DIALECTS",
    "MKA1",
    "OPENAI",
    "OPEN_RESPONSES",
    "Batch",
    "BatchStatus",
    "Complaint",
    "CreateParams",
    "Dialect",
    "DoneMarker",
    "FinishedReplay",
    "Item",
    "Response",
    "ResponseStatus",
    "UnknownItem",
    "WebhookScheme",
    "check_batch",
    "check_create",
    "check_names",
    "event",
    "is_terminal_batch_status",
    "is_terminal_status",
    "promotion",
]
__all__ += body.__all__
__all__ += codec.__all__
__all__ += event.__all__
