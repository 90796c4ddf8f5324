"""The address of a log: which engine a URL names."""

from importlib.util import find_spec

from streamfold.errors import InvalidArgument, UsageError
from streamfold.log.log import EventLog
from streamfold.log.memory import MemoryLog
from streamfold.log.sqlite import SqliteLog

VALKEY = {"valkey", "valkeys", "redis", "rediss", "unix", "valkey+unix", "redis+unix"}


def open_log(url: str, *, may_write: bool = True) -> EventLog:
    """The log at an address. Open it with `async with`.

    Args:
        url: `sqlite:PATH`, `memory:`, or `valkey://[user:password@]host[:port]/db`, which may end with
            `?level=replica`, `?level=disk` or `?cluster=true`; `valkeys://` uses TLS. For a server's socket on this
            machine, `unix://[user:password@]/path/to/socket?db=0`.
        may_write: If false, a SQLite file must exist and may be read-only.

    Raises:
        InvalidArgument: The URL is not one of these.
        UsageError: The engine is not installed; the message has the command that installs it.
        LogUnusable: The path cannot hold a log.
    """
    scheme, _, rest = url.partition(":")
    if scheme in VALKEY:
        if find_spec("redis") is None or find_spec("hiredis") is None:
            raise UsageError('a log on Valkey needs redis-py and hiredis: pip install "streamfold[valkey]"')
        # Here and not above: redis-py takes a tenth of a second to import, and most programs have no use for it.
        from streamfold.log.valkey import ValkeyLog

        return ValkeyLog(url)
    if scheme == "sqlite" and rest:
        return SqliteLog(rest, may_write=may_write)
    if url == "memory:":
        return MemoryLog()
    raise InvalidArgument(
        "url", "must be sqlite:PATH, valkey://[user:password@]host[:port]/db, unix:///path/to/socket or memory:"
    )
