"""`streamfold batch get|cancel|follow ID`: show a batch, cancel it, or follow it to its end."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import App, Parameter

from streamfold.cli.output.outcome import STILL_RUNNING, batch_document, batch_words, print_outcome
from streamfold.cli.response.gateway import ask_once, visit
from streamfold.cli.settings import Flags, Settings, read_settings
from streamfold.cli.terminal import INTERRUPTED, Output, one_line, say, say_command
from streamfold.schema import Batch
from streamfold.session import BatchOutcome, CancelResult, OutcomeStatus

if TYPE_CHECKING:
    from streamfold.client import FollowedBatch, Gateway

BatchId: TypeAlias = Annotated[str, Parameter(name="ID", help="The batch's id.")]
Json: TypeAlias = Annotated[
    bool, Parameter(help="Print each Batch as a line of JSON, then the outcome.", show_default=False)
]
Show: TypeAlias = Callable[[Batch], None]


def get(id: BatchId, /, *, json: Json = False, flags: Flags | None = None) -> int:
    """Show a batch as it is now."""
    settings = read_settings(flags)
    found = visit(settings, lambda gateway: gateway.batches.retrieve(id))
    _shower(Output(), json=json)(found)
    return 0


def follow(id: BatchId, /, *, json: Json = False, flags: Flags | None = None) -> int:
    """Follow a batch to its end."""
    return _follow(id, read_settings(flags), json=json, is_cancel=False)


def cancel(id: BatchId, /, *, json: Json = False, flags: Flags | None = None) -> int:
    """Cancel a batch and wait until the cancel is confirmed, which can take minutes."""
    return _follow(id, read_settings(flags), json=json, is_cancel=True)


def batch_commands() -> App:
    """Return the commands below `streamfold batch`."""
    batch = App(name="batch", help="Show a batch, cancel it, or follow it to its end.")
    for command in (get, cancel, follow):
        batch.command(command)
    return batch


def _follow(batch_id: str, settings: Settings, *, json: bool, is_cancel: bool) -> int:
    show = _shower(Output(), json=json)
    command = "cancel" if is_cancel else "follow"  # a batch can be cancelled as often as you like
    same = (*(("--json",) if json else ()), *settings.flags)
    try:
        outcome = visit(settings, lambda gateway: follow_batch(gateway, batch_id, show, is_cancel=is_cancel))
    except KeyboardInterrupt:
        say(f"stopped; {command} {batch_id} {settings.again}:")
        say_command("batch", command, id=batch_id, options=same)
        return INTERRUPTED
    is_good = outcome.proof is not None if is_cancel else outcome.status is OutcomeStatus.COMPLETED
    document = batch_document(outcome, batch_id=batch_id, hide=settings.hide)
    code = print_outcome(document, settings.hide(f"{batch_id}: {batch_words(outcome)}"), is_good=is_good, json=json)
    if outcome.status in (OutcomeStatus.ABANDONED, OutcomeStatus.LOST):
        command = "follow" if outcome.cancel is CancelResult.NOT_ALLOWED else command
        say(f"{command} {batch_id} {settings.again}:")
        say_command("batch", command, id=batch_id, options=same)
    return code


async def follow_batch(gateway: "Gateway", batch_id: str, show: Show, *, is_cancel: bool) -> BatchOutcome:
    """Follow it to its end, or until its cancel is confirmed. Calls `show` with each Batch that arrives."""
    followed = gateway.batches.follow(batch_id)
    await ask_once(gateway.batches.retrieve(batch_id))
    async with followed as one:
        if is_cancel and (result := await _cancel(one, show)) in STILL_RUNNING:
            return BatchOutcome(status=OutcomeStatus.ABANDONED, batch=one.batch, cancel=result)
        async for seen in one:
            show(seen)
        return await one.outcome()


async def _cancel(one: "FollowedBatch", show: Show) -> CancelResult:
    """Cancel it, and show what arrives meanwhile."""
    import anyio

    async def watch() -> None:
        async for seen in one:
            show(seen)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await one.cancel()
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:  # one task failed, for example because stdout is closed, and ended the other
        failure, *others = group.exceptions
        if others:
            raise
        raise failure from group
    return await one.cancel()  # known by now: returns the same result


def _shower(output: Output, *, json: bool) -> Show:
    if json:
        return output.write_json
    return in_words(lambda words: output.write_line(one_line(words)))


def in_words(write: Callable[[str], None]) -> Show:
    """Return what writes a line for each Batch that differs from the one before."""
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
        parts.append(f"{counts.completed or 0} of {counts.total} requests completed, {counts.failed or 0} failed")
    errors = seen.errors.data if seen.errors is not None and seen.errors.data else ()
    parts += [f"line {each.line}: {each.message}" for each in errors]
    files = (("output file", seen.output_file_id), ("error file", seen.error_file_id))
    parts += [f"{name} {file_id}" for name, file_id in files if file_id]
    return "; ".join(parts)
