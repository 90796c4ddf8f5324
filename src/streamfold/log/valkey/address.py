"""The address of a Valkey or Redis log: where the servers are, and what an append waits for.

    valkey://[user:password@]host[:port][/db][?level=primary|replica|disk][&cluster=true]    valkeys:// for TLS
    unix://[user:password@]/path/to/socket[?db=0][&level=...]                                a server on this machine

An Address never shows its password.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum, auto
from typing import TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from attrs import field, frozen

from streamfold.errors import InvalidArgument

SCHEMES: Mapping[str, bool] = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}  # scheme -> TLS or not
UNIX_SCHEMES = {"unix", "valkey+unix", "redis+unix"}  # the first as in redis-py
PORT = 6379

Value = TypeVar("Value")


class Level(StrEnum):
    """What an append waits for."""

    PRIMARY = auto()
    """The server that has the stream."""
    REPLICA = auto()
    """One of its replicas as well."""
    DISK = auto()
    """The disks of both."""


@frozen
class Address:
    """Where the servers are. `host` and `port` are those of the server, or of any server of a cluster.

    With `is_unix`, `host` is the path of the server's socket.
    """

    host: str
    port: int = PORT
    database: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    is_tls: bool = False
    is_cluster: bool = False
    level: Level = Level.PRIMARY
    is_unix: bool = False

    def __str__(self) -> str:
        if self.is_unix:
            return f"unix://{self.host}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'valkeys' if self.is_tls else 'valkey'}://{host}:{self.port}/{self.database}"

    @staticmethod
    def parse(url: str) -> "Address":
        """Parse a URL. Raises InvalidArgument, without the password in its message."""
        parts = _split(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        is_unix = parts.scheme in UNIX_SCHEMES
        host, port, database = _socket_of(parts, options) if is_unix else _host_of(parts)
        address = Address(
            host,
            port,
            _read("database", database, _number),
            unquote(parts.username or "") or None,
            None if parts.password is None else unquote(parts.password),
            SCHEMES.get(parts.scheme, False),
            _read("cluster", options.pop("cluster", "false"), _truth),
            _read("level", options.pop("level", Level.PRIMARY), Level),
            is_unix,
        )
        if options:
            known = "db and level" if is_unix else "level and cluster"
            raise _wrong(f"the options are {known}, got {', '.join(sorted(options))}")
        if address.is_cluster and address.database:
            raise _wrong("a cluster has only database 0")
        if address.is_cluster and is_unix:
            raise _wrong("the servers of a cluster cannot be reached through one socket; name a host")
        return address


def _host_of(parts: SplitResult) -> tuple[str, int, str]:
    """The host, the port and the database."""
    return parts.hostname or "", PORT if parts.port is None else parts.port, parts.path.removeprefix("/") or "0"


def _socket_of(parts: SplitResult, options: dict[str, str]) -> tuple[str, int, str]:
    """The same of a socket, whose database is an option."""
    return unquote(parts.path), 0, options.pop("db", "0")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port  # both are parsed here, and may be refused
    except ValueError:  # its text may contain the password
        raise _wrong("its host or port is not valid") from None
    if parts.scheme in UNIX_SCHEMES:
        if not parts.path.startswith("/") or parts.path.endswith("/") or parts.hostname:
            raise _wrong("it has no path of a socket; write three slashes, as in unix:///run/valkey/valkey.sock?db=0")
        return parts
    if parts.scheme not in SCHEMES:
        raise _wrong("it must begin with valkey://, valkeys:// or unix://")
    if not parts.hostname:
        raise _wrong("it has no host")
    return parts


def _wrong(reason: str) -> InvalidArgument:
    return InvalidArgument("url", f"{reason}; write valkey://[user:password@]host[:port]/db?level=primary")


def _read(name: str, text: str, read: Callable[[str], Value]) -> Value:
    try:
        return read(text)
    except (ValueError, KeyError):
        allowed = {"level": "primary, replica or disk", "cluster": "true or false", "database": "a number"}
        raise _wrong(f"{name} must be {allowed[name]}, got {text!r}") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text]
