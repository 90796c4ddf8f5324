"""The `streamfold log` commands that copy, delete and check streams: export, import, fork, expire, drop, verify, doctor."""

import os
import platform
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import version
from locale import getencoding
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from streamfold.cli.fold.source import describe, open_source, too_large
from streamfold.cli.log.place import OWN_LOG, LogFlags, is_missing, log_address, visit_log
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
    valid_text,
)
from streamfold.cli.terminal import ERROR, INTERRUPTED, Failure, Output, print_result, say
from streamfold.errors import FrameTooLarge, InvalidArgument, LogConflict, MalformedBody, SequenceGap, UnknownStream
from streamfold.fold import SequencePolicy
from streamfold.sse import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from streamfold.history import Imported, StreamReport
    from streamfold.log import EventLog, StreamInfo

SHOWN_NUMBERS = 10
# What an acknowledged event survives, by durability.
SURVIVES = {
    "memory": "nothing: it is lost when the process ends",
    "process": "a crash of the process",
    "power": "a crash of the process and a power failure",
    "replicated": "the loss of a machine",
}


# export


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
    """Yield what writes. A file is put in its place once it is complete; a pipe is written as the events come."""
    if file == STDIN:
        yield Output().write_bytes
        return
    path = Path(file)
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding=getencoding()) as opened:  # a pipe, or a terminal such as /dev/tty
                yield Output(opened).write_bytes
        elif path.exists() and not force:
            raise Failure(f"{file} already exists; choose another name or pass --force")
        else:
            with _replacing(path) as write:
                yield write
    except BrokenPipeError:  # as for stdout: the reader has gone away
        raise
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


# import


def import_(
    file: RecordedFile,
    /,
    *,
    id: Annotated[
        str | None,
        Parameter(help="The id to store it under [default: the id of its first Response]", validator=valid_text),
    ] = None,
    policy: Policy = SequencePolicy.STRICT,
    json: Document = False,
    max_bytes: MaxBytes = DEFAULT_MAX_BYTES,
    max_frame_bytes: MaxFrameBytes = MAX_FRAME_BYTES,
    flags: LogFlags = OWN_LOG,
) -> int:
    """Store a recorded stream. Importing it again changes nothing."""
    name = "stdin" if file == STDIN else file

    async def store(log: "EventLog") -> "tuple[StreamInfo | None, Imported]":
        from streamfold.history import import_stream

        with _explained(name), open_source(file) as source:
            chunks = source.chunks_for_task(max_bytes=max_bytes)
            try:
                stored = await import_stream(
                    log, flags.tenant, chunks, id, policy=policy, max_frame_bytes=max_frame_bytes
                )
            except MalformedBody as error:
                if error.kind != "Responses stream":
                    raise
                raise Failure(describe(source.head)) from error
        return await log.info(flags.key(stored.response_id)), stored

    try:
        info, stored = visit_log(flags, store, may_write=True)
    except KeyboardInterrupt:
        say(f"{name}: stopped; the log has part of it. Import it again to add the rest")
        return INTERRUPTED
    if info is None:
        raise Failure(f"{name}: the stream was dropped while it was being imported")
    dropped = {"dropped": stored.dropped, "dropped_numbers": stored.dropped_numbers}
    print_result(stream_document(info) | dropped, info.key.response_id, json=json)
    if stored.dropped:
        numbers = ", ".join(map(str, stored.dropped_numbers[:SHOWN_NUMBERS])) + ", ..." * (
            stored.dropped > SHOWN_NUMBERS
        )
        say(
            f"{name}: left out {stored.dropped:,} events that say something else than the event with the same number, or "
            f"belong to another response: {numbers}"
        )
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


# fork, expire, drop


def fork(
    id: ResponseId,
    new_id: Annotated[str, Parameter(name="NEW_ID", help="The id of the new stream.")],
    /,
    *,
    at: Annotated[int, sequence_number("The last sequence number to copy.")],
    json: Document = False,
    flags: LogFlags = OWN_LOG,
) -> int:
    """Start a new stream with a copy of this one's events up to a number."""
    key, to = flags.key(id), flags.key(new_id)

    async def copy(log: "EventLog") -> "StreamInfo | None":
        from streamfold.history import fork as forked

        try:
            await forked(log, key, at=at, to=to)
        except InvalidArgument as error:
            raise Failure(error.reason) from error
        return await log.info(to)

    info = visit_log(flags, copy, may_write=True)
    if info is None:
        raise Failure(f"{new_id} was dropped while it was being forked")
    print_result(stream_document(info), new_id, json=json)
    return 0


