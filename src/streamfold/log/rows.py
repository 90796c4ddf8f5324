"""The statements of a SQLite log: what each method of an EventLog reads and writes, in a transaction of the caller's.

In      a connection, and the method's arguments
Out     what the method returns
Units   sequence numbers, seconds since 1970
Errors  LogError and its kinds, before anything was written; sqlite3.Error
Source  docs/reference/log.md; decision 0013

A record's key is its stream's and its place in it, packed into one number, so that a stream lies together in the file.
"""

import sqlite3
from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from streamfold.errors import InvalidArgument, LeaseHeld, LogGap, UnknownStream, WriterFenced
from streamfold.log.append import Head, new_records, next_epoch
from streamfold.log.log import Lease, Note, SavedCheckpoint, StreamInfo
from streamfold.log.record import Record, StreamKey
from streamfold.log.seal import is_whole, sealed
from streamfold.log.sqlite_schema import STREAM
from streamfold.log.stream_row import MOST_RECORDS, PLACE_BITS, StreamRow, damage, row_of, save

__all__ = [
    "Result",
    "acquire",
    "append",
    "checkpoint",
    "drop",
    "expire",
    "info",
    "note",
    "notes",
    "page",
    "read",
    "release",
    "renew",
    "request_cancel",
    "retain",
    "save_checkpoint",
    "tenants",
]

Result = TypeVar("Result")

FIND = f"SELECT {STREAM}, crc FROM stream WHERE tenant = ? AND response_id = ?"
PAGE = f"SELECT {STREAM}, crc FROM stream WHERE tenant = ? AND response_id > ? ORDER BY response_id LIMIT ?"
INSERT_STREAM = """
    INSERT INTO stream (tenant, response_id, first_number, next_number, epoch, owner, lease_expires_at, created_at)
    VALUES (?, ?, ?, ?, 0, '', 0, ?)
"""
READ = "SELECT k, name, data, crc FROM event WHERE k >= ? AND k < ? ORDER BY k"
NOTES = "SELECT stream, number, kind, text, after, at, crc FROM note WHERE stream = ? ORDER BY number"
OVER = f"SELECT {STREAM}, crc FROM stream WHERE expires_at <= ? LIMIT ?"
INSERT = "INSERT INTO event (k, name, data, crc) VALUES (?, ?, ?, ?)"


def _found(connection: sqlite3.Connection, key: StreamKey) -> StreamRow | None:
    values = connection.execute(FIND, (key.tenant, key.response_id)).fetchone()
    if values is None:
        return None
    row = row_of(values)
    if (row.tenant, row.response_id) != (key.tenant, key.response_id):  # the index is damaged
        raise damage(key.response_id, "where the stream is")
    return row


def _existing(connection: sqlite3.Connection, key: StreamKey) -> StreamRow:
    row = _found(connection, key)
    if row is None:
        raise UnknownStream(key.tenant, key.response_id)
    return row


def _written_by(connection: sqlite3.Connection, lease: Lease) -> StreamRow:
    row = _existing(connection, lease.key)
    if row.epoch != lease.epoch:
        raise WriterFenced(lease.epoch, row.epoch)
    return row


def acquire(
    connection: sqlite3.Connection, key: StreamKey, *, owner: str, seconds: float, first_number: int, now: float
) -> Lease:
    """See EventLog.acquire."""
    row = _found(connection, key) or _made(connection, key, first_number, now=now)
    if row.owner not in {"", owner} and row.lease_expires_at > now:
        raise LeaseHeld(row.owner, row.lease_expires_at - now)
    epoch, expires_at = next_epoch(row.epoch, now=now), float(now + seconds)
    save(connection, replace(row, epoch=epoch, owner=owner, lease_expires_at=expires_at))
    return Lease(key, owner, epoch, row.next_number, expires_at)


def _made(connection: sqlite3.Connection, key: StreamKey, first_number: int, *, now: float) -> StreamRow:
    """A stream that is to be saved at once: its checksum is still missing, for it covers the id."""
    values = (key.tenant, key.response_id, first_number, first_number, now)
    stream = connection.execute(INSERT_STREAM, values).lastrowid or 0
    return StreamRow(
        stream, key.tenant, key.response_id, first_number, first_number, 0, "", 0.0, None, 0, float(now), None, 0
    )


def renew(connection: sqlite3.Connection, lease: Lease, *, expires_at: float) -> Lease:
    """See EventLog.renew."""
    row = _written_by(connection, lease)
    save(connection, replace(row, lease_expires_at=float(expires_at)))
    return Lease(lease.key, lease.owner, lease.epoch, row.next_number, expires_at)


def release(connection: sqlite3.Connection, lease: Lease) -> None:
    """See EventLog.release."""
    row = _found(connection, lease.key)
    if row is not None and row.epoch == lease.epoch:
        save(connection, replace(row, owner="", lease_expires_at=0.0))


def append(connection: sqlite3.Connection, lease: Lease, records: Sequence[Record], *, status: str | None) -> int:
    """See EventLog.append."""
    row = _existing(connection, lease.key)
    new = new_records(
        Head(row.next_number, row.epoch, row.status is not None),
        records,
        epoch=lease.epoch,
        stored=lambda first, beyond: _between(connection, row, first, beyond),
    )
    if new and new[-1].sequence_number - row.first_number >= MOST_RECORDS:
        raise InvalidArgument("records", f"a stream holds at most {MOST_RECORDS:,} records")
    base = row.key_base
    connection.executemany(INSERT, [sealed((base + each.sequence_number, each.name, each.data)) for each in new])
    next_number = row.next_number + len(new)
    save(connection, replace(row, next_number=next_number, status=status if row.status is None else row.status))
    return next_number


