"""What is known of one row: the states around it, and the event's own bytes.

In      a Timeline, the entries at hand, a row of it
Out     a Scene
Units   rows
Errors  none: what cannot be known is a Scene that says why
Source  docs/reference/cli.md
"""

from streamfold.cli.inspect.pages import NO_EVENT, Entry, Pages
from streamfold.cli.inspect.render import Scene
from streamfold.cli.inspect.timeline import At, Between, End, Timeline
from streamfold.cli.log.show import timestamp
from streamfold.errors import LogError
from streamfold.fold import State
from streamfold.history import replay
from streamfold.log import EventLog, Note, StreamKey

__all__ = ["scene_of"]

NO_RECORD = "no event has been recorded yet"


async def scene_of(log: EventLog, key: StreamKey, *, timeline: Timeline, pages: Pages, row: int) -> Scene:
    """The scene of a row, whose entry is at hand."""
    if not timeline.rows:
        return Scene(words=(NO_RECORD,))
    number = timeline.number_at(row)
    entry = None if number is None else pages.entry(number)
    match timeline.place(row):
        case At():
            return _of_event(entry)
        case Between(note):
            state = entry.after if entry else State()
            return Scene(state, state, words=(_told(note),))
        case End(status):
            try:
                last = await replay(log, key)
            except LogError as error:
                return Scene(words=(f"the end: {status}", str(error)))
            return Scene(entry.after if entry else None, last, words=(f"the end: {status}",))


def _of_event(entry: Entry | None) -> Scene:
    if entry is None:
        return Scene()
    is_plain = entry.record is not None and entry.words != NO_EVENT and entry.after is not None
    data = entry.record.data if entry.record else None
    return Scene(entry.before, entry.after, data, words=() if is_plain else (entry.words,))


def _told(note: Note) -> str:
    return f"{note.kind}: {note.text} ({timestamp(note.at)})"
