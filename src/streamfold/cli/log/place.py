"""Which log a command works on, and a command's one visit to it.

In      LogFlags; the environment; the user's own data folder
Out     what is done with the EventLog there
Errors  Failure: 2 for an address that is none, 1 for what the log does
Source  docs/reference/cli.md
"""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from attrs import frozen
from cyclopts import Group, Parameter

from streamfold.cli.failure import ERROR, USAGE, Failure
from streamfold.cli.response.gateway import run
from streamfold.errors import InvalidArgument, StreamfoldError, UnknownStream

if TYPE_CHECKING:
    from streamfold.log import EventLog, StreamKey

__all__ = ["NO_LOG", "TENANT", "VARIABLE", "LogFlags", "data_folder", "log_address", "visit_log"]

T = TypeVar("T")

TENANT = ""  # of streams that no tenant was named for, here and in the client
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
            help="sqlite:PATH or valkey://HOST/DB; else log.db in the user's data folder. STREAMFOLD_LOG.", group=LOG
        ),
    ] = None
    tenant: Annotated[str, Parameter(help="Whose streams; without it those of nobody in particular.", group=LOG)] = (
        TENANT
    )

    def key(self, response_id: str) -> "StreamKey":
        """The stream of this response."""
        from streamfold.log import StreamKey

        return StreamKey(self.tenant, response_id)


NO_LOG = LogFlags()


def log_address(flags: LogFlags, *, environ: Mapping[str, str] = os.environ) -> str:
    """The address that was given, or that of the user's own file. An empty variable counts as none."""
    return flags.log or environ.get(VARIABLE) or f"{SQLITE}{data_folder(environ) / FILE_NAME}"


def data_folder(environ: Mapping[str, str], *, platform: str = sys.platform) -> Path:
    """The folder where this user's data lie, as each platform has it."""
    if platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        configured = Path(environ.get("XDG_DATA_HOME") or "")  # a relative one is to be ignored, says its standard
        base = configured if configured.is_absolute() else Path.home() / ".local" / "share"
    return base / "streamfold"


def visit_log(flags: LogFlags, do: "Callable[[EventLog], Awaitable[T]]", *, may_write: bool) -> T:
    """Open the log, do it, and close everything. The user's own file is made where there is none.

    Raises: Failure; KeyboardInterrupt where Ctrl-C came, after everything was closed.
    """
    address = log_address(flags)

    async def main() -> T:
        async with _opened(address, may_write=may_write) as log:
            return await do(log)

    try:
        return run(main)
    except Failure:
        raise
    except UnknownStream as error:
        raise Failure(f"the log has no stream of {error.response_id}; streamfold log ls lists what it has") from error
    except InvalidArgument as error:
        name = "--log" if error.name == "url" else error.name
        raise Failure(f"{name}: {error.reason}", USAGE if error.name == "url" else ERROR) from error
    except StreamfoldError as error:
        raise Failure(str(error)) from error


def _opened(address: str, *, may_write: bool) -> "EventLog":
    from streamfold.log import open_log

    own = data_folder(os.environ) / FILE_NAME
    if address == f"{SQLITE}{own}" and not own.exists():
        try:
            own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Failure(f"{own.parent}: cannot be made: {error.strerror}; give --log") from error
        may_write = True
    return open_log(address, may_write=may_write)