def _between(connection: sqlite3.Connection, row: StreamRow, first: int, beyond: int) -> list[Record]:
    """All records from the first of two numbers to before the second, as far as the stream goes."""
    expected, beyond = max(first, row.first_number), min(beyond, row.next_number)
    records: list[Record] = []
    if expected >= beyond:
        return records
    base = row.key_base
    for values in connection.execute(READ, (base + expected, base + beyond)):
        k, name, data, _ = values
        if k != base + expected:
            break
        if not is_whole(values):
            raise damage(row.response_id, f"record {expected}")
        records.append(Record(expected, name, data))
        expected += 1
    if expected < beyond:
        raise damage(row.response_id, f"record {expected}", "missing")
    return records


def info(connection: sqlite3.Connection, key: StreamKey) -> StreamInfo | None:
    """See EventLog.info."""
    row = _found(connection, key)
    return None if row is None else row.told()


def read(connection: sqlite3.Connection, key: StreamKey, *, after: int | None, limit: int) -> list[Record]:
    """See EventLog.read."""
    row = _found(connection, key)
    if row is None:
        return []
    first = row.first_number if after is None else max(row.first_number, after + 1)
    return _between(connection, row, first, first + limit)


def page(connection: sqlite3.Connection, tenant: str, *, after: str | None, limit: int) -> list[StreamInfo]:
    """See EventLog.list."""
    found: list[StreamInfo] = []
    for values in connection.execute(PAGE, (tenant, after or "", limit)):
        row = row_of(values)
        if row.tenant != tenant or row.response_id <= (found[-1].key.response_id if found else after or ""):
            raise damage(row.response_id, "where the stream is")
        found.append(row.told())
    return found


def tenants(connection: sqlite3.Connection, *, after: str | None, limit: int) -> list[str]:
    """See EventLog.tenants."""
    found = connection.execute(
        "SELECT DISTINCT tenant FROM stream WHERE ? IS NULL OR tenant > ? ORDER BY tenant LIMIT ?",
        (after, after, limit),
    )
    return [tenant for (tenant,) in found]


def request_cancel(connection: sqlite3.Connection, key: StreamKey) -> None:
    """See EventLog.request_cancel."""
    save(connection, replace(_existing(connection, key), is_cancel_requested=1))


def save_checkpoint(connection: sqlite3.Connection, lease: Lease, saved: SavedCheckpoint) -> None:
    """See EventLog.save_checkpoint."""
    row = _written_by(connection, lease)
    if saved.cursor >= row.next_number:
        raise LogGap(row.next_number, saved.cursor)
    connection.execute(
        "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?, ?)", sealed((row.id, saved.cursor, saved.data))
    )


def checkpoint(connection: sqlite3.Connection, key: StreamKey, *, at: int | None) -> SavedCheckpoint | None:
    """See EventLog.checkpoint."""
    row = _found(connection, key)
    if row is None:
        return None
    values = connection.execute(
        "SELECT stream, cursor, data, crc FROM checkpoint WHERE stream = ? AND cursor <= ? ORDER BY cursor DESC LIMIT 1",
        (row.id, row.next_number if at is None else at),
    ).fetchone()
    if values is None:
        return None
    if not is_whole(values):
        raise damage(row.response_id, f"checkpoint {values[1]}")
    return SavedCheckpoint(values[1], values[2])


def note(connection: sqlite3.Connection, lease: Lease, note: Note) -> None:
    """See EventLog.note."""
    row = _written_by(connection, lease)
    values = sealed((row.id, row.notes, note.kind, note.text, note.after, float(note.at)))
    connection.execute("INSERT INTO note VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    save(connection, replace(row, notes=row.notes + 1))


def notes(connection: sqlite3.Connection, key: StreamKey) -> list[Note]:
    """See EventLog.notes."""
    row = _found(connection, key)
    if row is None:
        return []
    found: list[Note] = []
    for values in connection.execute(NOTES, (row.id,)):
        if not is_whole(values) or values[1] != len(found):
            break
        found.append(Note(*values[2:6]))
    if len(found) != row.notes:
        raise damage(row.response_id, f"note {len(found)}", "damaged or missing")
    return found


def retain(connection: sqlite3.Connection, key: StreamKey, *, until: float | None) -> None:
    """See EventLog.retain."""
    expires_at = None if until is None else float(until)
    save(connection, replace(_existing(connection, key), expires_at=expires_at))


def expire(connection: sqlite3.Connection, *, now: float, limit: int) -> int:
    """See EventLog.expire."""
    over = connection.execute(OVER, (now, limit)).fetchall()
    for values in over:
        row = row_of(values)
        if row.expires_at is None or row.expires_at > now:  # the index said so, and it is damaged
            raise damage(row.response_id, "what is known of its end")
        _drop(connection, row.id)
    return len(over)


def drop(connection: sqlite3.Connection, key: StreamKey) -> bool:
    """See EventLog.drop. A damaged stream can be dropped too, as long as it is known to be this one."""
    values = connection.execute(FIND, (key.tenant, key.response_id)).fetchone()
    if values is None:
        return False
    of_id = connection.execute("SELECT tenant, response_id FROM stream WHERE id = ?", values[:1]).fetchone()
    if of_id != (key.tenant, key.response_id):
        raise damage(key.response_id, "where the stream is")
    _drop(connection, values[0])
    return True


def _drop(connection: sqlite3.Connection, stream: int) -> None:
    connection.execute("DELETE FROM event WHERE k >= ? AND k < ?", (stream << PLACE_BITS, (stream + 1) << PLACE_BITS))
    connection.execute("DELETE FROM checkpoint WHERE stream = ?", (stream,))
    connection.execute("DELETE FROM note WHERE stream = ?", (stream,))
    connection.execute("DELETE FROM stream WHERE id = ?", (stream,))
