"""The queries of a SQLite log: what each method of EventLog reads and writes, inside a transaction of the caller's.

Every write checks everything before it changes anything, so that a query that is refused leaves the transaction as it
found it. (One exception: `acquire` shortens a lease that ends too late, and then refuses.) What each function promises is written at the method of EventLog that has its name.
"""

import sqlite3
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from streamfold.errors import InvalidArgument, LeaseHeld, LogGap, UnknownStream, WriterFenced
from streamfold.log.append import StreamHead, lease_end, new_records, next_epoch
from streamfold.log.limits import page_of
from streamfold.log.record import Lease, Note, Record, SavedCheckpoint, StreamInfo, StreamKey
from streamfold.log.sqlite.notify import Notification
from streamfold.log.sqlite.schema import (
    MAX_RECORDS,
    PLACE_BITS,
    STREAM,
    StreamRow,
    damaged,
    matches,
    read_row,
    save,
    with_checksum,
)

FIND = f"SELECT {STREAM}, crc FROM stream WHERE tenant = ? AND response_id = ?"
PAGE = f"SELECT {STREAM}, crc FROM stream WHERE tenant = ? AND response_id > ? ORDER BY response_id LIMIT ?"
INSERT_STREAM = """
    INSERT INTO stream (tenant, response_id, first_number, next_number, epoch, owner, lease_expires_at, created_at)
    VALUES (?, ?, ?, ?, 0, '', 0, ?)
"""
READ = "SELECT k, name, data, crc FROM event WHERE k >= ? AND k < ? ORDER BY k"
NOTES = "SELECT stream, number, kind, text, after, at, crc FROM note WHERE stream = ? ORDER BY number"
OVERDUE = f"SELECT {STREAM}, crc FROM stream WHERE expires_at <= ? LIMIT ?"
INSERT = "INSERT INTO event (k, name, data, crc) VALUES (?, ?, ?, ?)"


class Transaction:
    """What write queries work on: a connection in a transaction of the writer's."""

    def __init__(self, connection: sqlite3.Connection, now: Callable[[], float]) -> None:
        self.connection = connection
        self.now = now  # called inside the transaction: waiting for the lock must not shorten a lease
        self.notification: Notification = Notification.NOTHING  # what other processes are sent after the commit
        self.has_dropped = False  # whether pages were freed since the file was last tidied

    def notify(self, notification: Notification) -> None:
        self.notification = max(self.notification, notification)


# Streams and their writers


def _find(connection: sqlite3.Connection, key: StreamKey) -> StreamRow | None:
    values = connection.execute(FIND, (key.tenant, key.response_id)).fetchone()
    if values is None:
        return None
    row = read_row(values)
    if (row.tenant, row.response_id) != (key.tenant, key.response_id):  # the index is damaged, the row is not
        raise damaged(key.response_id, "the index entry of the stream")
    return row


def _require(connection: sqlite3.Connection, key: StreamKey) -> StreamRow:
    row = _find(connection, key)
    if row is None:
        raise UnknownStream(key.tenant, key.response_id)
    return row


def _require_writer(connection: sqlite3.Connection, lease: Lease) -> StreamRow:
    row = _require(connection, lease.key)
    if row.epoch != lease.epoch:
        raise WriterFenced(lease.epoch, row.epoch)
    return row


def acquire(transaction: Transaction, key: StreamKey, *, owner: str, seconds: float, first_number: int) -> Lease:
    now = transaction.now()
    row = _find(transaction.connection, key) or _insert(transaction.connection, key, first_number, now=now)
    if row.owner not in {"", owner} and row.lease_expires_at > now:
        ends_at = lease_end(row.lease_expires_at, length=row.lease_seconds, now=now)
        if ends_at != row.lease_expires_at:
            save(transaction.connection, replace(row, lease_expires_at=ends_at))
        raise LeaseHeld(row.owner, ends_at - now)
    epoch, expires_at = next_epoch(row.epoch, now=now), float(now + seconds)
    leased = replace(row, epoch=epoch, owner=owner, lease_expires_at=expires_at, lease_seconds=float(seconds))
    save(transaction.connection, leased)
    return Lease(key, owner, epoch, row.next_number, expires_at)


