"""The door of the durable log: what every engine promises, its engines, and a reader that never misses a record.

async with open_log("sqlite:streams.db") as log:
    lease = await log.acquire(key, owner="this process", seconds=30)
    await log.append(lease, [Record(0, "response.created", data)])
    async with tail(log, key) as records:
        async for record in records: ...
"""

from streamfold.log.address import open_log
from streamfold.log.append import Head, new_records, next_epoch, require_beginning, require_series, says_the_same
from streamfold.log.diagnosis import Damage, Diagnosis, Durability
from streamfold.log.log import EventLog, Lease, Note, SavedCheckpoint, StreamInfo, Watch
from streamfold.log.memory import MemoryLog
from streamfold.log.record import Record, StreamKey
from streamfold.log.sqlite import SqliteLog
from streamfold.log.tail import Tail, tail, wait_for_cancel
from streamfold.log.watchers import Watchers

__all__ = [
    "Damage",
    "Diagnosis",
    "Durability",
    "EventLog",
    "Head",
    "Lease",
    "MemoryLog",
    "Note",
    "Record",
    "SavedCheckpoint",
    "SqliteLog",
    "StreamInfo",
    "StreamKey",
    "Tail",
    "Watch",
    "Watchers",
    "new_records",
    "next_epoch",
    "open_log",
    "require_beginning",
    "require_series",
    "says_the_same",
    "tail",
    "wait_for_cancel",
]
