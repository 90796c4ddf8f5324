"""Which log a command works on, and one visit to it.

`create`, `follow` and `fold` record only if `--log` or STREAMFOLD_LOG names a log. The `log` commands and `inspect`
fall back to the user's own file.
"""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

from attrs import frozen
from cyclopts import Group, Parameter

from streamfold.cli.options import flag_words, valid_text
from streamfold.cli.response.gateway import run
from streamfold.cli.settings import user_folder
from streamfold.cli.terminal import ERROR, USAGE, Failure
from streamfold.errors import InvalidArgument, StreamfoldError, UnknownStream

if TYPE_CHECKING:
    from streamfold.log import EventLog, StreamInfo, StreamKey

T = TypeVar("T")

NO_TENANT = ""  # here and in the client
VARIABLE = "STREAMFOLD_LOG"
FILE_NAME = "log.db"
SQLITE = "sqlite:"

LOG = Group("Log", sort_key=8)


@Parameter(name="*")
@frozen(kw_only=True)
class LogFlags:
    """Where the log is, and whose streams are meant."""

    log: Annotated[
        str | None,
        Parameter(
            help="sqlite:PATH, valkey://HOST/DB or unix:///SOCKET [default: log.db in your data folder] [env: STREAMFOLD_LOG]",
            group=LOG,
        ),
    ] = None
    tenant: Annotated[
        str,
        Parameter(
            help="Whose streams to use [default: no tenant]", group=LOG, show_default=False, validator=valid_text
        ),
    ] = NO_TENANT

    def key(self, response_id: str) -> "StreamKey":
        """Return the key of this response's stream. Raises a Failure for a name that no log can hold."""
        from streamfold.log import StreamKey

        try:
            return StreamKey(self.tenant, response_id)
        except InvalidArgument as error:
            raise Failure(str(error), USAGE) from error


@Parameter(name="*")
@frozen(kw_only=True)
class RecordFlags(LogFlags):
    """The same for a command that records if it is asked to."""

    log: Annotated[
        str | None,
        Parameter(
            help="Record the events in sqlite:PATH, valkey://HOST/DB or unix:///SOCKET [env: STREAMFOLD_LOG]", group=LOG
        ),
    ] = None


OWN_LOG, NO_LOG = LogFlags(), RecordFlags()


def recorded_in(flags: LogFlags, *, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the address of the log to record in; None if none was named. An empty variable counts as unset."""
    return flags.log or environ.get(VARIABLE) or None


def log_address(flags: LogFlags, *, environ: Mapping[str, str] = os.environ) -> str:
    """Return the address that was named, or that of the user's own file."""
    return recorded_in(flags, environ=environ) or f"{SQLITE}{user_folder('data', environ) / FILE_NAME}"


def log_flags(flags: LogFlags) -> tuple[str, ...]:
    """Return the flags that name the same log again."""
    return (*flag_words("--log", flags.log), *flag_words("--tenant", flags.tenant))


def who_records(info: "StreamInfo", *, now: float) -> str:
    """Say who else records a response, and how long that can last if it has stopped; empty if nobody does."""
    left = min(info.lease_expires_at - now, info.lease_seconds or info.lease_expires_at)
    if info.is_finished or not info.owner or left <= 0:
        return ""
    return (
        f"{info.owner} is recording it; showing what it records, and recording here if it does not renew its lease"
        f" within {left:.0f} s"
    )


@asynccontextmanager
async def opened_for(flags: LogFlags) -> AsyncGenerator["EventLog | None"]:
    """Open the log to record in; None if none was named."""
    address = recorded_in(flags)
    if address is None:
        yield None
        return
    from streamfold.log import open_log

    async with open_log(address) as log:
        yield log


def visit_log(flags: LogFlags, do: "Callable[[EventLog], Awaitable[T]]", *, may_write: bool) -> T:
    """Open the log, do something with it, and close it.

    If the user's own file does not exist, a command that writes creates it, and one that reads finds an empty log.
    """

    async def main() -> T:
        async with _opened(log_address(flags), may_write=may_write) as log:
            return await do(log)

    try:
        return run(main)
    except Failure:
        raise
    except UnknownStream as error:
        raise Failure(f"the log has no stream {error.response_id}; streamfold log ls lists its streams") from error
    except InvalidArgument as error:
        name = "--log" if error.name == "url" else error.name
        raise Failure(f"{name}: {error.reason}", USAGE if error.name == "url" else ERROR) from error
    except StreamfoldError as error:
        raise Failure(str(error)) from error


def is_missing(address: str) -> bool:
    """Whether this is the user's own file, and it does not exist yet."""
    own = user_folder("data", os.environ) / FILE_NAME
    return address == f"{SQLITE}{own}" and not own.exists()


def _opened(address: str, *, may_write: bool) -> "EventLog":
    from streamfold.log import open_log

    if is_missing(address):
        own = user_folder("data", os.environ) / FILE_NAME
        if not may_write:
            return open_log("memory:")
        try:
            own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Failure(f"{own.parent}: cannot be created: {error.strerror}; name another log with --log") from error
    return open_log(address, may_write=may_write)
