"""The health of a SQLite log: how the file is set up, and everything in it that is not as it was written."""

import os
import sqlite3
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from streamfold.log.record import Damage, Diagnosis, Durability, StreamKey
from streamfold.log.sqlite.file import FAILURES, explain, has_wal, primary_code
from streamfold.log.sqlite.notify import can_be_notified
from streamfold.log.sqlite.queries import NOTES, READ
from streamfold.log.sqlite.schema import PLACE_BITS, STREAM, VERSION, StreamRow, Values, matches

SOUND_VERSION = (3, 51, 3)
SYNCHRONOUS = {0: "off", 1: "normal", 2: "full", 3: "extra"}
MOUNTS = Path("/proc/mounts")
# File systems whose locks may not hold on every machine that mounts them.
NETWORK_FILE_SYSTEMS = {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}  # fmt: skip

# By the table itself: a damaged index may name too few streams, or too many.
IDS = "SELECT id FROM stream NOT INDEXED"
STREAM_BY_ID = f"SELECT {STREAM}, crc FROM stream WHERE id = ?"
CHECKPOINTS = "SELECT stream, cursor, data, crc FROM checkpoint WHERE stream = ? ORDER BY cursor"
# Rows of no stream: their stream's row is gone, or their own id changed.
STRAYS = {
    "records": f"SELECT count(*) FROM event WHERE k >> {PLACE_BITS} NOT IN (SELECT id FROM stream)",
    "checkpoints": "SELECT count(*) FROM checkpoint WHERE stream NOT IN (SELECT id FROM stream)",
    "notes": "SELECT count(*) FROM note WHERE stream NOT IN (SELECT id FROM stream)",
}


# Settings


