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
from zlib import crc32

from streamfold.errors import InvalidArgument, LeaseHeld, LogGap, LogUnusable, UnknownStream, WriterFenced
from streamfold.log.append import Head, new_records, next_epoch
from streamfold.log.log import Lease, Note, SavedCheckpoint, StreamInfo
from streamfold.log.record import Record, StreamKey

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

PLACE_BITS = 24
MOST_RECORDS = 1 << PLACE_BITS

COLUMNS = """
    id, first_number, next_number, epoch, owner, lease_expires_at, status, is_cancel_requested, created_at, expires_at,
    tenant, response_id
"""
FIND = f"SELECT {COLUMNS} FROM stream WHERE tenant = ? AND response_id = ?"
PAGE = f"SELECT {COLUMNS} FROM stream WHERE tenant = ? AND response_id > ? ORDER BY response_id LIMIT ?"
INSERT_STREAM = """
    INSERT INTO stream (tenant, response_id, first_number, next_number, epoch, owner, lease_expires_at, created_at)
    VALUES (?, ?, ?, ?, 0, '', 0, ?)
"""
READ = "SELECT k, name, data, crc FROM event WHERE k >= ? AND k < ? ORDER BY k LIMIT ?"
INSERT = "INSERT INTO event (k, name, data, crc) VALUES (?, ?, ?, ?)"


def _found(connection: sqlite3.Connection, key: StreamKey) -> tuple[int, StreamInfo] | None:
    row = connection.execute(FIND, (key.tenant, key.response_id)).fetchone()
    return None if row is None else _told(row)


def _told(row: tuple[object, ...]) -> tuple[int, StreamInfo]:
    stream, first, following, epoch, owner, lease, status, cancel, created, expires, tenant, response_id = row
    told = StreamInfo(
        key=StreamKey(str(tenant), str(response_id)),
        first_number=_whole(first),
        next_number=_whole(following),
        epoch=_whole(epoch),
        owner=str(owner),
        lease_expires_at=_seconds(lease) or 0.0,
        status=None if status is None else str(status),
        is_cancel_requested=bool(cancel),
        created_at=_seconds(created) or 0.0,
        expires_at=_seconds(expires),
    )
    return _whole(stream), told


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise LogUnusable("the log", "it is damaged: a number is none; restore it from a copy")
    return value


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _existing(connection: sqlite3.Connection, key: StreamKey) -> tuple[int, StreamInfo]:
    found = _found(connection, key)
    if found is None:
        raise UnknownStream(key.tenant, key.response_id)
    return found


def _written_by(connection: sqlite3.Connection, lease: Lease) -> tuple[int, StreamInfo]:
    stream, there = _existing(connection, lease.key)
    if there.epoch != lease.epoch:
        raise WriterFenced(lease.epoch, there.epoch)
    return stream, there


def acquire(
    connection: sqlite3.Connection, key: StreamKey, *, owner: str, seconds: float, first_number: int, now: float
) -> Lease:
    """See EventLog.acquire."""
    found = _found(connection, key)
    if found is None:
        connection.execute(INSERT_STREAM, (key.tenant, key.response_id, first_number, first_number, now))
        found = _existing(connection, key)
    stream, there = found
    if there.owner not in {"", owner} and there.lease_expires_at > now:
        raise LeaseHeld(there.owner, there.lease_expires_at - now)
    epoch, expires_at = next_epoch(there.epoch, now=now), now + seconds
    connection.execute(
        "UPDATE stream SET epoch = ?, owner = ?, lease_expires_at = ? WHERE id = ?", (epoch, owner, expires_at, stream)
    )
    return Lease(key, owner, epoch, there.next_number, expires_at)


def renew(connection: sqlite3.Connection, lease: Lease, *, expires_at: float) -> Lease:
    """See EventLog.renew."""
    stream, there = _written_by(connection, lease)
    connection.execute("UPDATE stream SET lease_expires_at = ? WHERE id = ?", (expires_at, stream))
    return Lease(lease.key, lease.owner, lease.epoch, there.next_number, expires_at)


def release(connection: sqlite3.Connection, lease: Lease) -> None:
    """See EventLog.release."""
    connection.execute(
        "UPDATE stream SET owner = '', lease_expires_at = 0 WHERE tenant = ? AND response_id = ? AND epoch = ?",
        (lease.key.tenant, lease.key.response_id, lease.epoch),
    )


def append(connection: sqlite3.Connection, lease: Lease, records: Sequence[Record], *, status: str | None) -> int:
    """See EventLog.append."""
    stream, there = _existing(connection, lease.key)
    head = Head(there.next_number, there.epoch, there.is_finished)
    new = new_records(
        head,
        records,
        epoch=lease.epoch,
        stored=lambda first, beyond: _between(connection, stream, there, first, beyond),
    )
    base = (stream << PLACE_BITS) - there.first_number
    if new and new[-1].sequence_number - there.first_number >= MOST_RECORDS:
        raise InvalidArgument("records", f"a stream holds at most {MOST_RECORDS:,} records")
    connection.executemany(INSERT, [(base + each.sequence_number, each.name, each.data, _crc(each)) for each in new])
    next_number = there.next_number + len(new)
    connection.execute(
        "UPDATE stream SET next_number = ?, status = coalesce(status, ?) WHERE id = ?", (next_number, status, stream)
    )
    return next_number


