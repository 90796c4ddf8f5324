"""The address of a Valkey or Redis, and how durable an append is to be there.

In      valkey://[user:password@]host[:port][/db][?level=primary|replica|disk][&cluster=true]; valkeys:// for TLS
Out     an Address, which never shows its password
Units   none
Errors  InvalidArgument for an address that is none
Source  docs/reference/log.md
"""

from collections.abc import Callable, Mapping
from enum import StrEnum, auto
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, frozen

from streamfold.errors import InvalidArgument

__all__ = ["SCHEMES", "Address", "Level"]

SCHEMES: Mapping[str, bool] = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}  # whether it is TLS
PORT = 6379

Value = TypeVar("Value")


class Level(StrEnum):
    """What an append waits for."""

    PRIMARY = auto()
    """The server that has the stream."""
    REPLICA = auto()
    """One of its replicas too."""
    DISK = auto()
    """The disks of both."""


@frozen
class Address:
    """Where the servers are. host, port: of the one, or of any one of a cluster."""

    host: str
    port: int = PORT
    database: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    is_tls: bool = False
    is_cluster: bool = False
    level: Level = Level.PRIMARY

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'valkeys' if self.is_tls else 'valkey'}://{host}:{self.port}/{self.database}"

    @staticmethod
    def parse(url: str) -> "Address":
        """The address that a URL gives.

        Raises: InvalidArgument.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:  # what it says may hold the password
            raise _wrong("its host or port is none") from None
        if parts.scheme not in SCHEMES:
            raise _wrong("it must begin with valkey:// or valkeys://")
        if not host:
            raise _wrong("it names no host")
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        address = Address(
            host,
            PORT if port is None else port,
            _read("database", parts.path.removeprefix("/") or "0", _number),
            None if not parts.username else unquote(parts.username),
            None if parts.password is None else unquote(parts.password),
            SCHEMES[parts.scheme],
            _read("cluster", asked.pop("cluster", "false"), _truth),
            _read("level", asked.pop("level", Level.PRIMARY), Level),
        )
        if asked:
            raise _wrong(f"it knows level and cluster, not {', '.join(sorted(asked))}")
        if address.is_cluster and address.database:
            raise _wrong("a cluster has database 0 alone")
        return address


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
