"""Which log an address names.

In      "sqlite:PATH", "valkey://[user:password@]host[:port]/db", "memory:"
Out     an EventLog, to be used with `async with`
Errors  InvalidArgument for an address that is none; UsageError where its engine is not installed
Source  docs/reference/log.md
"""

from importlib.util import find_spec

from streamfold.errors import InvalidArgument, UsageError
from streamfold.log.log import EventLog
from streamfold.log.memory import MemoryLog
from streamfold.log.sqlite import SqliteLog

__all__ = ["open_log"]

VALKEY = {"valkey", "valkeys", "redis", "rediss"}


def open_log(url: str, *, may_write: bool = True) -> EventLog:
    """The log at an address, opened by `async with`.

    url: "sqlite:PATH"; "valkey://[user:password@]host[:port]/db", or valkeys:// with TLS, and ?level=replica or disk,
    ?cluster=true behind it; "memory:". may_write: else a SQLite file must be there, and may be one that cannot be written.
    Raises: InvalidArgument, UsageError; LogUnusable where the path cannot be a log.
    """
    scheme, _, rest = url.partition(":")
    if scheme in VALKEY:
        if find_spec("redis") is None or find_spec("hiredis") is None:
            raise UsageError('a log on Valkey needs redis-py and hiredis: pip install "streamfold[valkey]"')
        from streamfold.log.valkey import ValkeyLog

        return ValkeyLog(url)
    if scheme == "sqlite" and rest:
        return SqliteLog(rest, may_write=may_write)
    if url == "memory:":
        return MemoryLog()
    raise InvalidArgument("url", "must be sqlite:PATH, valkey://[user:password@]host[:port]/db or memory:")
