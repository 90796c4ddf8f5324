"""The names of a stream's keys, and the one script: each step of it as a command, its answer as a result or an error.

The braces in a name decide the slot of a key, so all keys of a stream are on one server, and one script can change them
together. What a tenant or an id contains is escaped: no two streams get the same name, and no brace of theirs counts.

The script counts in milliseconds, everything outside of it in seconds.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeAlias
from urllib.parse import quote, unquote
from zlib import crc32

from attrs import frozen

from streamfold.errors import LeaseHeld, LogClosed, LogGap, LogUnusable, UnknownStream, WriterFenced
from streamfold.log.record import Record, StreamKey

Command: TypeAlias = tuple[str | bytes | int, ...]
Answer: TypeAlias = Any  # bytes, whole numbers, None, and lists of them

SOURCE = files("streamfold.log.valkey").joinpath("script.lua").read_text("utf-8")
SHA = sha1(SOURCE.encode(), usedforsecurity=False).hexdigest()  # by which the server knows it
MAX_PUBLISHED_BYTES = 16_384  # in one message; a larger append is not live traffic, and its readers read the log

TENANTS = "sf:tenants"  # the index of all tenants
EXPIRING = "sf:expiring"  # the index of all streams that may be dropped one day, by when


# Names


@frozen
class Names:
    """The names of a stream's keys and channels. `tag` names the stream in an index."""

    tag: str
    keys: tuple[str, ...]  # all of the following, as the script takes them: made once, for every append needs it
    records: str  # a Redis stream
    head: str  # a hash
    channel: str  # every change is published here
    control: str  # rare changes only, so that a writer does not receive its own records
    checkpoints: str  # a hash
    notes: str  # a list


@lru_cache(maxsize=10_000)
def names_of(key: StreamKey) -> Names:
    """The names of a stream's keys."""
    tag = f"{_escaped(key.tenant)}/{_escaped(key.response_id)}"
    keys = tuple(f"sf:{{{tag}}}:{part}" for part in "smcxko")
    return Names(tag, keys, *keys)


def key_of(tag: str) -> StreamKey:
    tenant, _, response_id = tag.partition("/")
    return StreamKey(unquote(tenant), unquote(response_id))


def streams_of(tenant: str) -> str:
    return f"sf:{{{_escaped(tenant)}}}:streams"


def _escaped(text: str) -> str:
    return quote(text, safe="")


# Steps


def step(keys: Sequence[str], name: str, *given: str | bytes | int) -> Command:
    return ("EVALSHA", SHA, len(keys), *keys, name, *given)


def with_source(command: Command) -> Command:
    """The same command with the whole script, for a server that does not know it yet."""
    return ("EVAL", SOURCE, *command[2:])


def milliseconds(seconds: float | None) -> int:
    """A time or a duration as the script takes it; 0 for None, which means never."""
    return 0 if seconds is None else max(1, round(seconds * 1000))


def seconds(milliseconds: bytes) -> float | None:
    """A time of the script in seconds; None for never."""
    return int(milliseconds) / 1000 or None


def refuse(answer: Answer, key: StreamKey, *, epoch: int = 0, number: int = 0) -> None:
    """Raise what the script refused a step with, if it did: of a writer with this epoch, whose first record has this number."""
    match answer:
        case [b"unknown"]:
            raise UnknownStream(key.tenant, key.response_id)
        case [b"held", owner, left]:
            raise LeaseHeld(owner.decode(), int(left) / 1000)
        case [b"fenced", current]:
            raise WriterFenced(epoch, int(current))
        case [b"gap", needed]:
            raise LogGap(int(needed), number)
        case [b"closed", needed]:
            raise LogClosed(int(needed), int(needed))
        case [b"damaged", length, expected]:
            raise missing_records(key, int(length), int(expected))
        case _:
            pass


def missing_records(key: StreamKey, length: int, expected: int) -> LogUnusable:
    """The error for a stream whose records were deleted, trimmed or shortened by somebody else."""
    return LogUnusable(
        key.response_id,
        f"the server has {length:,} of its {expected:,} records: others were deleted or trimmed; nothing was written; "
        "restore the log from a copy, or drop the stream",
    )


# Records


def encode_records(records: Sequence[Record]) -> list[bytes]:
    """Records as the script takes them: the sizes of all, empty if they are too large to publish; then each record."""
    # The sizes let a reader cut a message into records; without them it holds none, and only says that something changed.
    parts = [b"", *map(_encoded, records)]
    if sum(map(len, parts)) <= MAX_PUBLISHED_BYTES:
        parts[0] = b" ".join([b"%d" % len(part) for part in parts[1:]])
    return parts


def _encoded(record: Record) -> bytes:
    """A record as it is stored: the checksum of the rest; the length of the name, the name, the data."""
    name = record.name.encode()
    body = b"%d\n%b%b" % (len(name), name, record.data)
    return b"%d %b" % (crc32(body), body)


def record_of(key: StreamKey, number: int, encoded: bytes) -> Record:
    """Decode a stored record. Raises LogUnusable if it is damaged."""
    try:
        crc, _, body = encoded.partition(b" ")
        if crc32(body) != int(crc):
            raise _damaged(key, number)
        size, _, text = body.partition(b"\n")
        name_bytes = int(size)
        return Record(number, text[:name_bytes].decode(), text[name_bytes:])
    except ValueError as error:
        raise _damaged(key, number) from error


def missing(key: StreamKey, number: int) -> LogUnusable:
    """The error for a record that the head of its stream promises, and that is not there."""
    return LogUnusable(key.response_id, f"record {number} is missing; restore the log from a copy")


def _damaged(key: StreamKey, number: int) -> LogUnusable:
    return LogUnusable(key.response_id, f"record {number} is damaged; restore it from a copy")


def entry_of(key: StreamKey, entry: Answer) -> Record:
    """Decode an entry of XRANGE. Raises LogUnusable if it is damaged."""
    match entry:
        case [bytes() as identity, [_, bytes() as encoded]]:
            return record_of(key, int(identity.partition(b"-")[0]), encoded)
        case _:
            raise LogUnusable(key.response_id, f"an entry is damaged: {entry!r:.80}; restore it from a copy")


def published_records(key: StreamKey, message: bytes) -> list[Record]:
    """The records in a message; none if it only says that something changed, or if it is not ours."""
    head, _, rest = message.partition(b"\n")
    records: list[Record] = []
    try:
        number, *sizes = map(int, head.split())
        at = 0
        for size in sizes:
            records.append(record_of(key, number, rest[at : at + size]))
            at, number = at + size, number + 1
    except (ValueError, LogUnusable):  # reading the log reports the damage
        return []
    return records
