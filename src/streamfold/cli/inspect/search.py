"""Words looked for in the events of a stream.

In      words, and records in the order of their numbers
Out     whether an event has them: in its type, in its data, or in a text that grew over several events to hold them
Units   characters; case is ignored
Errors  none
Source  docs/reference/cli.md
"""

from msgspec import Struct
from msgspec.json import Decoder

from streamfold.cli.inspect.pages import Damaged, read_what_can_be
from streamfold.cli.inspect.timeline import Timeline
from streamfold.log import EventLog, Record, StreamKey
from streamfold.schema import UNDECODABLE

__all__ = ["Search", "find"]

READ_AT_ONCE = 500


class _Delta(Struct):
    """What an event adds to a text. The server may have put anything here."""

    delta: str = ""


_decode_delta = Decoder(_Delta).decode


class Search:
    """Give it one record after the other."""

    def __init__(self, words: str) -> None:
        self._words = words.casefold()
        self._tail = ""  # of the text so far, too short to hold the words

    def finds(self, record: Record) -> bool:
        """Whether the words are in this event, or are whole with it."""
        text = self._tail + _delta(record)
        self._tail = text[-(len(self._words) - 1) :] if len(self._words) > 1 else ""
        return (
            self._words in record.name.casefold()
            or self._words in text
            or self._words in record.data.decode("utf-8", "replace").casefold()
        )


def _delta(record: Record) -> str:
    try:
        return _decode_delta(record.data).delta.casefold()
    except UNDECODABLE:
        return ""


async def find(log: EventLog, key: StreamKey, timeline: Timeline, words: str, *, after: int | None) -> int | None:
    """The number of the next event behind this one that has the words; past the end it goes on from the beginning.

    Returns: None where no event has them.
    Raises: LogError.
    """
    search = Search(words)
    start = timeline.first if after is None else after + 1
    for first, beyond in ((start, timeline.beyond), (timeline.first, start)):
        for at in range(first, beyond, READ_AT_ONCE):
            page = await read_what_can_be(log, key, first=at, count=min(READ_AT_ONCE, beyond - at))
            for record in page:
                if not isinstance(record, Damaged) and search.finds(record):
                    return record.sequence_number
    return None
