"""The door of the room that follows responses over HTTP.

In      a gateway's address, and what to ask of it
Out     responses followed to their outcome
Units   seconds; sequence numbers
Errors  InvalidArgument before anything is sent; GatewayError and its families
Source  docs/reference/client.md
"""

from streamfold.client.api.batches import Batches, FollowedBatch
from streamfold.client.api.gateway import Gateway
from streamfold.client.api.page import Deleted, Page
from streamfold.client.follow.follow import FollowedResponse
from streamfold.client.follow.record import record
from streamfold.client.transport.transport import Reply, Request, Transport
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
