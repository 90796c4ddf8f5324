"""What in a SQLite log is not as it was written: by SQLite's own checks, and row by row by ours.

In      a connection that only reads
Out     the damages
Errors  none for what is in the file: that is what is told
Source  docs/reference/log.md; decision 0015
"""

import os
import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from streamfold.log.diagnosis import Damage
from streamfold.log.record import StreamKey
from streamfold.log.seal import Values, is_whole
from streamfold.log.sqlite_file import FAILURES, explain, has_wal
from streamfold.log.sqlite_schema import STREAM
from streamfold.log.stream_row import PLACE_BITS, StreamRow

__all__ = ["damages"]

IDS = "SELECT id FROM stream NOT INDEXED"
STREAM_OF = f"SELECT {STREAM}, crc FROM stream WHERE id = ?"
EVENTS = "SELECT k, name, data, crc FROM event WHERE k >= ? AND k < ? ORDER BY k"
CHECKPOINTS = "SELECT stream, cursor, data, crc FROM checkpoint WHERE stream = ? ORDER BY cursor"
NOTES = "SELECT stream, number, kind, text, after, at, crc FROM note WHERE stream = ? ORDER BY number"
# What belongs to no stream: its stream's row is gone, or its own number is another one now.
STRAYS = {
    "records": f"SELECT count(*) FROM event WHERE k >> {PLACE_BITS} NOT IN (SELECT id FROM stream)",
    "checkpoints": "SELECT count(*) FROM checkpoint WHERE stream NOT IN (SELECT id FROM stream)",
    "notes": "SELECT count(*) FROM note WHERE stream NOT IN (SELECT id FROM stream)",
}


def damages(connection: sqlite3.Connection) -> list[Damage]:
    """See EventLog.damages. Each stream is looked at in a transaction of its own, for others may write meanwhile."""
    found: list[Damage] = []
    with _told_in(found, None):
        found += [Damage(None, each) for each in _cut_short(connection)]
        found += [
            Damage(None, _in_one_line(each)) for (each,) in connection.execute("PRAGMA integrity_check") if each != "ok"
        ]
    streams: list[int] = []
    with _told_in(found, None):
        streams.extend(stream for (stream,) in connection.execute(IDS))
    for stream in streams:
        with _told_in(found, None), _snapshot(connection):
            _look_at(connection, stream, found)
    for what, count in STRAYS.items():
        with _told_in(found, None):
            strays = connection.execute(count).fetchone()[0]
            if strays:
                found.append(Damage(None, f"{strays:,} {what} belong to no stream"))
    return list(dict.fromkeys(found))


def _cut_short(connection: sqlite3.Connection) -> Iterator[str]:
    """Whether the file has fewer bytes than it says itself: SQLite counts pages at place 28 of it.

    Not while there is a -wal: what the file lacks may be there, where it was being moved into the file.
    """
    path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    with _snapshot(connection):
        connection.execute(
            "SELECT count(*) FROM sqlite_schema"
        ).fetchone()  # without a -wal, nothing is moved from here on
        if has_wal(path):
            return
        with path.open("rb") as file:
            pages = int.from_bytes(file.read(32)[28:])
            size = file.seek(0, os.SEEK_END)
    needed = pages * connection.execute("PRAGMA page_size").fetchone()[0]
    if size < needed:
        yield f"the file is cut short: it has {size:,} of {needed:,} bytes"


def _in_one_line(said: str) -> str:
    """What SQLite found, its first line that is no heading; and how many more there are."""
    first, *others = [line for line in said.splitlines() if not line.startswith("***")] or [said]
    return f"{first}, and {len(others):,} more of such" if others else first


def _look_at(connection: sqlite3.Connection, stream: int, found: list[Damage]) -> None:
    values = connection.execute(STREAM_OF, (stream,)).fetchone()
    if values is None:  # it was dropped meanwhile
        return
    if not is_whole(values):
        found.append(Damage(_known(connection, values), f"what is known of stream {stream} is damaged"))
        return
    row = StreamRow(*values[:-1])
    for look in (_look_at_events, _look_at_checkpoints, _look_at_notes):
        with _told_in(found, row.key):
            found.extend(Damage(row.key, each) for each in look(connection, row))


def _known(connection: sqlite3.Connection, values: Values) -> StreamKey | None:
    """The key in a damaged row, if the index has it too."""
    key = values[1:3]
    indexed = connection.execute("SELECT id FROM stream WHERE tenant = ? AND response_id = ?", key).fetchone()
    return StreamKey(*key) if indexed == values[:1] else None


def _look_at_events(connection: sqlite3.Connection, row: StreamRow) -> Iterator[str]:
    first, beyond = row.id << PLACE_BITS, (row.id + 1) << PLACE_BITS
    yield from _look(
        connection.execute(EVENTS, (first, beyond)),
        what="record",
        number_of=lambda values: values[0] - row.key_base,
        first=row.first_number,
        beyond=row.next_number,
    )


def _look_at_notes(connection: sqlite3.Connection, row: StreamRow) -> Iterator[str]:
    found = connection.execute(NOTES, (row.id,))
    yield from _look(found, what="note", number_of=lambda values: values[1], first=0, beyond=row.notes)


def _look_at_checkpoints(connection: sqlite3.Connection, row: StreamRow) -> Iterator[str]:
    for values in connection.execute(CHECKPOINTS, (row.id,)):
        if not is_whole(values) or values[1] >= row.next_number:
            yield f"checkpoint {values[1]} is damaged"


def _look(
    found: Iterator[Values], *, what: str, number_of: Callable[[Values], int], first: int, beyond: int
) -> Iterator[str]:
    """What is wrong with rows that should have all the numbers from the first to before the second, in order."""
    expected = first
    for values in found:
        number = number_of(values)
        if number < expected or number >= beyond:
            yield f"{what} {number} is where none should be"
            continue
        if number > expected:
            yield _missing(what, expected, number)
        if not is_whole(values):
            yield f"{what} {number} is damaged"
        expected = number + 1
    if expected < beyond:
        yield _missing(what, expected, beyond)


def _missing(what: str, first: int, beyond: int) -> str:
    if beyond == first + 1:
        return f"{what} {first} is missing"
    return f"{what}s {first} to {beyond - 1} are missing"


@contextmanager
def _told_in(found: list[Damage], key: StreamKey | None) -> Generator[None]:
    """What SQLite cannot read is a damage, and not the end of the search."""
    try:
        yield
    except FAILURES as error:
        found.append(Damage(key, explain(error)))


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:  # some failures have ended it
            connection.execute("ROLLBACK")