def _insert(connection: sqlite3.Connection, key: StreamKey, first_number: int, *, now: float) -> StreamRow:
    # The checksum covers the id, which SQLite assigns here: the caller saves the row at once, and that writes it.
    values = (key.tenant, key.response_id, first_number, first_number, now)
    stream = connection.execute(INSERT_STREAM, values).lastrowid or 0
    return StreamRow(
        stream, key.tenant, key.response_id, first_number, first_number, 0, "", 0.0, None, 0, float(now), None, 0, 0.0
    )


def renew(transaction: Transaction, lease: Lease, *, seconds: float) -> Lease:
    row = _require_writer(transaction.connection, lease)
    expires_at = float(transaction.now() + seconds)
    save(transaction.connection, replace(row, lease_expires_at=expires_at, lease_seconds=float(seconds)))
    return Lease(lease.key, lease.owner, lease.epoch, row.next_number, expires_at)


def release(transaction: Transaction, lease: Lease) -> None:
    row = _find(transaction.connection, lease.key)
    if row is not None and row.epoch == lease.epoch:
        save(transaction.connection, replace(row, owner="", lease_expires_at=0.0))


# Records


def append(transaction: Transaction, lease: Lease, records: Sequence[Record], *, status: str | None) -> int:
    connection = transaction.connection
    row = _require(connection, lease.key)
    new = new_records(
        StreamHead(row.next_number, row.epoch, row.status is not None),
        records,
        epoch=lease.epoch,
        stored=lambda first, end: _between(connection, row, first, end),
    )
    if new and new[-1].sequence_number - row.first_number >= MAX_RECORDS:
        raise InvalidArgument("records", f"a stream holds at most {MAX_RECORDS:,} records")
    # The row last: its next_number and status say that the records before them are there.
    base = row.key_base
    connection.executemany(INSERT, [with_checksum((base + each.sequence_number, each.name, each.data)) for each in new])
    next_number = row.next_number + len(new)
    save(connection, replace(row, next_number=next_number, status=status if row.status is None else row.status))
    transaction.notify(Notification.GROWTH if status is None else Notification.CHANGE)
    return next_number


def _between(
    connection: sqlite3.Connection, row: StreamRow, first: int, end: int, *, max_bytes: int | None = None
) -> list[Record]:
    """The records with numbers from `first` to before `end`, as far as the stream goes and `max_bytes` allow."""
    expected, end = max(first, row.first_number), min(end, row.next_number)
    records: list[Record] = []
    if expected >= end:
        return records
    base, size = row.key_base, 0
    for values in connection.execute(READ, (base + expected, base + end)):
        k, name, data, _ = values
        if k != base + expected:  # a record is missing, which is reported below
            break
        if not matches(values):
            raise damaged(row.response_id, f"record {expected}")
        if max_bytes is not None:
            size += len(data)
            if size > max_bytes and records:
                return records
        records.append(Record(expected, name, data))
        expected += 1
    if expected < end:
        raise damaged(row.response_id, f"record {expected}", "missing")
    return records


def info(connection: sqlite3.Connection, key: StreamKey) -> StreamInfo | None:
    row = _find(connection, key)
    return None if row is None else row.info()


def read(
    connection: sqlite3.Connection, key: StreamKey, *, after: int | None, limit: int, max_bytes: int | None
) -> list[Record]:
    row = _find(connection, key)
    if row is None:
        return []
    first = row.first_number if after is None else max(row.first_number, after + 1)
    return _between(connection, row, first, first + limit, max_bytes=max_bytes)


def streams(connection: sqlite3.Connection, tenant: str, *, after: str | None, limit: int) -> list[StreamInfo]:
    found: list[StreamInfo] = []
    for values in connection.execute(PAGE, (tenant, after or "", page_of(limit))):
        row = read_row(values)
        # A damaged index can return a row of another tenant, or out of order, and then this would never end.
        if row.tenant != tenant or row.response_id <= (found[-1].key.response_id if found else after or ""):
            raise damaged(row.response_id, "the index entry of the stream")
        found.append(row.info())
    return found


