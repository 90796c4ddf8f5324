"""One block of a Server-Sent Events stream: what lies between two blank lines, when it carries data.

In      the values of the block's fields, as bytes
Out     Frame
Units   bytes as they were sent; `retry` in milliseconds
Source  WHATWG HTML, "Server-sent events", 9.2.6
"""

import msgspec

__all__ = ["MAX_RETRY_DIGITS", "Frame"]

# A retry of more digits is no time anyone waits (30 million years) and would not fit 64 bits, as JSON numbers must.
# Without a bound, int() itself raises at 4,300 digits.
MAX_RETRY_DIGITS = 18


class Frame(msgspec.Struct, frozen=True, gc=False):
    """What one block says. Nothing is decoded: bytes that are not UTF-8 stay as they were sent.

    event: the event's name; empty where none was given, which a browser calls "message".
    data: the data lines, joined with LF. id: the last event id when the block ended, its own or an earlier one.
    retry: milliseconds, from this very block; None where it gave none.
    A reader of text decodes with errors="replace", as the standard does.
    """

    event: bytes = b""
    data: bytes = b""
    id: bytes = b""
    retry: int | None = None
