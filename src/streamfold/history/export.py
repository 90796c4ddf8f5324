"""A stream of the log as a stream of server-sent events, which any reader of such reads.

In      a log, a key, and how far
Out     chunks of an `.sse` file: each event's data byte for byte as it came
Units   bytes; sequence numbers
Errors  UsageError for a record that such a stream cannot carry; UnknownStream, NumberNotReached, LogUnusable
Source  docs/reference/history.md
"""

from streamfold.errors import UsageError
from streamfold.history.folding import is_filler
from streamfold.history.pages import Pages, existing, require_number
from streamfold.log import EventLog, Record, StreamKey
from streamfold.sse import Frame, encode_frame

__all__ = ["Exported", "export"]


class Exported:
    """Iterate it for the chunks."""

    def __init__(self, log: EventLog, key: StreamKey, *, at: int | None) -> None:
        self._log = log
        self._key = key
        self._at = at
        self._pages: Pages | None = None

    def __aiter__(self) -> "Exported":
        return self

    async def __anext__(self) -> bytes:
        if self._pages is None:
            info = await existing(self._log, self._key)
            if self._at is not None:
                require_number(info, self._at)
            self._pages = Pages(self._log, info, to=self._at)
        page = await anext(self._pages)
        return b"".join(_frame(record) for record in page if not is_filler(record))


def export(log: EventLog, key: StreamKey, *, at: int | None = None) -> Exported:
    """Iterate it for the chunks of an `.sse` file that holds the stream up to this number, or to its end.

    A number that the server never used is left out.
    Raises, when iterated: UnknownStream; NumberNotReached; UsageError for data that such a file cannot carry, as with a
    carriage return in it; LogUnusable.
    """
    return Exported(log, key, at=at)


def _frame(record: Record) -> bytes:
    try:
        return encode_frame(Frame(event=record.name.encode(), data=record.data))
    except UsageError as error:
        raise UsageError(f"record {record.sequence_number} cannot be exported: {error}") from error
