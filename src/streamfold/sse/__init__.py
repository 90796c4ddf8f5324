"""Server-Sent Events: bytes to frames and back, for any SSE stream."""

from streamfold.sse.decoder import MAX_FRAME_BYTES, FrameDecoder
from streamfold.sse.encoder import encode_comment, encode_frame
from streamfold.sse.frame import Frame

__all__ = ["MAX_FRAME_BYTES", "Frame", "FrameDecoder", "encode_comment", "encode_frame"]
