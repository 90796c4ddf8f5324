"""`streamfold log fork|expire|drop`: a stream begun from another, those whose time has come, one that is not wanted.

In      a response's id
Out     one line
Units   sequence numbers; streams
Errors  none: each is one line
Source  docs/reference/cli.md
"""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from msgspec.json import encode

from streamfold.cli.failure import Failure
from streamfold.cli.log.listing import stream_document
from streamfold.cli.log.place import LogFlags, visit_log
from streamfold.cli.log.show import Identifier
from streamfold.cli.number import whole_number
from streamfold.cli.terminal import Output

if TYPE_CHECKING:
    from streamfold.log import EventLog, StreamInfo

__all__ = ["drop", "expire", "fork"]

Json = Annotated[bool, Parameter(help="One JSON document.", show_default=False)]


def fork(
    id: Identifier,
    new_id: Annotated[str, Parameter(help="The id of the new stream.", name="NEW_ID")],
    /,
    *,
    at: Annotated[
        int,
        Parameter(help="The last sequence number that both have.", converter=whole_number, validator=Number(gte=0)),
    ],
    json: Json = False,
    flags: LogFlags | None = None,
) -> int:
    """Begin another stream with the events of this one up to a number."""
    flags = flags or LogFlags()
    key, to = flags.key(id), flags.key(new_id)

    async def copy(log: "EventLog") -> "StreamInfo | None":
        from streamfold.errors import InvalidArgument
        from streamfold.history import fork as forked

        try:
            await forked(log, key, at=at, to=to)
        except InvalidArgument as error:
            raise Failure(error.reason) from error
        return await log.info(to)

    info = visit_log(flags, copy, may_write=True)
    if info is None:
        raise Failure(f"{new_id} was dropped as soon as it was there")
    output = Output()
    if json:
        output.write_bytes(encode(stream_document(info)) + b"\n")
    else:
        output.write(f"{new_id}\n")
    return 0


def expire(*, json: Json = False, flags: LogFlags | None = None) -> int:
    """Drop the streams whose time has come, of all tenants."""

    async def drop_all(log: "EventLog") -> int:
        count = 0
        while dropped := await log.expire():
            count += dropped
        return count

    count = visit_log(flags or LogFlags(), drop_all, may_write=True)
    if json:
        Output().write_bytes(encode({"dropped": count}) + b"\n")
    else:
        Output().write(f"{count} streams dropped\n")
    return 0


def drop(id: Identifier, /, *, json: Json = False, flags: LogFlags | None = None) -> int:
    """Forget a stream, and everything beside it."""
    flags = flags or LogFlags()
    key = flags.key(id)

    async def forget(log: "EventLog") -> None:
        from streamfold.errors import UnknownStream

        if not await log.drop(key):
            raise UnknownStream(key.tenant, key.response_id)

    visit_log(flags, forget, may_write=True)
    if json:
        Output().write_bytes(encode({"dropped": 1}) + b"\n")
    else:
        Output().write(f"{id} dropped\n")
    return 0
