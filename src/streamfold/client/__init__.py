"""The door of the room that follows responses over HTTP.

In      a gateway's address, and what to ask of it
Out     responses followed to their outcome
Units   seconds; sequence numbers
Errors  InvalidArgument before anything is sent; GatewayError and its families
Source  docs/reference/client.md
"""

from streamfold.client.batches import Batches, FollowedBatch
from streamfold.client.follow import FollowedResponse
from streamfold.client.gateway import Gateway
from streamfold.client.page import Deleted, Page
from streamfold.client.record import record
from streamfold.client.transport import Reply, Request, Transport
from streamfold.client.webhook import Webhook, verify_webhook

__all__ = [
    "Batches",
    "Deleted",
    "FollowedBatch",
    "FollowedResponse",
    "Gateway",
    "Page",
    "Reply",
    "Request",
    "Transport",
    "Webhook",
    "record",
    "verify_webhook",
]
