"""The checksum at the end of every row of a SQLite log, over all of its other values.

In      a row's values; or a row as it was read
Out     the row with its checksum; whether it is as it was written
Errors  none
Source  docs/reference/log.md; decision 0015

SQLite reads a flipped bit in a value as that value. The values are summed as a MessagePack array, so their kinds, their
lengths and their order count too: a record that moved to another number is told as well as one that changed.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias
from zlib import crc32

from msgspec.msgpack import Encoder

__all__ = ["Values", "is_whole", "sealed"]

Values: TypeAlias = Sequence[Any]

_encode = Encoder().encode


def sealed(values: Values) -> tuple[Any, ...]:
    """The row to be written."""
    return (*values, crc32(_encode(values)))


def is_whole(row: Values) -> bool:
    """Whether a row that was read is one that was written."""
    return bool(row[-1] == crc32(_encode(row[:-1])))
