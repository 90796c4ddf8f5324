"""The server's half of the wire, shared by the emulator and the relay: requests to values, values to ASGI messages."""

from streamfold.serving import asgi, dialect_json, guard, reply, request, route, server, upgrade
from streamfold.serving.asgi import *
from streamfold.serving.dialect_json import *
from streamfold.serving.guard import *
from streamfold.serving.reply import *
from streamfold.serving.request import *
from streamfold.serving.route import *
from streamfold.serving.server import *
from streamfold.serving.upgrade import *
from streamfold.serving.writer import HEARTBEAT, STREAM_HEADERS, StreamWriter, Turn, encode_frames, head_of

__all__ = ["HEARTBEAT", "STREAM_HEADERS", "StreamWriter", "Turn", "encode_frames", "head_of"]
__all__ += asgi.__all__
__all__ += dialect_json.__all__
__all__ += guard.__all__
__all__ += reply.__all__
__all__ += request.__all__
__all__ += route.__all__
__all__ += server.__all__
__all__ += upgrade.__all__
