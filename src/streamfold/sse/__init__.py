"""The door of the room between bytes and frames.

In      chunks of a Server-Sent Events stream, cut anywhere; or frames
Out     frames, or the bytes that say them
Units   bytes; `retry` in milliseconds
Source  WHATWG HTML, "Server-sent events"
"""

from streamfold.sse.decoder import FrameDecoder
from streamfold.sse.encoder import encode_comment, encode_frame
from streamfold.sse.frame import Frame

__all__ = ["Frame", "FrameDecoder", "encode_comment", "encode_frame"]
