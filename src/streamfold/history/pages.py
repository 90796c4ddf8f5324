"""The records of one stream, read page by page, with none left out.

In      a log, where the stream stands, and the numbers between which to read
Out     lists of records, each behind the one before
Units   sequence numbers; records
Errors  LogUnusable where a record is missing; NumberNotReached for a number that the stream does not reach
Source  docs/reference/history.md
"""

from streamfold.errors import LogUnusable, NumberNotReached, UnknownStream
from streamfold.log import EventLog, Record, StreamInfo, StreamKey

__all__ = ["Pages", "existing", "require_number"]

# Measured: pages of 500 to 5,000 are read at the same speed.
READ_AT_ONCE = 1000


async def existing(log: EventLog, key: StreamKey) -> StreamInfo:
    """Where the stream stands.

    Raises: UnknownStream.
    """
    info = await log.info(key)
    if info is None:
        raise UnknownStream(key.tenant, key.response_id)
    return info


def require_number(info: StreamInfo, at: int) -> None:
    """The stream holds a record of this number.

    Raises: NumberNotReached.
    """
    if at < info.first_number < info.next_number:
        raise NumberNotReached(at, info.first_number)
    if at >= info.next_number:
        raise NumberNotReached(at, info.next_number - 1 if info.next_number > info.first_number else None)


class Pages:
    """Iterate it for the pages. What was appended since `info` was asked for is not read.

    after: the number behind which to begin; None for all. to: the last number; None for the stream's last.
    """

    def __init__(self, log: EventLog, info: StreamInfo, *, after: int | None = None, to: int | None = None) -> None:
        self._log = log
        self._key = info.key
        self._next = info.first_number if after is None else max(info.first_number, after + 1)
        self._beyond = info.next_number if to is None else to + 1

    def __aiter__(self) -> "Pages":
        return self

    async def __anext__(self) -> list[Record]:
        wanted = min(READ_AT_ONCE, self._beyond - self._next)
        if wanted <= 0:
            raise StopAsyncIteration
        page = await self._log.read(self._key, after=self._next - 1, limit=wanted)
        for place, record in enumerate(page):
            if record.sequence_number != self._next + place:
                raise self._missing(self._next + place)
        if not page:
            await existing(self._log, self._key)  # it may have been dropped meanwhile
            raise self._missing(self._next)
        self._next += len(page)
        return page

    def _missing(self, number: int) -> LogUnusable:
        return LogUnusable(self._key.response_id, f"record {number} is missing; restore the log from a copy")
