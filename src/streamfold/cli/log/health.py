"""`streamfold log verify` and `streamfold log doctor`: is every stream whole, and how does the log stand?

In      a log
Out     a line for each stream that is not whole, and how many are; the log's settings and what is unsafe about them
Units   streams, events
Errors  none: each is one line; what is damaged is exit code 1
Source  docs/reference/cli.md
"""

import platform
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from msgspec import Struct
from msgspec.json import encode

from streamfold.cli.failure import ERROR
from streamfold.cli.log.place import LogFlags, visit_log
from streamfold.cli.terminal import Output

if TYPE_CHECKING:
    from streamfold.history import Verdict
    from streamfold.log import Diagnosis, EventLog

__all__ = ["doctor", "verify"]

Json = Annotated[bool, Parameter(help="One JSON document.", show_default=False)]

# What a record survives, once it is acknowledged.
SURVIVES = {
    "memory": "nothing: it ends with the process",
    "process": "the end of the process",
    "power": "the end of the process, and of the machine's power",
    "replicated": "the loss of a machine",
}


class _VerdictDocument(Struct, frozen=True):
    response_id: str | None
    tenant: str | None
    status: str | None
    events: int
    problems: tuple[str, ...]


class _VerifyDocument(Struct, frozen=True):
    """What `verify --json` tells, and the order of its fields."""

    whole: int
    damaged: list[_VerdictDocument]


def verify(*, json: Json = False, flags: LogFlags | None = None) -> int:
    """Look whether every stream is whole, of all tenants. It reads the whole log."""
    output = Output()
    whole, damaged = visit_log(flags or LogFlags(), lambda log: _look(log, None if json else output), may_write=False)
    if json:
        output.write_bytes(encode(_VerifyDocument(whole, [_document(verdict) for verdict in damaged])) + b"\n")
    else:
        output.write(f"{whole} whole, {len(damaged)} not\n" if whole or damaged else "no streams\n")
    return ERROR if damaged else 0


async def _look(log: "EventLog", output: Output | None) -> "tuple[int, list[Verdict]]":
    """How many streams are whole, and the others' verdicts, each shown as it is found."""
    from streamfold.history import verify as verdicts

    whole, damaged = 0, list["Verdict"]()
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


def _name(verdict: "Verdict") -> str:
    if verdict.key is None:
        return "the log"
    tenant = f" of tenant {verdict.key.tenant}" if verdict.key.tenant else ""
    return f"{verdict.key.response_id}{tenant}"


def _document(verdict: "Verdict") -> _VerdictDocument:
    key = verdict.key
    return _VerdictDocument(
        response_id=key.response_id if key else None,
        tenant=key.tenant if key else None,
        status=verdict.status,
        events=verdict.events,
        problems=verdict.problems,
    )


@contextmanager
def _progress() -> Generator[Callable[[int], None]]:
    """What counts the streams on stderr, where a terminal is there to show it."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda streams: bar.update(task, advance=1, total=streams)


def doctor(*, json: Json = False, flags: LogFlags | None = None) -> int:
    """Tell how the log stands: versions, settings, what a record survives, and what is unsafe."""
    diagnosis = visit_log(flags or LogFlags(), lambda log: log.diagnose(), may_write=False)
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
        f"durability: {diagnosis.durability}; a record that was acknowledged survives {SURVIVES[diagnosis.durability]}",
        *(f"{name}: {value}" for name, value in diagnosis.settings.items()),
        *(f"unsafe: {each}" for each in diagnosis.unsafe),
        *([] if diagnosis.unsafe else ["nothing is unsafe"]),
    ]
