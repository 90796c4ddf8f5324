"""One block of a Server-Sent Events stream that carries data (WHATWG HTML, 9.2.6)."""

import msgspec

# A longer retry is more than 30 million years and does not fit into 64 bits, as JSON numbers must. Without a limit,
# int() itself raises at 4,300 digits.
MAX_RETRY_DIGITS = 18


class Frame(msgspec.Struct, frozen=True, gc=False):
    """The fields of one block, as bytes. To read them as text, decode with errors="replace", as the standard does.

    Attributes:
        event: The event's name; empty if the block has none, which a browser calls "message".
        data: The data lines, joined with LF.
        id: The last event id when the block ended: its own or an earlier one.
        retry: Milliseconds, if this block has a `retry:` line; otherwise None.
    """

    event: bytes = b""
    data: bytes = b""
    id: bytes = b""
    retry: int | None = None
