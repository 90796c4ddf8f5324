"""`streamfold create`, `follow` and `cancel`; and how every command follows a response to its end or to Ctrl-C."""

import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from attrs import evolve
from cyclopts import Group, Parameter
from msgspec import DecodeError
from msgspec.json import decode

from streamfold.cli.log.place import NO_LOG, RecordFlags, log_flags, opened_for, who_records
from streamfold.cli.options import STDIN, EventDocuments, ResponseId, flag_words, sequence_number, valid_text
from streamfold.cli.output.outcome import STILL_RUNNING, outcome_document, outcome_words, print_outcome
from streamfold.cli.output.step import Step
from streamfold.cli.output.view import End, JsonLines, TextView, View
from streamfold.cli.response.gateway import ask_once, visit
from streamfold.cli.response.show import print_response
from streamfold.cli.settings import Flags, Settings, read_settings
from streamfold.cli.terminal import (
    ERROR,
    INTERRUPTED,
    USAGE,
    Failure,
    Output,
    cannot_write,
    say,
    say_command,
)
from streamfold.fold import State
from streamfold.schema import is_terminal_status
from streamfold.session import Applied, CancelResult, Outcome, OutcomeStatus

if TYPE_CHECKING:
    from streamfold.client import FollowedResponse, Gateway
    from streamfold.log import EventLog

Open = Callable[["Gateway", "EventLog | None"], "Awaitable[FollowedResponse]"]

REQUEST = Group("Request", sort_key=1)


# create


def create(
    *,
    model: Annotated[str, Parameter(help="The model.", group=REQUEST, validator=valid_text)],
    input: Annotated[
        str | None,
        Parameter(help="The prompt; - reads stdin.", group=REQUEST, allow_leading_hyphen=True, validator=valid_text),
    ] = None,
    instructions: Annotated[
        str | None,
        Parameter(help="The system message.", group=REQUEST, allow_leading_hyphen=True, validator=valid_text),
    ] = None,
    background: Annotated[
        bool,
        Parameter(help="Keep it running at the gateway if you disconnect.", group=REQUEST, show_default=False),
    ] = False,
    parameter: Annotated[
        list[str] | None,
        Parameter(
            help="Any other API parameter, as NAME=VALUE. VALUE is JSON or plain text.",
            group=REQUEST,
            validator=valid_text,
        ),
    ] = None,
    stream: Annotated[bool, Parameter(help="Follow it, like streamfold follow.", show_default=False)] = False,
    json: EventDocuments = False,
    into: RecordFlags = NO_LOG,
    flags: Flags | None = None,
) -> int:
    """Create a response."""
    parameters: dict[str, Any] = _parameters(parameter or ())
    parameters |= {"model": model} | ({"background": True} if background else {})
    parameters |= {} if input is None else {"input": _from_stdin() if input == STDIN else input}
    parameters |= {} if instructions is None else {"instructions": instructions}
    if len(parameters) == 1 + background:
        raise Failure("no prompt: pass --input TEXT, or --input - to read stdin", USAGE)
    settings = read_settings(flags)
    if stream:
        return _create_and_follow(settings, parameters, json=json, into=into)
    if into.log:
        raise Failure("--log needs --stream: without it there are no events to record", USAGE)
    response = visit(settings, lambda gateway: gateway.create(**parameters))
    return print_response(response, settings, json=json)


def _from_stdin() -> str:
    if sys.stdin is None:
        raise Failure("stdin: it is closed")
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise Failure("stdin: it is not valid UTF-8") from error