def diagnose(connection: sqlite3.Connection, path: Path) -> Diagnosis:
    """The versions and settings of the log, and what is unsafe about them."""

    def pragma(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    wal, mode = Path(f"{path}-wal"), path.stat().st_mode & 0o777
    settings = {
        "file": str(path),
        "schema": f"{pragma('user_version')} of {VERSION}",
        "journal_mode": str(pragma("journal_mode")),
        "synchronous": SYNCHRONOUS.get(int(str(pragma("synchronous"))), "unknown"),
        "permissions": f"{mode:o}",
        "bytes": f"{path.stat().st_size:,}",
        "bytes in the -wal": f"{wal.stat().st_size if wal.exists() else 0:,}",
        "free pages": f"{pragma('freelist_count'):,}",
        "file system": file_system_of(path) or "unknown",
        "block size": f"{os.statvfs(path).f_bsize:,}" if hasattr(os, "statvfs") else "unknown",
        "notifications": "sockets" if can_be_notified(path) else "none: tails poll every safety_seconds",
    }
    return Diagnosis(
        engine=f"SQLite {sqlite3.sqlite_version}",
        durability=Durability.POWER,
        settings=settings,
        unsafe=tuple(_unsafe(settings, mode)),
    )


def _unsafe(settings: dict[str, str], mode: int) -> Iterator[str]:
    if sqlite3.sqlite_version_info < SOUND_VERSION:
        yield (
            f"SQLite {sqlite3.sqlite_version} can corrupt a file when two connections checkpoint it at once; streamfold"
            f" checkpoints only under its lock, so let no other program write the file, or use SQLite 3.51.3 or later"
        )
    if sys.platform == "win32":
        yield "Windows lacks the lock that this log uses between processes; write the file from one process only"
    if settings["synchronous"] not in {"full", "extra"}:
        yield f"synchronous is {settings['synchronous']}: a power failure may lose acknowledged records"
    if mode & 0o077 and sys.platform != "win32":
        yield f"other users may open the file: its permissions are {mode:o}; run chmod 600 on it"
    if settings["file system"] in NETWORK_FILE_SYSTEMS:
        yield f"the file is on {settings['file system']}, where locks may not work; put it on a disk of this machine"
    if settings["block size"] in {"512", "1,024", "2,048"}:
        yield (
            f"the file system has blocks of {settings['block size']} bytes: when it is full, SQLite kills the process"
            f" (SIGBUS in its -shm); put the file on a file system with the usual 4,096"
        )


def file_system_of(path: Path) -> str | None:
    """The type of file system that a file is on, as Linux spells it; None on other systems."""
    try:
        mounts = MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return None
    kinds: dict[Path, str] = {}
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        kinds[Path(_unescaped(point))] = kind  # the later of two mounts on one point hides the other
    return next((kinds[folder] for folder in path.parents if folder in kinds), None)


def _unescaped(point: str) -> str:
    for number in ("040", "011", "012", "134"):  # how the kernel writes blanks and backslashes
        point = point.replace(f"\\{number}", chr(int(number, 8)))
    return point


# Damage


def damages(connection: sqlite3.Connection) -> list[Damage]:
    """Everything that is not as it was written: by SQLite's own checks, then row by row by the checksums.

    Each stream is read in a transaction of its own, so that the file can be written meanwhile and its -wal stays small.
    """
    found: list[Damage] = []
    with _reported_in(found, None):
        found += [Damage(None, each) for each in _cut_short(connection)]
        found += [
            Damage(None, _in_one_line(each)) for (each,) in connection.execute("PRAGMA integrity_check") if each != "ok"
        ]
    streams: list[int] = []
    with _reported_in(found, None):
        streams.extend(stream for (stream,) in connection.execute(IDS))
    # The ids first, then each stream apart: one that SQLite cannot read must not hide the others.
    for stream in streams:
        with _reported_in(found, None), _snapshot(connection):
            _check_stream(connection, stream, found)
    for what, count in STRAYS.items():
        with _reported_in(found, None):
            strays = connection.execute(count).fetchone()[0]
            if strays:
                found.append(Damage(None, f"{strays:,} {what} belong to no stream"))
    return list(dict.fromkeys(found))


def _cut_short(connection: sqlite3.Connection) -> Iterator[str]:
    """Whether the file is shorter than its own header says.

    Not if there is a -wal: the missing pages may be there, on their way into the file. SQLite makes the comparison, on a
    connection of its own: if this process opened and closed the file itself, the system would drop SQLite's locks on it,
    and another process could delete the -wal that ours still writes.
    """
    path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    with _snapshot(connection):
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on no checkpoint can begin
        if has_wal(path):
            return
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as strict:
                strict.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as error:
            if primary_code(error) == "SQLITE_CORRUPT":
                yield f"the file is cut short: it has {path.stat().st_size:,} bytes, fewer than its header says"


def _in_one_line(report: str) -> str:
    first, *others = [line for line in report.splitlines() if not line.startswith("***")] or [report]
    return f"{first}, and {len(others):,} more like it" if others else first


def _check_stream(connection: sqlite3.Connection, stream: int, found: list[Damage]) -> None:
    values = connection.execute(STREAM_BY_ID, (stream,)).fetchone()
    if values is None:  # dropped meanwhile
        return
    if not matches(values):
        found.append(Damage(_known_key(connection, values), f"the entry of stream {stream} is damaged"))
        return
    row = StreamRow(*values[:-1])
    for check in (_check_events, _check_checkpoints, _check_notes):
        with _reported_in(found, row.key):
            found.extend(Damage(row.key, each) for each in check(connection, row))


def _known_key(connection: sqlite3.Connection, values: Values) -> StreamKey | None:
    """The key in a damaged row, if the index confirms it."""
    key = values[1:3]
    indexed = connection.execute("SELECT id FROM stream WHERE tenant = ? AND response_id = ?", key).fetchone()
    return StreamKey(*key) if indexed == values[:1] else None


def _check_events(connection: sqlite3.Connection, row: StreamRow) -> Iterator[str]:
    first, end = row.id << PLACE_BITS, (row.id + 1) << PLACE_BITS
    yield from _check_series(
        connection.execute(READ, (first, end)),
        what="record",
        number_of=lambda values: values[0] - row.key_base,
        first=row.first_number,
        end=row.next_number,
    )


def _check_notes(connection: sqlite3.Connection, row: StreamRow) -> Iterator[str]:
    rows = connection.execute(NOTES, (row.id,))
    yield from _check_series(rows, what="note", number_of=lambda values: values[1], first=0, end=row.notes)


def _check_checkpoints(connection: sqlite3.Connection, row: StreamRow) -> Iterator[str]:
    for values in connection.execute(CHECKPOINTS, (row.id,)):
        if not matches(values) or values[1] >= row.next_number:
            yield f"checkpoint {values[1]} is damaged"


def _check_series(
    rows: Iterator[Values], *, what: str, number_of: Callable[[Values], int], first: int, end: int
) -> Iterator[str]:
    """What is wrong with rows that should have every number from `first` to before `end`, in order."""
    expected = first
    for values in rows:
        number = number_of(values)
        if number < expected or number >= end:
            yield f"{what} {number} should not exist"
            continue
        if number > expected:
            yield _missing(what, expected, number)
        if not matches(values):
            yield f"{what} {number} is damaged"
        expected = number + 1
    if expected < end:
        yield _missing(what, expected, end)


def _missing(what: str, first: int, end: int) -> str:
    if end == first + 1:
        return f"{what} {first} is missing"
    return f"{what}s {first} to {end - 1} are missing"


@contextmanager
def _reported_in(found: list[Damage], key: StreamKey | None) -> Generator[None]:
    """What SQLite cannot read is one more damage; the search continues."""
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
