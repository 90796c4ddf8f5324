"""The `streamfold log` commands that keep a log in order: fork, expire, drop, verify, doctor."""

import platform
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from msgspec.json import encode

from streamfold.cli.log.place import OWN_LOG, LogFlags, visit_log
from streamfold.cli.log.show import stream_document
from streamfold.cli.options import Document, ResponseId, sequence_number
from streamfold.cli.terminal import ERROR, Failure, Output

if TYPE_CHECKING:
    from streamfold.history import StreamReport
    from streamfold.log import Diagnosis, EventLog, StreamInfo

# What an acknowledged event survives, by durability.
SURVIVES = {
    "memory": "nothing: it is lost when the process ends",
    "process": "a crash of the process",
    "power": "a crash of the process and a power failure",
    "replicated": "the loss of a machine",
}


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
        from streamfold.errors import InvalidArgument
        from streamfold.history import fork as forked

        try:
            await forked(log, key, at=at, to=to)
        except InvalidArgument as error:
            raise Failure(error.reason) from error
        return await log.info(to)

    info = visit_log(flags, copy, may_write=True)
    if info is None:
        raise Failure(f"{new_id} was dropped while it was being forked")
    output = Output()
    if json:
        output.write_bytes(encode(stream_document(info)) + b"\n")
    else:
        output.write(f"{new_id}\n")
    return 0


def expire(*, json: Document = False, flags: LogFlags = OWN_LOG) -> int:
    """Drop the expired streams of all tenants."""

    async def drop_all(log: "EventLog") -> int:
        count = 0
        while dropped := await log.expire():
            count += dropped
        return count

    count = visit_log(flags, drop_all, may_write=True)
    _print_dropped(f"{count} stream{'' if count == 1 else 's'} dropped", count, json=json)
    return 0


def drop(id: ResponseId, /, *, json: Document = False, flags: LogFlags = OWN_LOG) -> int:
    """Delete a stream and everything stored with it."""
    key = flags.key(id)

    async def delete(log: "EventLog") -> None:
        from streamfold.errors import UnknownStream

        if not await log.drop(key):
            raise UnknownStream(key.tenant, key.response_id)

    visit_log(flags, delete, may_write=True)
    _print_dropped(f"{id} dropped", 1, json=json)
    return 0


def _print_dropped(words: str, count: int, *, json: bool) -> None:
    if json:
        Output().write_bytes(encode({"dropped": count}) + b"\n")
    else:
        Output().write(f"{words}\n")


# verify


def verify(*, json: Document = False, flags: LogFlags = OWN_LOG) -> int:
    """Check that every stream of every tenant is intact. Reads the whole log."""
    output = Output()
    whole, damaged = visit_log(flags, lambda log: _check(log, None if json else output), may_write=False)
    if json:
        output.write_bytes(encode({"whole": whole, "damaged": [*map(_report, damaged)]}) + b"\n")
    else:
        output.write(f"{whole} intact, {len(damaged)} damaged\n" if whole or damaged else "no streams\n")
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
                output.write(f"{_name(verdict)}: {'; '.join(verdict.problems)}\n")
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
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda streams: bar.update(task, advance=1, total=streams)


# doctor


def doctor(*, json: Document = False, flags: LogFlags = OWN_LOG) -> int:
    """Show versions, settings, what an acknowledged event survives, and what is unsafe."""
    diagnosis = visit_log(flags, lambda log: log.diagnose(), may_write=False)
    output = Output()
    if json:
        output.write_bytes(encode(_facts(diagnosis)) + b"\n")
        return 0
    output.write("".join(f"{line}\n" for line in _lines(diagnosis)))
    return 0


def _facts(diagnosis: "Diagnosis") -> dict[str, object]:
    return {
        "streamfold": version("streamfold"),
        "python": platform.python_version(),
        "engine": diagnosis.engine,
        "durability": str(diagnosis.durability),
        "settings": dict(diagnosis.settings),
        "unsafe": list(diagnosis.unsafe),
    }


def _lines(diagnosis: "Diagnosis") -> list[str]:
    return [
        f"streamfold {version('streamfold')}, Python {platform.python_version()}, {diagnosis.engine}",
        f"durability: {diagnosis.durability}; an acknowledged event survives {SURVIVES[diagnosis.durability]}",
        *(f"{name}: {value}" for name, value in diagnosis.settings.items()),
        *(f"unsafe: {each}" for each in diagnosis.unsafe),
        *([] if diagnosis.unsafe else ["nothing unsafe found"]),
    ]
