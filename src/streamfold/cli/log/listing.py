"""`streamfold log ls`: what streams a log has.

In      a log and a tenant
Out     a table on a terminal, a line for each stream in a pipe, one document with --json
Units   events; seconds since 1970
Errors  none: each is one line
Source  docs/reference/cli.md
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from msgspec import Struct
from msgspec.json import encode

from streamfold.cli.control import without_controls
from streamfold.cli.failure import say
from streamfold.cli.log.place import LogFlags, visit_log
from streamfold.cli.log.timestamp import moment
from streamfold.cli.terminal import Output

if TYPE_CHECKING:
    from streamfold.log import EventLog, StreamInfo

__all__ = ["StreamDocument", "ls", "stream_document"]

OPEN = "open"
COLUMNS = ("response", "status", "records", "numbers", "made", "kept until")


class StreamDocument(Struct, frozen=True):
    """What `--json` tells of one stream, and the order of its fields."""

    response_id: str
    tenant: str
    status: str | None
    first_number: int
    next_number: int
    is_cancel_requested: bool
    owner: str | None
    lease_expires_at: float | None
    created_at: float
    expires_at: float | None


class _ListDocument(Struct, frozen=True):
    streams: list[StreamDocument]


def ls(
    *,
    json: Annotated[bool, Parameter(help="One JSON document.", show_default=False)] = False,
    flags: LogFlags | None = None,
) -> int:
    """List the streams of a log."""
    flags = flags or LogFlags()
    tenant = flags.tenant

    async def find(log: "EventLog") -> "tuple[list[StreamInfo], Sequence[str]]":
        found: list[StreamInfo] = []
        while page := await log.list(tenant, after=found[-1].key.response_id if found else None):
            found += page
        return found, [] if found else await log.tenants()

    found, tenants = visit_log(flags, find, may_write=False)
    output = Output()
    if json:
        output.write_bytes(encode(_ListDocument([stream_document(info) for info in found])) + b"\n")
        return 0
    if not found:
        others = ", ".join(each or "nobody in particular" for each in tenants)
        say(f"no streams of this tenant; the log has those of: {others}" if others else "no streams: the log is empty")
    elif output.is_terminal:
        _draw([_cells(info) for info in found])
    else:
        output.write("".join("\t".join(_cells(info)) + "\n" for info in found))
    return 0


def stream_document(info: "StreamInfo") -> StreamDocument:
    """The stream as JSON has it."""
    return StreamDocument(
        response_id=info.key.response_id,
        tenant=info.key.tenant,
        status=info.status,
        first_number=info.first_number,
        next_number=info.next_number,
        is_cancel_requested=info.is_cancel_requested,
        owner=info.owner or None,
        lease_expires_at=info.lease_expires_at if info.owner else None,
        created_at=info.created_at,
        expires_at=info.expires_at,
    )


def _cells(info: "StreamInfo") -> tuple[str, ...]:
    count = info.next_number - info.first_number
    return (
        info.key.response_id,
        info.status or OPEN,
        str(count),
        f"{info.first_number}..{info.next_number - 1}" if count else "-",
        moment(info.created_at),
        "-" if info.expires_at is None else moment(info.expires_at),
    )


def _draw(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*COLUMNS, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(without_controls(cell), no_wrap=True) for cell in row))
    Console().print(table)
