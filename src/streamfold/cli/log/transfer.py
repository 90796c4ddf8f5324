"""`streamfold log export ID FILE` and `streamfold log import FILE`: a stream out of a log, or into it."""

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from msgspec.json import encode

from streamfold.cli.fold.reading import too_large
from streamfold.cli.fold.source import describe, open_async_source
from streamfold.cli.log.place import OWN_LOG, LogFlags, visit_log
from streamfold.cli.log.show import stream_document
from streamfold.cli.options import (
    DEFAULT_MAX_BYTES,
    STDIN,
    Document,
    MaxBytes,
    MaxFrameBytes,
    Policy,
    RecordedFile,
    ResponseId,
    sequence_number,
)
from streamfold.cli.terminal import INTERRUPTED, Failure, Output, say
from streamfold.errors import FrameTooLarge, InvalidArgument, LogConflict, MalformedBody, SequenceGap
from streamfold.fold import SequencePolicy
from streamfold.sse import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from streamfold.log import EventLog, StreamInfo


def export(
    id: ResponseId,
    file: Annotated[str, Parameter(name="FILE", help="Where to write it; - for stdout.")],
    /,
    *,
    at: Annotated[int | None, sequence_number("Stop after this sequence number [default: the last one]")] = None,
    force: Annotated[bool, Parameter(help="Overwrite an existing file.", show_default=False)] = False,
    flags: LogFlags = OWN_LOG,
) -> int:
    """Write a stream as server-sent events, each event's data exactly as it was received."""
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
        say(f"wrote {id} to {file}, {size:,} bytes")
    return 0


@contextmanager
def _target(file: str, *, force: bool) -> Generator[Callable[[bytes], object]]:
    """Yield what writes. A file is put in its place once it is complete; a pipe is written as the events come.

    Raises:
        Failure: It cannot be written, or exists and `force` is not set.
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
            raise Failure(f"{file} already exists; choose another name or pass --force")
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
    file: RecordedFile,
    /,
    *,
    id: Annotated[
        str | None, Parameter(help="The id to store it under [default: the id of its first Response]")
    ] = None,
    policy: Policy = SequencePolicy.STRICT,
    json: Document = False,
    max_bytes: MaxBytes = DEFAULT_MAX_BYTES,
    max_frame_bytes: MaxFrameBytes = MAX_FRAME_BYTES,
    flags: LogFlags = OWN_LOG,
) -> int:
    """Store a recorded stream. Importing it again changes nothing."""
    name = "stdin" if file == STDIN else file

    async def store(log: "EventLog") -> "StreamInfo | None":
        from streamfold.history import import_stream

        with _explained(name), open_async_source(file, max_bytes=max_bytes) as chunks:
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
        say(f"{name}: stopped; the log has part of it. Import it again to add the rest")
        return INTERRUPTED
    if info is None:
        raise Failure(f"{name}: the stream was dropped while it was being imported")
    output = Output()
    if json:
        output.write_bytes(encode(stream_document(info)) + b"\n")
    else:
        output.write(f"{info.key.response_id}\n")
    if not info.is_finished:
        say(
            f"{info.key.response_id} is still open: it has no terminal event, and ends after event {info.next_number - 1}"
        )
    return 0


@contextmanager
def _explained(name: str) -> Generator[None]:
    """Add the file's name to what breaks an import, and say what to do about it."""
    try:
        yield
    except Failure as failure:
        raise Failure(f"{name}: {failure.reason}", failure.exit_code) from failure
    except SequenceGap as gap:
        raise Failure(
            f"{name}: a gap: expected event {gap.expected}, got {gap.got}; the events before it are in the log. "
            "Skip the gap with --policy renumber"
        ) from gap
    except FrameTooLarge as error:
        raise Failure(f"{name}: {too_large(error)}") from error
    except MalformedBody as error:
        raise Failure(f"{name}: truncated: {error.reason}; the events before that are in the log") from error
    except InvalidArgument as error:
        advice = "it contains no response id; pass --id" if error.name == "response_id" else str(error)
        raise Failure(f"{name}: {advice}") from error
    except LogConflict as error:
        raise Failure(
            f"{name}: the log has a different event {error.sequence_number} for this response. "
            "Choose another --id, or --policy arrival if the file uses a number twice"
        ) from error
