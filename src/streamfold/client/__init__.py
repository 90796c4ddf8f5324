"""Calls of a gateway over HTTP, and responses followed to their outcome, on asyncio and trio.

`streamfold.client.blocking` has the same for code without an event loop.
"""

from streamfold.client.api.answer import Deleted, Page
from streamfold.client.api.batches import Batches
from streamfold.client.api.gateway import Gateway
from streamfold.client.api.request import CallOptions
from streamfold.client.follow.batch import FollowedBatch
from streamfold.client.follow.follow import FollowedResponse, record
from streamfold.client.follow.forward import forward
from streamfold.client.transport.resolve import resolve_transport
from streamfold.client.transport.resuming import ResumingTransport
from streamfold.client.transport.tls import shared_context
from streamfold.client.transport.transport import Reply, Request, Transport
from streamfold.client.webhook import Webhook, verify_webhook

__all__ = [
    "Batches",
    "CallOptions",
    "Deleted",
    "FollowedBatch",
    "FollowedResponse",
    "Gateway",
    "Page",
    "Reply",
    "Request",
    "ResumingTransport",
    "Transport",
    "Webhook",
    "forward",
    "record",
    "resolve_transport",
    "shared_context",
    "verify_webhook",
]
