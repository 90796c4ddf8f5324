"""One run as a value: the response, its gateway's behaviour, what goes wrong, and what the caller does.

A scenario is printed as JSON with defaults left out, so that a scenario which was made smaller shows only what
matters. Times are virtual seconds from the beginning of the run; calls of each kind are counted from 0.
"""

from typing import Literal, cast

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from streamfold.errors import InvalidArgument
from streamfold.session import Patience

RESPONSE_ID = "resp_1"
MAX_FRAME_BYTES = Patience().max_frame_bytes


class Injection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong with one answer.

    Attributes:
        seconds: How late the answer comes.
        lag_seconds: How late the call itself arrives.
        faults: What `streamfold.chaos` does to the answer, as text.
        answer: What comes instead of the right answer: `unsent` (the call never arrives), `lost` (it arrives, its
            answer does not), `empty` (200 and no body), `torn` (half a body), `open` (200 with a Response that still
            runs, even if it has ended), `json` (the Response instead of its stream), `too_old` (400: it can no
            longer be streamed), `cursor` (400: `starting_after` is not supported), `all` (the whole stream, whatever
            was requested), `next` and `own` (only the terminal event, with the next number or its own), `taken`
            (503, although the work was done).
    """

    seconds: float = 0.0
    lag_seconds: float = 0.0
    faults: str = ""
    answer: Literal[
        "", "unsent", "lost", "empty", "torn", "open", "json", "too_old", "cursor", "all", "next", "own", "taken"
    ] = ""


NOTHING = Injection()


class GatewayBehaviour(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the response is like, and how its gateway answers whenever nothing is injected.

    Attributes:
        response_id: The response's id; empty for the one that its stream has.
        numbering: `plain` (one by one from `first_number`), `none`, `holes` (every third number), `zeros` (each is 0), or
            `skips` (one number in the middle belongs to no event).
        indexes: Which of the indexes of output, content and summary are in the events: all, `none`, or the `output`'s.
        first_number: The number of the first event.
        has_keepalive: Whether a keepalive event comes first; it has a number of its own.
        background: Whether the response runs in the background.
        ending: How the stream ends: a terminal event of that status; an error event, then `response.failed`
            (`error_nested`); an error event only (`error_flat`); no event at all, although a GET reports the end
            (`silent`); or it never ends.
        pace_seconds: The time from one event to the next.
        pause_seconds: A silence in the middle.
        heartbeat_seconds: A comment is sent after this much silence; 0 for none.
        retry_milliseconds: Each stream begins with a `retry:` line of this value; 0 for none.
        joins: Whether events that exist already come in one chunk.
        is_streamable: Whether the stream can be opened a second time.
        window_seconds: For how long after the beginning it can; None for ever.
        cursor: Whether `starting_after` is obeyed (`taken`), refused or ignored.
        finished: What the stream of a finished response is: all of it, or only its terminal event, with the `next`
            number or its `own`.
        retrieve: Whether a GET finds the response: always, never, or only after it ended.
        cancel: The cancel dialect: a name in `streamfold.emulator.CANCEL_RULES`, or `vllm`; `taken-back` (LiteLLM's
            polling: cancelled, with a text that grows, until it is completed); `relabelled` (a late cancel turns what
            completed into cancelled); or `failed-holding-failed` (LiteLLM over Azure: only the stream says failed).
        foreground_cancel: What a cancel of a foreground response is answered with, in the words of real servers; `200`
            means that it is carried out.
        when_left: What happens to a foreground response when the connection of its POST is closed or breaks: it `runs`,
            it is `cancelled`, or it is a `zombie` that stays `in_progress` and does nothing more.
        cancel_seconds: How long until a cancel takes effect. Until then a GET reports an open response.
        keeps_output: Whether a cancelled Response holds the output so far.
    """

    response_id: str = ""
    numbering: Literal["plain", "none", "holes", "zeros", "skips"] = "plain"
    indexes: Literal["all", "none", "output"] = "all"
    first_number: int = 0
    has_keepalive: bool = False
    background: bool = True
    ending: Literal["completed", "incomplete", "failed", "error_nested", "error_flat", "silent", "never"] = "completed"
    pace_seconds: float = 0.0
    pause_seconds: float = 0.0
    heartbeat_seconds: float = 0.0
    retry_milliseconds: int = 0
    joins: bool = True
    is_streamable: bool = True
    window_seconds: float | None = None
    cursor: Literal["taken", "refused", "ignored"] = "taken"
    finished: Literal["all", "next", "own"] = "all"
    retrieve: Literal["always", "never", "ended"] = "always"
    cancel: Literal[
        "mka1",
        "openai",
        "conflict409",
        "ends-silently",
        "failed-holding-cancelled",
        "completes-anyway",
        "finished200",
        "vllm",
        "taken-back",
        "relabelled",
        "failed-holding-failed",
    ] = "mka1"
    foreground_cancel: Literal["400", "404", "405", "409", "501", "200"] = "400"
    when_left: Literal["runs", "cancelled", "zombie"] = "runs"
    cancel_seconds: float = 0.0
    keeps_output: bool = False


class CallerAction(Struct, frozen=True, forbid_unknown_fields=True):
    """What the caller does at a time: ask for a cancel, pass on a webhook's notice, or leave."""

    at: float
    what: Literal["cancel", "notice", "leave"] = "cancel"