def _crc(record: Record) -> int:
    return crc32(record.data, crc32(record.name.encode()))


def _between(
    connection: sqlite3.Connection, stream: int, there: StreamInfo, first: int, beyond: int, *, limit: int = -1
) -> list[Record]:
    base = (stream << PLACE_BITS) - there.first_number
    found = connection.execute(READ, (base + max(first, there.first_number), base + beyond, limit))
    records: list[Record] = []
    for k, name, data, crc in found:
        record = Record(k - base, name, data)
        if _crc(record) != crc:
            raise LogUnusable(
                there.key.response_id, f"record {record.sequence_number} is damaged; restore it from a copy"
            )
        records.append(record)
    return records


def info(connection: sqlite3.Connection, key: StreamKey) -> StreamInfo | None:
    """See EventLog.info."""
    found = _found(connection, key)
    return None if found is None else found[1]


def read(connection: sqlite3.Connection, key: StreamKey, *, after: int | None, limit: int) -> list[Record]:
    """See EventLog.read."""
    found = _found(connection, key)
    if found is None:
        return []
    stream, there = found
    first = there.first_number if after is None else after + 1
    return _between(connection, stream, there, first, there.next_number, limit=limit)


def page(connection: sqlite3.Connection, tenant: str, *, after: str | None, limit: int) -> list[StreamInfo]:
    """See EventLog.list."""
    return [_told(row)[1] for row in connection.execute(PAGE, (tenant, after or "", limit))]


def tenants(connection: sqlite3.Connection, *, after: str | None, limit: int) -> list[str]:
    """See EventLog.tenants."""
    found = connection.execute(
        "SELECT DISTINCT tenant FROM stream WHERE ? IS NULL OR tenant > ? ORDER BY tenant LIMIT ?",
        (after, after, limit),
    )
    return [tenant for (tenant,) in found]


def request_cancel(connection: sqlite3.Connection, key: StreamKey) -> None:
    """See EventLog.request_cancel."""
    stream, _ = _existing(connection, key)
    connection.execute("UPDATE stream SET is_cancel_requested = 1 WHERE id = ?", (stream,))


def save_checkpoint(connection: sqlite3.Connection, lease: Lease, saved: SavedCheckpoint) -> None:
    """See EventLog.save_checkpoint."""
    stream, there = _written_by(connection, lease)
    if saved.cursor >= there.next_number:
        raise LogGap(there.next_number, saved.cursor)
    connection.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?)", (stream, saved.cursor, saved.data))


def checkpoint(connection: sqlite3.Connection, key: StreamKey, *, at: int | None) -> SavedCheckpoint | None:
    """See EventLog.checkpoint."""
    found = _found(connection, key)
    if found is None:
        return None
    stream, there = found
    row = connection.execute(
        "SELECT cursor, data FROM checkpoint WHERE stream = ? AND cursor <= ? ORDER BY cursor DESC LIMIT 1",
        (stream, there.next_number if at is None else at),
    ).fetchone()
    return None if row is None else SavedCheckpoint(*row)


def note(connection: sqlite3.Connection, lease: Lease, note: Note) -> None:
    """See EventLog.note."""
    stream, _ = _written_by(connection, lease)
    connection.execute("INSERT INTO note VALUES (?, ?, ?, ?, ?)", (stream, note.kind, note.text, note.after, note.at))


def notes(connection: sqlite3.Connection, key: StreamKey) -> list[Note]:
    """See EventLog.notes."""
    found = _found(connection, key)
    if found is None:
        return []
    rows = connection.execute("SELECT kind, text, after, at FROM note WHERE stream = ? ORDER BY rowid", (found[0],))
    return [Note(*row) for row in rows]


def retain(connection: sqlite3.Connection, key: StreamKey, *, until: float | None) -> None:
    """See EventLog.retain."""
    stream, _ = _existing(connection, key)
    connection.execute("UPDATE stream SET expires_at = ? WHERE id = ?", (until, stream))


def expire(connection: sqlite3.Connection, *, now: float, limit: int) -> int:
    """See EventLog.expire."""
    over = connection.execute("SELECT id FROM stream WHERE expires_at <= ? LIMIT ?", (now, limit)).fetchall()
    for (stream,) in over:
        _drop(connection, stream)
    return len(over)


def drop(connection: sqlite3.Connection, key: StreamKey) -> bool:
    """See EventLog.drop."""
    found = _found(connection, key)
    if found is not None:
        _drop(connection, found[0])
    return found is not None


def _drop(connection: sqlite3.Connection, stream: int) -> None:
    connection.execute("DELETE FROM event WHERE k >= ? AND k < ?", (stream << PLACE_BITS, (stream + 1) << PLACE_BITS))
    connection.execute("DELETE FROM checkpoint WHERE stream = ?", (stream,))
    connection.execute("DELETE FROM note WHERE stream = ?", (stream,))
    connection.execute("DELETE FROM stream WHERE id = ?", (stream,))
