"""`streamfold inspect ID`: step through a recorded response in the terminal, event by event."""

import sys
from typing import TYPE_CHECKING, Annotated

from streamfold.cli.log.place import OWN_LOG, LogFlags, visit_log
from streamfold.cli.options import ResponseId, sequence_number
from streamfold.cli.terminal import USAGE, Failure
from streamfold.errors import NumberNotReached

if TYPE_CHECKING:
    from streamfold.log import EventLog


def inspect(
    id: ResponseId,
    /,
    *,
    at: Annotated[int | None, sequence_number("Start at this sequence number [default: the end]")] = None,
    flags: LogFlags = OWN_LOG,
) -> int:
    """Step through a recorded or live response, event by event."""
    from streamfold.cli.inspect.program import Inspector
    from streamfold.cli.inspect.scan import first_look

    if not _is_terminal():
        raise Failure(f"inspect needs a terminal; in a pipe, use streamfold log show {id}", USAGE)
    key = flags.key(id)

    async def show(log: "EventLog") -> int:
        timeline = await first_look(log, key)
        if at is not None and not timeline.first <= at < timeline.beyond:
            raise NumberNotReached(at, timeline.first if at < timeline.first else timeline.last_number)
        program = Inspector(log, key, timeline, at=at)
        await program.run_async()
        return program.return_code or 0

    return visit_log(flags, show, may_write=False)


def _is_terminal() -> bool:
    """textual reads keys from stdin, and draws on stderr or, on some systems, stdout."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