class Outage(Struct, frozen=True, forbid_unknown_fields=True):
    """A time in which the gateway cannot be reached. What is open breaks, and the response runs on.

    Attributes:
        at: When it begins.
        seconds: How long it lasts.
        how: What a client sees: connections are `refused`, nothing is answered at all (`silent`), or 503.
    """

    at: float = 0.0
    seconds: float = 0.0
    how: Literal["refused", "silent", "503"] = "refused"

    @property
    def until(self) -> float:
        """When the gateway can be reached again."""
        return self.at + self.seconds


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run.

    Attributes:
        seed: Seeds the random numbers that the session gets.
        stream: Which stream of the cache is used; the shortest is 0.
        behaviour: What the response and its gateway are like.
        start: How the session begins: with a POST that streams (`create`), by id (`follow`), by id after the number
            of event `after` (`after`), or with a state that has seen that many events (`restored`).
        after: See `start`.
        head_start_seconds: How long the response has been running when the session begins.
        streams, retrieves, cancels: What goes wrong with each call of that kind, in order; later calls go well. A
            POST that streams counts as the first stream.
        actions: What the caller does.
        outages: When the gateway cannot be reached.
        total_seconds, window_events, max_attempts, max_frame_bytes: The session's `Patience`.
        is_restless: Whether the session gets the time after each fact, even if nothing is due.
    """

    seed: int = 0
    stream: int = 0
    behaviour: GatewayBehaviour = GatewayBehaviour()
    start: Literal["create", "follow", "after", "restored"] = "follow"
    after: int = 0
    head_start_seconds: float = 0.0
    streams: tuple[Injection, ...] = ()
    retrieves: tuple[Injection, ...] = ()
    cancels: tuple[Injection, ...] = ()
    actions: tuple[CallerAction, ...] = ()
    outages: tuple[Outage, ...] = ()
    total_seconds: float | None = None
    window_events: int = 256
    max_attempts: int = 5
    max_frame_bytes: int = MAX_FRAME_BYTES
    is_restless: bool = False

    @property
    def asked_background(self) -> bool | None:
        """What the POST asked for; None if the response is followed by its id."""
        return self.behaviour.background if self.start == "create" else None

    @property
    def followed_id(self) -> str | None:
        """The id that the session begins with; None if it begins with a POST."""
        return None if self.start == "create" else self.behaviour.response_id or RESPONSE_ID

    @property
    def is_numbered(self) -> bool:
        """Whether each event has a number of its own."""
        return self.behaviour.numbering in {"plain", "holes", "skips"}

    @property
    def shows_text_by_place(self) -> bool:
        """Whether events without indexes build the text from its beginning."""
        return self.behaviour.indexes != "all" and self.is_numbered and self.start != "after"

    @property
    def takes_every_frame(self) -> bool:
        """Whether no event is too large for the session."""
        return self.max_frame_bytes == MAX_FRAME_BYTES

    @property
    def keeps_streams(self) -> bool:
        """Whether no stream is given up before it ends, because of a large event or a missing number."""
        return self.takes_every_frame and self.behaviour.numbering != "skips"

    @property
    def is_plain(self) -> bool:
        """Whether this gateway gives no reason for a repair unless something is injected."""
        gateway = self.behaviour
        can_stream = gateway.is_streamable and gateway.window_seconds is None and gateway.cursor == "taken"
        shows_end = gateway.ending in {"completed", "incomplete", "failed", "error_nested"}
        shows_cancel = gateway.cancel not in {"ends-silently", "openai"} and gateway.finished != "own"
        can_stream = can_stream and gateway.numbering != "skips"
        is_heard = gateway.pause_seconds < Patience().idle_seconds and self.takes_every_frame
        return self.start != "after" and can_stream and shows_end and shows_cancel and is_heard

    @property
    def is_undisturbed(self) -> bool:
        """Whether nothing is injected, and the caller does nothing."""
        return not (self.streams or self.retrieves or self.cancels or self.actions)

    def has_fault(self, text: str) -> bool:
        """Whether the text of a fault occurs among those of the streams."""
        return any(text in injection.faults for injection in self.streams)

    def __str__(self) -> str:
        """The scenario as JSON, which `read_scenario` reads."""
        return _encode(_without_defaults(self)).decode()


def _without_defaults(value: object) -> object:
    """The value as builtins, without its defaults. msgspec's own `omit_defaults` compares floats by identity."""
    if isinstance(value, tuple):
        return [_without_defaults(each) for each in cast(tuple[object, ...], value)]
    if not isinstance(value, Struct):
        return value
    fresh = type(value)(0.0) if isinstance(value, CallerAction) else type(value)()
    named = {name: getattr(value, name) for name in value.__struct_fields__}
    return {
        name: _without_defaults(each) for name, each in named.items() if each != getattr(fresh, name) or name == "at"
    }


_encode = Encoder().encode
_decode = Decoder(Scenario).decode


def read_scenario(text: str) -> Scenario:
    """Read a scenario from JSON, as a failing run prints it.

    Raises:
        InvalidArgument: The text is not a scenario; the message names the field.
    """
    try:
        return _decode(text)
    except (MsgspecError, UnicodeEncodeError) as error:
        raise InvalidArgument("scenario", str(error)) from error
