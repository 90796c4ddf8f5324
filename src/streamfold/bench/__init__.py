"""The door of the room that measures.

In      a Shape
Out     the frames of a made stream
Units   deltas, bytes
Source  docs/reference/benchmarks.md
"""

from streamfold.bench.workload import Shape, cut, make_stream, payloads

__all__ = ["Shape", "cut", "make_stream", "payloads"]
