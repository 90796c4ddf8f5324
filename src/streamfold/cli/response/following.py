"""A response followed by a command, to its end or to Ctrl-C, and shown on the way.

In      a FollowedResponse, and a view
Out     what the view shows; the exit code; on Ctrl-C the command that goes on from the cursor
Units   sequence numbers
Errors  Failure from the visit to the gateway
Source  docs/reference/cli.md
"""

import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from streamfold.cli.failure import INTERRUPTED, say, say_command
from streamfold.cli.log.place import LogFlags
from streamfold.cli.log.recording import again_into, opened_for
from streamfold.cli.output.outcome import exit_code
from streamfold.cli.response.gateway import visit
from streamfold.cli.settings import Settings
from streamfold.cli.terminal import Output
from streamfold.fold import State
from streamfold.session import Applied, Outcome, OutcomeStatus, Repair

if TYPE_CHECKING:
    from streamfold.cli.output.lines import FollowView
    from streamfold.client import FollowedResponse, Gateway
    from streamfold.log import EventLog

__all__ = ["Following", "choose_view", "follow_to_the_end", "next_command"]

LEFT = "it was left before its end"
Open = Callable[["Gateway", "EventLog | None"], "Awaitable[FollowedResponse]"]


class Following:
    """What is known of the response while it is followed, and what was shown of it.

    state: after the last event that was shown. cursor: the number to go on from; None for the whole stream.
    """

    def __init__(
        self, view: "FollowView", *, starting_after: int | None = None, response_id: str | None = None
    ) -> None:
        self.view = view
        self._id = response_id
        self.state: State = State()
        self.begun: float = 0.0
        self._floor = starting_after
        self._response: FollowedResponse | None = None

    @property
    def id(self) -> str | None:
        """The response's id, once it is known."""
        return self._id if self._response is None else self._response.id

    @property
    def cursor(self) -> int | None:
        """None too where the gateway's events have no numbers of their own."""
        return self.state.cursor if self.state.is_numbered else self._floor

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was done to mend the stream."""
        return self._response.repairs if self._response is not None else ()

    async def run(self, response: "FollowedResponse") -> Outcome:
        """Follow it to its end."""
        import anyio

        self.begun = anyio.current_time()
        async with response:
            self._response = response
            while applied := await response.next_applied():
                for each in applied:
                    self._show(each)
            return await response.outcome()

    def _show(self, applied: Applied) -> None:
        self.view.show(applied)
        self.state = applied.state  # only now: what could not be written is shown by whoever goes on


def follow_to_the_end(
    settings: Settings, following: Following, open_: Open, *, into: LogFlags, again: tuple[str, ...]
) -> int:
    """Follow what `open_` gives, and show it. into: where it is recorded; `open_` is given that log. again: the options of the command that goes on.

    Returns: the exit code.
    Raises: Failure.
    """

    async def run(gateway: "Gateway") -> Outcome:
        async with opened_for(into) as log:
            return await following.run(await open_(gateway, log))

    view = following.view
    try:
        with view:
            outcome = visit(settings, run)
    except KeyboardInterrupt:
        left = Outcome(status=OutcomeStatus.ABANDONED, state=following.state, repairs=following.repairs, reason=LEFT)
        view.finish(left, response_id=following.id, begun=following.begun)
        _say_how_to_go_on(following, (*again, *again_into(into), *settings.again))
        return INTERRUPTED
    view.finish(outcome, response_id=following.id, begun=following.begun)
    return exit_code(outcome)


def _say_how_to_go_on(following: Following, options: tuple[str, ...]) -> None:
    if following.id is None:
        say("stopped before the response told its id: it may run at the gateway")
        return
    place = "before its first event" if following.cursor is None else f"after event {following.cursor}"
    say(f"left {place}; {following.id} goes on at the gateway, and this goes on from here:")
    say_command(next_command(following.id, following.cursor, options))


def next_command(response_id: str, cursor: int | None, options: tuple[str, ...]) -> str:
    """The command that goes on from the cursor, as a shell takes it."""
    place = () if cursor is None else ("--starting-after", str(cursor))
    return shlex.join(("streamfold", "follow", response_id, *place, *options))


def choose_view(output: Output, settings: Settings, *, json: bool, in_the_middle: bool) -> "FollowView":
    """JSON if it is asked for; a live picture where a terminal can show it; lines otherwise."""
    from streamfold.cli.output.lines import JsonLines, PlainLines

    if json:
        return JsonLines(output, hide=settings.hide)
    if output.is_terminal:
        from streamfold.cli.output.screen import Screen

        if Screen.fits():
            return Screen(output, hide=settings.hide, began_in_the_middle=in_the_middle)
    return PlainLines(output, hide=settings.hide, began_in_the_middle=in_the_middle)
