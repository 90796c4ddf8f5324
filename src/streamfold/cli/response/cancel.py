"""`streamfold cancel ID`: cancel a response, and wait until its end is confirmed."""

from typing import TYPE_CHECKING, Annotated

from attrs import evolve
from cyclopts import Parameter

from streamfold.cli.options import ResponseId
from streamfold.cli.output.outcome import STILL_RUNNING, outcome_document, outcome_words
from streamfold.cli.response.gateway import ask_once, visit
from streamfold.cli.settings import Flags, read_settings
from streamfold.cli.terminal import ERROR, INTERRUPTED, Output, say, say_command
from streamfold.schema import is_terminal_status
from streamfold.session import CancelResult, Outcome, OutcomeStatus

if TYPE_CHECKING:
    from streamfold.client import Gateway


def cancel(
    id: ResponseId,
    /,
    *,
    json: Annotated[bool, Parameter(help="Print the outcome as JSON.", show_default=False)] = False,
    flags: Flags | None = None,
) -> int:
    """Cancel a response and report how it ended."""
    settings = read_settings(flags)

    async def run(gateway: "Gateway") -> tuple[Outcome, float]:
        return await _cancel(gateway, id)

    try:
        outcome, begun = visit(settings, run)
    except KeyboardInterrupt:
        say(f"stopped; {id} may or may not be cancelled. To cancel it again:")
        say_command("cancel", id, *settings.flags)
        return INTERRUPTED
    output = Output()
    if json:
        output.write_bytes(outcome_document(outcome, response_id=id, begun=begun, hide=settings.hide))
    if outcome.proof is None:
        say(settings.hide(f"{id}: {outcome_words(outcome)}"))
        return ERROR
    if not json:
        output.write(settings.hide(f"{id}: {outcome_words(outcome)}\n"))
    return 0


async def _cancel(gateway: "Gateway", response_id: str) -> tuple[Outcome, float]:
    """Cancel it and follow it until its end is confirmed, or stop if nothing confirms it in time.

    Returns:
        The outcome, and the session's time when the cancel was requested.
    """
    import anyio

    followed = gateway.follow(response_id)
    found = await ask_once(gateway.retrieve(response_id))
    begun = anyio.current_time()
    async with followed as response:
        if found is not None and is_terminal_status(found.status):  # gateways may accept a cancel of what is cancelled
            return evolve(await response.outcome(), cancel=CancelResult.ALREADY_TERMINAL), begun
        result = await response.cancel()
        if result not in STILL_RUNNING or response.state.is_terminal:
            return await response.outcome(), begun
        still_running = Outcome(
            status=OutcomeStatus.ABANDONED,
            state=response.state,
            cancel=result,
            repairs=response.repairs,
            reason="it is still running",
        )
        return still_running, begun
