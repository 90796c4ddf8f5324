"""A log in version 1 of the schema: no notes, and checksums of records alone, over their names and data.

It holds a finished stream, an open one with checkpoints, and a gap where one was dropped. The source is the history of
src/streamfold/log/sqlite/file.py.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from zlib import crc32

from streamfold.log import Record, SavedCheckpoint, StreamKey

SCHEMA = """
CREATE TABLE stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    response_id TEXT NOT NULL,
    first_number INTEGER NOT NULL,
    next_number INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    lease_expires_at REAL NOT NULL,
    status TEXT,
    is_cancel_requested INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    expires_at REAL,
    UNIQUE (tenant, response_id)
);
CREATE INDEX stream_expires_at ON stream (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE event (k INTEGER PRIMARY KEY, name TEXT NOT NULL, data BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE checkpoint (
    stream INTEGER NOT NULL, cursor INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (stream, cursor)
) WITHOUT ROWID;
"""
FINISHED, OPEN = StreamKey("tenant", "resp_1"), StreamKey("tenant", "resp_3")
FIRST = {FINISHED: 0, OPEN: 7}
RECORDS = {
    FINISHED: [Record(number, "delta", b'{"n":%d}' % number) for number in range(300)],
    OPEN: [Record(number, "délta", b"x" * number) for number in range(7, 200)],
}
CHECKPOINTS = {FINISHED: [], OPEN: [SavedCheckpoint(50, b"fifty"), SavedCheckpoint(100, b"a hundred")]}
OWNER, EPOCH, CREATED_AT, EXPIRES_AT = "the writer", 1_790_000_000_000, 1_790_000_000.5, 1_900_000_000


def make(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN; {SCHEMA} PRAGMA application_id = {0x53464C47}; PRAGMA user_version = 1; COMMIT;"
        )
        connection.execute("BEGIN")
        for stream, key in ((1, FINISHED), (3, OPEN)):
            fill(connection, stream, key)
        connection.execute("COMMIT")


def fill(connection: sqlite3.Connection, stream: int, key: StreamKey) -> None:
    first, beyond = FIRST[key], RECORDS[key][-1].sequence_number + 1
    status, expires_at = ("completed", EXPIRES_AT) if key == FINISHED else (None, None)
    connection.execute(
        "INSERT INTO stream VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 1, ?, ?)",
        (stream, key.tenant, key.response_id, first, beyond, EPOCH, OWNER, status, CREATED_AT, expires_at),
    )
    for record in RECORDS[key]:
        k = (stream << 24) + record.sequence_number - first
        crc = crc32(record.data, crc32(record.name.encode()))
        connection.execute("INSERT INTO event VALUES (?, ?, ?, ?)", (k, record.name, record.data, crc))
    for saved in CHECKPOINTS[key]:
        connection.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (stream, saved.cursor, saved.data))