def tenants(connection: sqlite3.Connection, *, after: str | None, limit: int) -> list[str]:
    found = connection.execute(
        "SELECT DISTINCT tenant FROM stream WHERE ? IS NULL OR tenant > ? ORDER BY tenant LIMIT ?",
        (after, after, page_of(limit)),
    )
    return [tenant for (tenant,) in found]


# Cancels, checkpoints and notes


def request_cancel(transaction: Transaction, key: StreamKey) -> None:
    save(transaction.connection, replace(_require(transaction.connection, key), is_cancel_requested=1))
    transaction.notify(Notification.CHANGE)


def save_checkpoint(transaction: Transaction, lease: Lease, saved: SavedCheckpoint) -> None:
    row = _require_writer(transaction.connection, lease)
    if saved.cursor >= row.next_number:
        raise LogGap(row.next_number, saved.cursor)
    transaction.connection.execute(
        "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?, ?)", with_checksum((row.id, saved.cursor, saved.data))
    )


def checkpoint(connection: sqlite3.Connection, key: StreamKey, *, at: int | None) -> SavedCheckpoint | None:
    row = _find(connection, key)
    if row is None:
        return None
    values = connection.execute(
        "SELECT stream, cursor, data, crc FROM checkpoint WHERE stream = ? AND cursor <= ? ORDER BY cursor DESC LIMIT 1",
        (row.id, row.next_number if at is None else max(-1, min(at, row.next_number))),
    ).fetchone()
    if values is None:
        return None
    if not matches(values):
        raise damaged(row.response_id, f"checkpoint {values[1]}")
    return SavedCheckpoint(values[1], values[2])


def note(transaction: Transaction, lease: Lease, note: Note) -> None:
    row = _require_writer(transaction.connection, lease)
    # Numbered, and counted in the stream's row: a note that disappears is noticed, as a record is.
    values = with_checksum((row.id, row.notes, note.kind, note.text, note.after, float(note.at)))
    transaction.connection.execute("INSERT INTO note VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    save(transaction.connection, replace(row, notes=row.notes + 1))
    transaction.notify(Notification.GROWTH)


def notes(connection: sqlite3.Connection, key: StreamKey) -> list[Note]:
    row = _find(connection, key)
    if row is None:
        return []
    found: list[Note] = []
    for values in connection.execute(NOTES, (row.id,)):
        if not matches(values) or values[1] != len(found):
            break
        found.append(Note(*values[2:6]))
    if len(found) != row.notes:
        raise damaged(row.response_id, f"note {len(found)}", "damaged or missing")
    return found


# The end of a stream


def retain(transaction: Transaction, key: StreamKey, *, until: float | None) -> None:
    expires_at = None if until is None else float(until)
    save(transaction.connection, replace(_require(transaction.connection, key), expires_at=expires_at))


def expire(transaction: Transaction, *, limit: int) -> int:
    now = transaction.now()
    overdue = [read_row(values) for values in transaction.connection.execute(OVERDUE, (now, page_of(limit))).fetchall()]
    for row in overdue:
        if row.expires_at is None or row.expires_at > now:  # the index says that it is due, and the index is damaged
            raise damaged(row.response_id, "the expiry of the stream")
    for row in overdue:
        _drop(transaction, row.id)
    return len(overdue)


def drop(transaction: Transaction, key: StreamKey) -> bool:
    """A damaged stream can be dropped too, as long as the row and the index agree on which stream it is."""
    values = transaction.connection.execute(FIND, (key.tenant, key.response_id)).fetchone()
    if values is None:
        return False
    by_id = transaction.connection.execute("SELECT tenant, response_id FROM stream WHERE id = ?", values[:1]).fetchone()
    if by_id != (key.tenant, key.response_id):
        raise damaged(key.response_id, "the index entry of the stream")
    _drop(transaction, values[0])
    return True


def _drop(transaction: Transaction, stream: int) -> None:
    execute = transaction.connection.execute
    execute("DELETE FROM event WHERE k >= ? AND k < ?", (stream << PLACE_BITS, (stream + 1) << PLACE_BITS))
    execute("DELETE FROM checkpoint WHERE stream = ?", (stream,))
    execute("DELETE FROM note WHERE stream = ?", (stream,))
    execute("DELETE FROM stream WHERE id = ?", (stream,))
    transaction.has_dropped = True
    transaction.notify(Notification.CHANGE)
