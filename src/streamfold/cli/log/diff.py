"""`streamfold log diff ID N M`: what differs between two states of one response.

In      a response's id, two sequence numbers
Out     a line for each place where they differ, or one document with --json
Units   sequence numbers
Errors  none: each is one line
Source  docs/reference/cli.md
"""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from msgspec import UNSET, Raw
from msgspec.json import encode

from streamfold.cli.failure import say
from streamfold.cli.log.place import LogFlags, visit_log
from streamfold.cli.log.show import Identifier
from streamfold.cli.number import whole_number
from streamfold.cli.output.view import cut
from streamfold.cli.terminal import Output

if TYPE_CHECKING:
    from streamfold.history import Change
    from streamfold.log import EventLog

__all__ = ["diff"]


def diff(
    id: Identifier,
    n: Annotated[
        int,
        Parameter(help="The sequence number of the one.", name="N", converter=whole_number, validator=Number(gte=0)),
    ],
    m: Annotated[int, Parameter(help="That of the other.", name="M", converter=whole_number, validator=Number(gte=0))],
    /,
    *,
    json: Annotated[bool, Parameter(help="One JSON document.", show_default=False)] = False,
    flags: LogFlags | None = None,
) -> int:
    """Show what differs between the Response at one number and at another."""
    flags = flags or LogFlags()
    key = flags.key(id)

    async def find(log: "EventLog") -> "tuple[Change, ...]":
        from streamfold.history import diff as differences
        from streamfold.history import replay

        return differences(await replay(log, key, at=n), await replay(log, key, at=m))

    changes = visit_log(flags, find, may_write=False)
    output = Output()
    if json:
        output.write_bytes(encode({"from": n, "to": m, "changes": changes}) + b"\n")
        return 0
    for change in changes:
        line = f"{change.pointer}{_told(change)}"
        output.write(f"{cut(line, output.columns) if output.is_terminal else line}\n")
    if not changes:
        say(f"no difference between {n} and {m}")
    return 0


def _told(change: "Change") -> str:
    if change.added is not UNSET:
        return f" += {encode(change.added).decode()}"
    if change.after is UNSET:
        return " is gone"
    new = _line(change.after)
    return f" = {new}" if change.before is UNSET else f": {_line(change.before)} → {new}"


def _line(value: Raw) -> str:
    """The JSON on one line: a line end stands between its tokens only."""
    return b" ".join(bytes(value).splitlines()).decode(errors="replace")
