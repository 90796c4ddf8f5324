"""One entry of the log, and the name of the stream that it belongs to.

In      nothing
Out     Record, StreamKey
Units   sequence numbers, step 1, one series for each stream
Source  docs/reference/log.md

A log knows no events: it keeps numbers, names and bytes.
"""

from msgspec import Struct

__all__ = ["Record", "StreamKey"]


class Record(Struct, frozen=True, gc=False):
    """One event as it came. name: of its type, as the `event:` line has it. data: what the `data:` lines held."""

    sequence_number: int
    name: str
    data: bytes


class StreamKey(Struct, frozen=True, gc=False):
    """Whose stream it is, and of which response. Two tenants never see each other's."""

    tenant: str
    response_id: str
