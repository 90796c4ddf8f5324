"""`streamfold batch get|cancel|follow ID`: a batch as it stands, cancelled, or followed to its end.

In      an id
Out     a line for each status, or the Batch as JSON; of cancel and follow the outcome last
Units   requests
Errors  none: each is one line
Source  docs/reference/cli.md
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from msgspec.json import encode

from streamfold.cli.failure import ERROR, INTERRUPTED, say
from streamfold.cli.output.outcome import RUNS_ON, batch_document, batch_words
from streamfold.cli.response.gateway import look, visit
from streamfold.cli.settings import Flags, Settings, read_settings
from streamfold.cli.terminal import Output
from streamfold.schema import Batch
from streamfold.session import BatchOutcome, CancelResult, OutcomeStatus

if TYPE_CHECKING:
    from streamfold.client import FollowedBatch, Gateway

__all__ = ["batch_commands", "follow_batch", "in_words"]

Identifier = Annotated[str, Parameter(help="The batch's id.", name="ID")]
Json = Annotated[bool, Parameter(help="Each Batch as a line of JSON, the outcome last.", show_default=False)]
Show = Callable[[Batch], None]


def get(id: Identifier, /, *, json: Json = False, flags: Flags | None = None) -> int:
    """Show a batch as it stands."""
    settings = read_settings(flags)
    found = visit(settings, lambda gateway: gateway.batches.retrieve(id))
    _shower(Output(), json=json)(found)
    return 0


def follow(id: Identifier, /, *, json: Json = False, flags: Flags | None = None) -> int:
    """Follow a batch to its end."""
    return _follow(id, read_settings(flags), json=json, is_cancel=False)


def cancel(id: Identifier, /, *, json: Json = False, flags: Flags | None = None) -> int:
    """Cancel a batch, and wait until that is proven: a batch is `cancelling` for up to minutes."""
    return _follow(id, read_settings(flags), json=json, is_cancel=True)


def batch_commands() -> App:
    """The three, below `streamfold batch`."""
    batch = App(name="batch", help="Look at a batch, cancel it, or follow it to its end.")
    for command in (get, cancel, follow):
        batch.command(command)
    return batch


def _follow(batch_id: str, settings: Settings, *, json: bool, is_cancel: bool) -> int:
    output = Output()
    show = _shower(output, json=json)

    async def run(gateway: "Gateway") -> BatchOutcome:
        return await follow_batch(gateway, batch_id, show, is_cancel=is_cancel)

    try:
        outcome = visit(settings, run)
    except KeyboardInterrupt:
        say(f"left; {batch_id} goes on at the gateway: streamfold batch follow {batch_id}")
        return INTERRUPTED
    if json:
        output.write_bytes(batch_document(outcome, batch_id=batch_id, hide=settings.hide))
    is_good = outcome.proof is not None if is_cancel else outcome.status is OutcomeStatus.COMPLETED
    words = settings.hide(f"{batch_id}: {batch_words(outcome)}")
    if not is_good:
        say(words)
    elif not json:
        output.write(f"{words}\n")
    return 0 if is_good else ERROR


async def follow_batch(gateway: "Gateway", batch_id: str, show: Show, *, is_cancel: bool) -> BatchOutcome:
    """Follow it to its end, or to the proof that it was cancelled. show: told of each Batch that came."""
    followed = gateway.batches.follow(batch_id)
    await look(gateway.batches.retrieve(batch_id))
    async with followed as one:
        if is_cancel and (result := await _cancel(one, show)) in RUNS_ON:
            return BatchOutcome(status=OutcomeStatus.ABANDONED, batch=one.batch, cancel=result)
        async for seen in one:
            show(seen)
        return await one.outcome()


async def _cancel(one: "FollowedBatch", show: Show) -> CancelResult:
    """Cancel it, and show what comes meanwhile."""
    import anyio

    async def watch() -> None:
        async for seen in one:
            show(seen)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await one.cancel()
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:  # what one task met, as that nobody reads stdout any longer, ended the other
        met, *others = group.exceptions
        if others:
            raise
        raise met from group
    return await one.cancel()  # known by now: the same once more


def _shower(output: Output, *, json: bool) -> Show:
    if json:
        return lambda seen: output.write_bytes(encode(seen) + b"\n")
    return in_words(lambda words: output.write(f"{words}\n"))


def in_words(write: Callable[[str], None]) -> Show:
    """Writes a line for each Batch that says something new."""
    last = ""

    def show(seen: Batch) -> None:
        nonlocal last
        if (words := _words(seen)) != last:
            write(words)
            last = words

    return show


def _words(seen: Batch) -> str:
    parts = [f"{seen.id}: {seen.status}"]
    if (counts := seen.request_counts) is not None and counts.total:
        parts.append(f"{counts.completed or 0} of {counts.total} requests done, {counts.failed or 0} failed")
    errors = seen.errors.data if seen.errors is not None and seen.errors.data else ()
    parts += [f"line {each.line}: {each.message}" for each in errors]
    return "; ".join(parts)
