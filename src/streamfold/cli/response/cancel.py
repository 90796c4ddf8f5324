"""`streamfold cancel ID`: a response cancelled, and what that came to, proven.

In      an id
Out     one line, or the outcome as JSON
Errors  none: each is one line
Source  docs/reference/cli.md; the table of cancels in docs/explanation/cancel.md
"""

from typing import TYPE_CHECKING, Annotated

from attrs import evolve, frozen
from cyclopts import Parameter

from streamfold.cli.failure import ERROR, INTERRUPTED, say
from streamfold.cli.output.outcome import RUNS_ON, outcome_document, outcome_words
from streamfold.cli.response.gateway import look, visit
from streamfold.cli.settings import Flags, read_settings
from streamfold.cli.terminal import Output
from streamfold.schema import is_terminal_status
from streamfold.session import CancelResult, Outcome, OutcomeStatus

if TYPE_CHECKING:
    from streamfold.client import Gateway

__all__ = ["cancel"]


@frozen
class Cancelled:
    """What a cancel came to. begun: the session's time when it was asked."""

    outcome: Outcome
    begun: float


def cancel(
    id: Annotated[str, Parameter(help="The response's id.", name="ID")],
    /,
    *,
    json: Annotated[bool, Parameter(help="The outcome as JSON.", show_default=False)] = False,
    flags: Flags | None = None,
) -> int:
    """Cancel a response, and find out what became of it."""
    settings = read_settings(flags)

    async def run(gateway: "Gateway") -> Cancelled:
        return await _cancel(gateway, id)

    try:
        done = visit(settings, run)
    except KeyboardInterrupt:
        say(f"stopped; whether {id} is cancelled is not known: streamfold cancel {id} asks again")
        return INTERRUPTED
    outcome = done.outcome
    output = Output()
    if json:
        output.write_bytes(outcome_document(outcome, response_id=id, begun=done.begun, hide=settings.hide))
    if outcome.proof is None:
        say(settings.hide(f"{id}: {outcome_words(outcome)}"))
        return ERROR
    if not json:
        output.write(settings.hide(f"{id}: {outcome_words(outcome)}\n"))
    return 0


async def _cancel(gateway: "Gateway", response_id: str) -> Cancelled:
    """Cancel it, and follow it to what proves its end; where nothing does in time, it is left as it is."""
    import anyio

    followed = gateway.follow(response_id)
    found = await look(gateway.retrieve(response_id))
    begun = anyio.current_time()
    async with followed as response:
        if found is not None and is_terminal_status(found.status):  # a gateway may take a cancel of what is cancelled
            return Cancelled(evolve(await response.outcome(), cancel=CancelResult.ALREADY_TERMINAL), begun)
        result = await response.cancel()
        if result not in RUNS_ON or response.state.is_terminal:
            return Cancelled(await response.outcome(), begun)
        unproven = Outcome(
            status=OutcomeStatus.ABANDONED,
            state=response.state,
            cancel=result,
            repairs=response.repairs,
            reason="it was left running",
        )
        return Cancelled(unproven, begun)