def _parameters(given: Sequence[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for each in given:
        name, is_pair, value = each.partition("=")
        if not is_pair or not name:
            raise Failure(f"--parameter: must be NAME=VALUE, got {each!r}", USAGE)
        try:
            parameters[name] = decode(value)
        except (DecodeError, RecursionError):
            parameters[name] = value
    return parameters


def _create_and_follow(settings: Settings, parameters: dict[str, Any], *, json: bool, into: RecordFlags) -> int:
    view = choose_view(Output(), settings, json=json)

    async def begin(gateway: "Gateway", log: "EventLog | None") -> "FollowedResponse":
        from streamfold.client import record

        response = gateway.stream(on_repair=view.repair, **parameters)
        return response if log is None else record(response, log, tenant=into.tenant)

    following = Following(view, is_background=parameters.get("background") is True)
    return follow_to_the_end(settings, following, begin, into=into, json=json)


# follow


def follow(
    id: ResponseId,
    /,
    *,
    starting_after: Annotated[
        int | None, sequence_number("Resume after this sequence number [default: the start]")
    ] = None,
    json: EventDocuments = False,
    into: RecordFlags = NO_LOG,
    flags: Flags | None = None,
) -> int:
    """Follow a response to its end. Ctrl-C leaves it running."""
    settings = read_settings(flags)
    view = choose_view(Output(), settings, json=json, starts_midway=starting_after is not None)

    async def begin(gateway: "Gateway", log: "EventLog | None") -> "FollowedResponse":
        from streamfold.client import record

        if log is None:
            response = gateway.follow(id, starting_after=starting_after, on_repair=view.repair)
            await ask_once(gateway.retrieve(id))
            return response
        nothing = State() if starting_after is None else None  # so that what the log has is shown first
        response = gateway.follow(id, starting_after=starting_after, state=nothing, on_repair=view.repair)
        info = await log.info(into.key(id))
        if info is None:
            await ask_once(gateway.retrieve(id))
        elif words := who_records(info, now=time.time()):
            say(f"{id}: {words}")
        return record(response, log, tenant=into.tenant)

    following = Following(view, starting_after=starting_after, response_id=id)
    return follow_to_the_end(settings, following, begin, into=into, json=json)


class Following:
    """What is known about a response while it is followed.

    Attributes:
        state: The state after the last event that was shown.
        begun: The session's time when following began.
        is_background: Whether it may run in the background, so that it can be resumed as a stream.
        starts_midway: Whether it is followed after a number, so that its first events are not seen.
    """

    def __init__(
        self,
        view: View,
        *,
        starting_after: int | None = None,
        response_id: str | None = None,
        is_background: bool = True,
    ) -> None:
        self.is_background: bool = is_background
        self.starts_midway: bool = starting_after is not None
        self.view = view
        self._id = response_id
        self.state: State = State()
        self.begun: float = 0.0
        self._starting_after = starting_after
        self._response: FollowedResponse | None = None

    @property
    def id(self) -> str | None:
        """The response's id, once it is known."""
        return self._id if self._response is None else self._response.id

    @property
    def cursor(self) -> int | None:
        """Where to resume; None for the start, and if the gateway's events have no numbers of their own."""
        return self.state.cursor if self.state.is_numbered else self._starting_after

    @property
    def can_resume(self) -> bool:
        """Whether it has begun, and not ended."""
        return self._response is not None and self.id is not None and not self.state.is_terminal

    def abandoned(self, reason: str) -> Outcome:
        """Return what is known about it although following ended early."""
        repairs = self._response.repairs if self._response is not None else ()
        return Outcome(status=OutcomeStatus.ABANDONED, state=self.state, repairs=repairs, reason=reason)

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
        self.view.show(Step(applied.event, applied.data, self.state, applied.state))
        self.state = applied.state  # only now: an event that could not be written is shown again on resuming


def follow_to_the_end(
    settings: Settings, following: Following, open_: Open, *, into: RecordFlags, json: bool = False
) -> int:
    """Follow the response that `open_` returns, show it, and return the exit code."""

    async def run(gateway: "Gateway") -> Outcome:
        async with opened_for(into) as log:
            return await following.run(await open_(gateway, log))

    try:
        with following.view:
            outcome = visit(settings, run)
        code = 0 if outcome.status is OutcomeStatus.COMPLETED else ERROR
    except KeyboardInterrupt:
        outcome, code = following.abandoned("stopped before its end"), INTERRUPTED
    except Failure as failure:
        if not following.can_resume:
            raise
        outcome, code = following.abandoned(failure.reason), failure.exit_code
    except OSError as error:
        if isinstance(error, BrokenPipeError) or not following.can_resume:
            raise
        outcome, code = following.abandoned(cannot_write(error)), ERROR
    following.view.finish(
        End(
            outcome.state,
            outcome=outcome,
            response_id=following.id,
            begun=following.begun,
            starts_midway=following.starts_midway,
        )
    )
    if code not in (0, INTERRUPTED) and outcome.status is OutcomeStatus.ABANDONED:
        say(outcome.reason)
    if outcome.status in (OutcomeStatus.ABANDONED, OutcomeStatus.LOST):
        same = ("--json",) if json else ()
        _say_how_to_resume(following, (*same, *log_flags(into), *settings.flags), again=settings.again)
    return code


def _say_how_to_resume(following: Following, options: tuple[str, ...], *, again: str) -> None:
    if following.id is None:
        say("stopped before the response's id arrived; it may be running at the gateway")
        return
    place = "before its first event" if following.cursor is None else f"after event {following.cursor}"
    if not following.is_background:
        say(
            f"stopped {place}; {following.id} runs in the foreground, so it cannot be resumed as a stream, and the "
            f"gateway may cancel it; next time, pass --background. Read its end, if the gateway keeps it, {again}:"
        )
        say_command("follow", id=following.id, options=options)
        return
    say(f"stopped {place}; resume {following.id} {again}:")
    say_command("follow", id=following.id, options=(*flag_words("--starting-after", following.cursor), *options))


def choose_view(output: Output, settings: Settings, *, json: bool, starts_midway: bool = False) -> View:
    """Return JSON if asked for, a live picture on a terminal that can show it, else the text."""
    if json:
        return JsonLines(output, hide=settings.hide)
    if output.is_terminal:
        from streamfold.cli.output.screen import Screen

        if Screen.fits():
            return Screen(output, hide=settings.hide, starts_midway=starts_midway)
    return TextView(output, hide=settings.hide, say=say, starts_midway=starts_midway)


# cancel


def cancel(
    id: ResponseId,
    /,
    *,
    json: Annotated[bool, Parameter(help="Print the outcome as JSON.", show_default=False)] = False,
    flags: Flags | None = None,
) -> int:
    """Cancel a response and report how it ended."""
    settings = read_settings(flags)

    try:
        outcome, begun = visit(settings, lambda gateway: _cancel(gateway, id))
    except KeyboardInterrupt:
        say(f"stopped; {id} may or may not be cancelled. Cancel it again {settings.again}:")
        say_command("cancel", id=id, options=settings.flags)
        return INTERRUPTED
    document = outcome_document(outcome, response_id=id, begun=begun, hide=settings.hide)
    words = settings.hide(f"{id}: {outcome_words(outcome)}")
    code = print_outcome(document, words, is_good=outcome.proof is not None, json=json)
    if outcome.cancel is CancelResult.UNCONFIRMED or outcome.status is OutcomeStatus.LOST:
        say(f"cancel it again, or see how it ended, {settings.again}:")
        say_command("cancel", id=id, options=settings.flags)
    return code


async def _cancel(gateway: "Gateway", response_id: str) -> tuple[Outcome, float]:
    """Return the outcome, confirmed or not, and the session's time when the cancel was requested."""
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