def expire(*, json: Document = False, flags: LogFlags = OWN_LOG) -> int:
    """Drop the expired streams of all tenants."""

    async def drop_all(log: "EventLog") -> int:
        count = 0
        while dropped := await log.expire():
            count += dropped
        return count

    count = visit_log(flags, drop_all, may_write=True)
    print_result({"dropped": count}, f"{count} stream{'' if count == 1 else 's'} dropped", json=json)
    return 0


def drop(id: ResponseId, /, *, json: Document = False, flags: LogFlags = OWN_LOG) -> int:
    """Delete a stream and everything stored with it."""
    key = flags.key(id)

    async def delete(log: "EventLog") -> None:
        if not await log.drop(key):
            raise UnknownStream(key.tenant, key.response_id)

    visit_log(flags, delete, may_write=True)
    print_result({"dropped": 1}, f"{id} dropped", json=json)
    return 0


# verify


def verify(*, json: Document = False, flags: LogFlags = OWN_LOG) -> int:
    """Check that every stream of every tenant is intact. Reads the whole log."""
    whole, damaged = visit_log(flags, lambda log: _check(log, None if json else Output()), may_write=False)
    words = f"{whole} intact, {len(damaged)} damaged" if whole or damaged else "no streams"
    print_result({"whole": whole, "damaged": [*map(_report, damaged)]}, words, json=json)
    return ERROR if damaged else 0


async def _check(log: "EventLog", output: Output | None) -> "tuple[int, list[StreamReport]]":
    """Count the intact streams and collect the others, each printed as it is found."""
    from streamfold.history import verify as verdicts

    whole, damaged = 0, list["StreamReport"]()
    found = verdicts(log)
    with _progress() as advance:
        async for verdict in found:
            advance(found.streams)
            if verdict.is_whole:
                whole += 1
                continue
            damaged.append(verdict)
            if output is not None:
                output.write_line(f"{_name(verdict)}: {'; '.join(verdict.problems)}")
    return whole, damaged


def _name(verdict: "StreamReport") -> str:
    if verdict.key is None:
        return "the log"
    tenant = f" of tenant {verdict.key.tenant}" if verdict.key.tenant else ""
    return f"{verdict.key.response_id}{tenant}"


def _report(verdict: "StreamReport") -> dict[str, object]:
    key = verdict.key
    return {
        "response_id": key.response_id if key else None,
        "tenant": key.tenant if key else None,
        "status": verdict.status,
        "events": verdict.events,
        "problems": verdict.problems,
    }


@contextmanager
def _progress() -> Generator[Callable[[int], None]]:
    """Yield what counts the streams, on stderr if that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    from streamfold.cli.output.console import progress_bar

    bar = progress_bar(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    if bar is None:
        yield lambda _: None
        return
    with bar:
        task = bar.add_task("", total=None)
        yield lambda streams: bar.update(task, advance=1, total=streams)


# doctor


def doctor(*, json: Document = False, flags: LogFlags = OWN_LOG) -> int:
    """Show versions, settings, what an acknowledged event survives, and what is unsafe."""
    if is_missing(address := log_address(flags)):
        raise Failure(f"{address}: there is no log yet; the first import or recording creates it")
    diagnosis = visit_log(flags, lambda log: log.diagnose(), may_write=False)
    facts = {
        "streamfold": version("streamfold"),
        "python": platform.python_version(),
        "engine": diagnosis.engine,
        "durability": str(diagnosis.durability),
        "settings": dict(diagnosis.settings),
        "unsafe": list(diagnosis.unsafe),
    }
    lines = [
        f"streamfold {version('streamfold')}, Python {platform.python_version()}, {diagnosis.engine}",
        f"durability: {diagnosis.durability}; an acknowledged event survives {SURVIVES[diagnosis.durability]}",
        *(f"{name}: {value}" for name, value in diagnosis.settings.items()),
        *(f"unsafe: {each}" for each in diagnosis.unsafe),
        *([] if diagnosis.unsafe else ["nothing unsafe found"]),
    ]
    print_result(facts, "\n".join(lines), json=json)
    return 0
