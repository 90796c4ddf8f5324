"""The durable log: what every engine promises, the engines, and readers that never miss a record.

async with open_log("sqlite:streams.db") as log:
    lease = await log.acquire(key, owner="this process", seconds=30)
    await log.append(lease, [Record(0, "response.created", data)])
    async with tail(log, key) as records:
        async for record in records: ...
"""

from streamfold.log import limits
from streamfold.log.address import open_log
from streamfold.log.append import StreamHead, lease_end, new_records, next_epoch, says_the_same
from streamfold.log.log import READ_AT_ONCE, EventLog, Subscriptions, Watch
from streamfold.log.memory import MemoryLog
from streamfold.log.record import (
    Damage,
    Diagnosis,
    Durability,
    Lease,
    Note,
    Record,
    SavedCheckpoint,
    StreamInfo,
    StreamKey,
    fitting,
)
from streamfold.log.sqlite import SqliteLog
from streamfold.log.tail import StreamPages, Tail, pages, tail, wait_for_cancel

__all__ = [
    "READ_AT_ONCE",
    "Damage",
    "Diagnosis",
    "Durability",
    "EventLog",
    "Lease",
    "MemoryLog",
    "Note",
    "Record",
    "SavedCheckpoint",
    "SqliteLog",
    "StreamHead",
    "StreamInfo",
    "StreamKey",
    "StreamPages",
    "Subscriptions",
    "Tail",
    "Watch",
    "fitting",
    "lease_end",
    "limits",
    "new_records",
    "next_epoch",
    "open_log",
    "pages",
    "says_the_same",
    "tail",
    "wait_for_cancel",
]
