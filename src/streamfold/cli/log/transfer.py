"""`streamfold log export ID FILE` and `streamfold log import FILE`: a stream out of a log, or into it.

In      a response's id and where to write; or a recorded stream, plain or gzip
Out     the file, whole or not at all, or stdout; of an import the id under which the stream is stored
Units   bytes; sequence numbers
Errors  none: each is one line
Source  docs/reference/cli.md
"""

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter
from cyclopts.validators import Number
from msgspec.json import encode

from streamfold.cli.failure import INTERRUPTED, Failure, say
from streamfold.cli.fold.reading import DEFAULT_MAX_FRAME_BYTES
from streamfold.cli.fold.sniff import describe
from streamfold.cli.fold.source import DEFAULT_MAX_BYTES, STDIN
from streamfold.cli.log.listing import stream_document
from streamfold.cli.log.place import LogFlags, visit_log
from streamfold.cli.log.show import At, Identifier
from streamfold.cli.terminal import Output
from streamfold.errors import FrameTooLarge, InvalidArgument, LogConflict, MalformedBody, SequenceGap
from streamfold.fold import SequencePolicy

if TYPE_CHECKING:
    from streamfold.log import EventLog, StreamInfo

__all__ = ["export", "import_"]

LIMITS = Group("Limits", sort_key=2)
AT_LEAST_ONE = Number(gte=1)


def export(
    id: Identifier,
    file: Annotated[str, Parameter(help="Where to write it; - for stdout.", name="FILE")],
    /,
    *,
    at: Annotated[At, Parameter(help="Up to this sequence number; without it all.")] = None,
    force: Annotated[bool, Parameter(help="Write over a file that is there.", show_default=False)] = False,
    flags: LogFlags | None = None,
) -> int:
    """Write a stream as server-sent events, the data of each event byte for byte as it came."""
    flags = flags or LogFlags()
    key = flags.key(id)

    async def write(log: "EventLog") -> int:
        from streamfold.history import export as exported

        size = 0
        with _target(file, force=force) as put:
            async for chunk in exported(log, key, at=at):
                put(chunk)
                size += len(chunk)
        return size

    size = visit_log(flags, write, may_write=False)
    if file != STDIN:
        say(f"{id} is in {file}, {size:,} bytes")
    return 0


@contextmanager
def _target(file: str, *, force: bool) -> Generator[Callable[[bytes], object]]:
    """What writes. A file is made beside its place, and put there once it is whole; a pipe is written as it comes.

    Raises: Failure where that cannot be done.
    """
    if file == STDIN:
        yield Output().write_bytes
        return
    path = Path(file)
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as opened:
                yield opened.write
        elif path.exists() and not force:
            raise Failure(f"{file}: is there already; give another name, or --force")
        else:
            with _replacing(path) as write:
                yield write
    except OSError as error:
        raise Failure(f"{file}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _replacing(path: Path) -> Generator[Callable[[bytes], object]]:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as beside:
        try:
            yield beside.write
            beside.flush()
            os.replace(beside.name, path)
        except BaseException:
            os.unlink(beside.name)
            raise


def import_(
    file: Annotated[str, Parameter(help="A recorded stream, plain or gzip; - for stdin.", name="FILE")],
    /,
    *,
    id: Annotated[
        str | None, Parameter(help="The id to store it under; without it that of its first Response.")
    ] = None,
    policy: Annotated[
        SequencePolicy, Parameter(help="How far the server's sequence numbers are trusted.")
    ] = SequencePolicy.STRICT,
    json: Annotated[bool, Parameter(help="One JSON document.", show_default=False)] = False,
    max_bytes: Annotated[
        int, Parameter(help="The most that a gzip file may unpack to.", group=LIMITS, validator=AT_LEAST_ONE)
    ] = DEFAULT_MAX_BYTES,
    max_frame_bytes: Annotated[
        int, Parameter(help="The most that one frame may hold.", group=LIMITS, validator=AT_LEAST_ONE)
    ] = DEFAULT_MAX_FRAME_BYTES,
    flags: LogFlags | None = None,
) -> int:
    """Store a recorded stream. To do it again changes nothing."""
    flags = flags or LogFlags()
    name = "stdin" if file == STDIN else file

    async def store(log: "EventLog") -> "StreamInfo | None":
        from streamfold.cli.fold.async_input import open_arrival
        from streamfold.history import import_stream

        with _told(name), open_arrival(file, max_bytes=max_bytes) as chunks:
            try:
                stored = await import_stream(
                    log, flags.tenant, chunks, id, policy=policy, max_frame_bytes=max_frame_bytes
                )
            except MalformedBody as error:
                if error.kind != "Responses stream":
                    raise
                raise Failure(describe(chunks.head)) from error
        return await log.info(flags.key(stored))

    try:
        info = visit_log(flags, store, may_write=True)
    except KeyboardInterrupt:
        say(f"{name}: stopped; what came so far is in the log: import it again to go on")
        return INTERRUPTED
    if info is None:
        raise Failure(f"{name}: the stream was dropped as soon as it was stored")
    output = Output()
    if json:
        output.write_bytes(encode(stream_document(info)) + b"\n")
    else:
        output.write(f"{info.key.response_id}\n")
    if not info.is_finished:
        say(f"{info.key.response_id} is open: no terminal event came up to {info.next_number - 1}")
    return 0


@contextmanager
def _told(name: str) -> Generator[None]:
    """What breaks an import, told with the file's name, and what can be done about it."""
    try:
        yield
    except Failure as failure:
        raise Failure(f"{name}: {failure.reason}", failure.exit_code) from failure
    except SequenceGap as gap:
        raise Failure(
            f"{name}: a gap: expected event {gap.expected}, got {gap.got}; what came before is in the log; "
            "pass over it with --policy renumber"
        ) from gap
    except FrameTooLarge as error:
        raise Failure(
            f"{name}: one frame is larger than {error.limit_bytes:,} bytes; if that is right, raise --max-frame-bytes"
        ) from error
    except MalformedBody as error:
        raise Failure(f"{name}: truncated: {error.reason}; what came before is in the log") from error
    except InvalidArgument as error:
        advice = "no Response in it tells its id; give --id" if error.name == "response_id" else str(error)
        raise Failure(f"{name}: {advice}") from error
    except LogConflict as error:
        raise Failure(
            f"{name}: the log holds another event {error.sequence_number} of this response; "
            "give another --id, or --policy arrival where one file has a number twice"
        ) from error
