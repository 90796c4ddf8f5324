"""A stream of the log as a file of server-sent events, which every SSE reader can read."""

from collections.abc import AsyncIterator

from streamfold.errors import UsageError
from streamfold.history.replay import is_filler
from streamfold.log import EventLog, Record, StreamKey, StreamPages, pages
from streamfold.sse import Frame, encode_frame


class Exported(AsyncIterator[bytes]):
    """Iterate it for the chunks. `export` makes one."""

    def __init__(self, log: EventLog, key: StreamKey, *, at: int | None) -> None:
        self._log = log
        self._key = key
        self._at = at
        self._pages: StreamPages | None = None

    async def __anext__(self) -> bytes:
        if self._pages is None:
            self._pages = pages(self._log, await self._log.require(self._key), to=self._at)
        page = await anext(self._pages)
        return b"".join(_frame(record) for record in page if not is_filler(record))


def export(log: EventLog, key: StreamKey, *, at: int | None = None) -> Exported:
    """The chunks of an `.sse` file of the stream: `async for chunk in export(log, key)`.

    The data of each event is the bytes that arrived. Numbers that the server never used are left out.

    Args:
        log: The log.
        key: The stream.
        at: The number of the last record to export; None exports the whole stream.

    Raises:
        UnknownStream: While iterating: the log has no such stream.
        NumberNotReached: While iterating: the stream has no record `at`.
        UsageError: While iterating: a record cannot be written as SSE, for example because of a carriage return.
        LogUnusable: While iterating: a record is missing or damaged.
    """
    return Exported(log, key, at=at)


def _frame(record: Record) -> bytes:
    try:
        return encode_frame(Frame(event=record.name.encode(), data=record.data))
    except UsageError as error:
        raise UsageError(f"record {record.sequence_number} cannot be exported: {error}") from error
