"""Holds streams: each response is followed to its end, logged, and served to any number of readers from any cursor."""

from streamfold.relay.app import RelayApp
from streamfold.relay.attach import AttachMode
from streamfold.relay.call import Upstream, UpstreamCall
from streamfold.relay.counts import AttachCounts
from streamfold.relay.held import Held
from streamfold.relay.options import RelayOptions
from streamfold.relay.origin import Origin
from streamfold.relay.passthrough import Passthrough
from streamfold.relay.reader import Frames, StreamBody
from streamfold.relay.relay import Relay
from streamfold.relay.server import RelayServer, ServerOptions, relay_in_thread, serve_relay
from streamfold.relay.streams import HeldStreams
from streamfold.relay.tunnel import Tunnels
from streamfold.relay.upstream import ProxyUpstream

__all__ = [
    "AttachCounts",
    "AttachMode",
    "Frames",
    "Held",
    "HeldStreams",
    "Origin",
    "Passthrough",
    "ProxyUpstream",
    "Relay",
    "RelayApp",
    "RelayOptions",
    "RelayServer",
    "ServerOptions",
    "StreamBody",
    "Tunnels",
    "Upstream",
    "UpstreamCall",
    "relay_in_thread",
    "serve_relay",
]
