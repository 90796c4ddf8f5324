"""Streams in a log for the terminal program, and a program that is run without a terminal."""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import fail_after
from textual.pilot import Pilot

from streamfold.cli.inspect.program import Inspector
from streamfold.cli.inspect.scan import first_look
from streamfold.cli.inspect.widgets import Pane
from streamfold.log import EventLog, Lease, Note, Record
from tests.history.made import KEY, begin, records_of, said

WORDS = ["Hel", "lo ", "wor", "ld"]
RECORDS = records_of(said(*WORDS))  # created, item added, four deltas, completed: 0 to 6
RESUME = Note("repair", "resume: ReadError", 3, 1_700_000_000.0)
CANCEL = Note("cancel", "asked for", None, 1_700_000_001.0)
OUTCOME = Note("outcome", "completed, proven by terminal_event", 6, 1_700_000_002.0)
SECONDS = 20.0  # what a slow machine may take for what takes none
PLACE_BITS = 24  # of a row's key in the table of events are its place in the stream


async def put(
    log: EventLog, records: Sequence[Record] = RECORDS, *, notes: Sequence[Note] = (), status: str | None = None
) -> Lease:
    """A stream with these records and notes; with a status it is finished, and nobody's."""
    lease = await begin(log, records, status=status)
    for note in notes:
        await log.note(lease, note)
    if status is not None:
        await log.release(lease)
    return lease


def spoil(path: Path, statement: str) -> None:
    """Change one row of the file, behind the log's back."""
    with sqlite3.connect(path) as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


def damage(path: Path, place: int) -> None:
    """Make the checksum of the record at this place of the only stream another."""
    spoil(path, f"UPDATE event SET crc = crc + 1 WHERE (k & {(1 << PLACE_BITS) - 1}) = {place}")


def remove(path: Path, place: int) -> None:
    """Take it away."""
    spoil(path, f"DELETE FROM event WHERE (k & {(1 << PLACE_BITS) - 1}) = {place}")


@asynccontextmanager
async def program(
    log: EventLog, *, at: int | None = None, size: tuple[int, int] = (120, 30)
) -> AsyncGenerator[tuple[Inspector, Pilot[None]], None]:
    """The program over the stream, once it shows the scene that it begins with."""
    app = Inspector(log, KEY, await first_look(log, KEY), at=at)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: bool(app.query_one(Pane).lines))
        yield app, pilot


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Let the program run until it does."""
    with fail_after(SECONDS):
        while not holds():
            await pilot.pause()
