"""`streamfold follow ID`: a response followed to its end, over as many connections as it takes.

In      an id, and the sequence number to go on from
Out     on a terminal a live picture; in a pipe the text; with --json each event, and the outcome last
Units   sequence numbers
Errors  none: each is one line
Source  docs/reference/cli.md
"""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from streamfold.cli.log.place import NO_LOG, LogFlags
from streamfold.cli.number import whole_number
from streamfold.cli.response.following import Following, choose_view, follow_to_the_end
from streamfold.cli.response.gateway import look
from streamfold.cli.settings import Flags, read_settings
from streamfold.cli.terminal import Output
from streamfold.fold import State

if TYPE_CHECKING:
    from streamfold.client import FollowedResponse, Gateway
    from streamfold.log import EventLog

__all__ = ["follow"]


def follow(
    id: Annotated[str, Parameter(help="The response's id.", name="ID")],
    /,
    *,
    starting_after: Annotated[
        int | None,
        Parameter(
            help="The sequence number to go on from; without it the whole stream.",
            converter=whole_number,
            validator=Number(gte=0),
        ),
    ] = None,
    json: Annotated[
        bool, Parameter(help="Each event as a line of JSON, the outcome last.", show_default=False)
    ] = False,
    into: LogFlags = NO_LOG,
    flags: Flags | None = None,
) -> int:
    """Follow a response to its end. Ctrl-C leaves it running."""
    settings = read_settings(flags)
    view = choose_view(Output(), settings, json=json, in_the_middle=starting_after is not None)

    async def begin(gateway: "Gateway", log: "EventLog | None") -> "FollowedResponse":
        from streamfold.client import record

        if log is None:
            response = gateway.follow(id, starting_after=starting_after, on_repair=view.repair)
            await look(gateway.retrieve(id))
            return response
        nothing = State() if starting_after is None else None  # so that what the log has comes first
        response = gateway.follow(id, starting_after=starting_after, state=nothing, on_repair=view.repair)
        if await log.info(into.key(id)) is None:
            await look(gateway.retrieve(id))
        return record(response, log, tenant=into.tenant)

    following = Following(view, starting_after=starting_after, response_id=id)
    return follow_to_the_end(settings, following, begin, into=into, again=("--json",) if json else ())
