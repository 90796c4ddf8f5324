"""The one script: each step of it as a command, and its answer as a result or an error.

In      what a method of an EventLog is given
Out     a command for the server; what the method returns
Units   sequence numbers; milliseconds since 1970 in the script, seconds outside of it
Errors  LogError and its kinds, as the script refuses
Source  docs/reference/log.md; decision 0014; script.lua
"""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeAlias
from zlib import crc32

from streamfold.errors import InvalidArgument, LeaseHeld, LogClosed, LogGap, LogUnusable, UnknownStream, WriterFenced
from streamfold.log.record import Record, StreamKey

__all__ = [
    "SHA",
    "SOURCE",
    "Answer",
    "Command",
    "entry_of",
    "milliseconds",
    "parts_of",
    "record_of",
    "refuse",
    "require_small",
    "seconds",
    "step",
    "told_records",
    "with_source",
]

Command: TypeAlias = tuple[str | bytes | int, ...]
Answer: TypeAlias = Any  # bytes, whole numbers, None, and lists of them

SOURCE = files("streamfold.log.valkey").joinpath("script.lua").read_text("utf-8")
SHA = sha1(SOURCE.encode(), usedforsecurity=False).hexdigest()  # the name that a server gives it
MOST_TOLD_BYTES = 16_384  # in one message: more is not what follows a live stream
BEYOND = 2**53  # what a script's numbers can count to


def step(keys: Sequence[str], name: str, *given: str | bytes | int) -> Command:
    """The command that does one step of the script."""
    return ("EVALSHA", SHA, len(keys), *keys, name, *given)


def with_source(command: Command) -> Command:
    """The same for a server that does not know the script yet."""
    return ("EVAL", SOURCE, *command[2:])


def milliseconds(seconds: float | None) -> int:
    """A time as the script has it. None, which is for never: 0."""
    return 0 if seconds is None else max(1, round(seconds * 1000))


def seconds(milliseconds: bytes) -> float | None:
    """A time as a log has it."""
    return int(milliseconds) / 1000 or None


def require_small(name: str, number: int) -> None:
    """A number that the script can count.

    Raises: InvalidArgument.
    """
    if number >= BEYOND:
        raise InvalidArgument(name, f"must be less than {BEYOND:,}, got {number:,}")


def refuse(answer: Answer, key: StreamKey, *, epoch: int = 0, number: int = 0) -> None:
    """Nothing where the step was done; else its refusal. epoch: the writer's. number: the first that it gave.

    Raises: UnknownStream, LeaseHeld, WriterFenced, LogGap, LogClosed.
    """
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
        case _:
            pass


# Records


def parts_of(records: Sequence[Record]) -> list[bytes]:
    """Records as the script takes them: the sizes of all, empty where a message has no room for them, then each."""
    parts = [b"", *map(_kept_of, records)]
    if sum(map(len, parts)) <= MOST_TOLD_BYTES:
        parts[0] = b" ".join([b"%d" % len(part) for part in parts[1:]])
    return parts


def _kept_of(record: Record) -> bytes:
    """A record as the server keeps it: the checksum of what follows; how many bytes its name has, the name, the data."""
    name = record.name.encode()
    body = b"%d\n%b%b" % (len(name), name, record.data)
    return b"%d %b" % (crc32(body), body)


def record_of(key: StreamKey, number: int, kept: bytes) -> Record:
    """What is kept of a record, as a record.

    Raises: LogUnusable where it is not as it was written.
    """
    try:
        crc, _, body = kept.partition(b" ")
        if crc32(body) != int(crc):
            raise _damaged(key, number)
        size, _, text = body.partition(b"\n")
        name_bytes = int(size)
        return Record(number, text[:name_bytes].decode(), text[name_bytes:])
    except ValueError as error:
        raise _damaged(key, number) from error


def _damaged(key: StreamKey, number: int) -> LogUnusable:
    return LogUnusable(key.response_id, f"record {number} is damaged; restore it from a copy")


def entry_of(key: StreamKey, entry: Answer) -> Record:
    """A record as `XRANGE` gives it.

    Raises: LogUnusable where it is not as it was written.
    """
    match entry:
        case [bytes() as identity, [_, bytes() as kept]]:
            return record_of(key, int(identity.partition(b"-")[0]), kept)
        case _:
            raise LogUnusable(key.response_id, f"an entry of it is damaged: {entry!r:.80}; restore it from a copy")


def told_records(key: StreamKey, said: bytes) -> list[Record]:
    """The records that a message holds; none where it only says that something changed, or is not ours."""
    head, _, rest = said.partition(b"\n")
    records: list[Record] = []
    try:
        number, *sizes = map(int, head.split())
        at = 0
        for size in sizes:
            records.append(record_of(key, number, rest[at : at + size]))
            at, number = at + size, number + 1
    except (ValueError, LogUnusable):  # the log itself says what is damaged
        return []
    return records
