"""One run as a value: what the response is like, what its gateway does, what goes wrong, what the caller does.

In      nothing: `draw` makes one from a seed, `read_script` from its text
Out     Script, and what it is made of
Units   virtual seconds from the beginning of the run; events; calls of each kind count from 0
Errors  InvalidArgument for a text that is no script
Source  docs/explanation/simulation.md

A field at its default is left out of the text, so that a script which was made smaller reads as what is left.
"""

from typing import Literal, cast

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from streamfold.errors import InvalidArgument

__all__ = ["Deed", "Manner", "Script", "Upset", "read_script"]


class Upset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wrong with one answer.

    seconds: how late it comes. lag_seconds: how late the call itself arrives. faults: what chaos does to it, as text.
    answer, where it is not what it should be:
    unsent (the call never arrives), lost (it arrives, its answer does not), empty (200 and nothing), torn (half a
    body), open (200 with a Response that still runs, though its end is near or there), json (the Response instead of
    its stream), too_old (400: it can no longer be streamed), cursor (400: the number to resume after), all (the whole
    stream, whatever was asked), next and own (nothing but the terminal event, with the next number, or its own),
    taken (503, and yet it was done).
    """

    seconds: float = 0.0
    lag_seconds: float = 0.0
    faults: str = ""
    answer: Literal[
        "", "unsent", "lost", "empty", "torn", "open", "json", "too_old", "cursor", "all", "next", "own", "taken"
    ] = ""


class Manner(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the response is like, and what its gateway does whenever it is asked.

    numbering: plain (from first_number, one by one), none, holes (every third number), zeros (each number is 0).
    has_keepalive: a keepalive event comes first, and counts. background: whether it runs in the background.
    ending: what its stream ends with: a terminal event of that status; an error event and response.failed
    (error_nested); an error event, and nothing (error_flat); nothing, though a GET tells the end (unsaid); or it never
    ends. pace_seconds: from one event to the next. pause_seconds: a silence in the middle. heartbeat_seconds: a comment
    after so much silence; 0 for none. retry_milliseconds: a `retry:` line begins each stream; 0 for none. joins: whether what is there already comes in one chunk.
    is_streamable: whether a stream can be had again. window_seconds: for how long after the beginning; None for ever.
    cursor: what is done with starting_after. finished: what a stream of an ended one is: all of it, or its terminal
    event with the next number, or with its own.
    retrieve: whether a GET knows it: always, never, or only once it ended.
    cancel: the dialect of cancels. cancel_seconds: until a cancel takes effect; told as still open meanwhile.
    keeps_output: whether a cancelled Response has the output so far; if not, none.
    """

    numbering: Literal["plain", "none", "holes", "zeros"] = "plain"
    first_number: int = 0
    has_keepalive: bool = False
    background: bool = True
    ending: Literal["completed", "incomplete", "failed", "error_nested", "error_flat", "unsaid", "never"] = "completed"
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
    ] = "mka1"
    cancel_seconds: float = 0.0
    keeps_output: bool = False


class Deed(Struct, frozen=True, forbid_unknown_fields=True):
    """What the caller does, and when: ask for a cancel, pass on a webhook's notice, or leave."""

    at: float
    what: Literal["cancel", "notice", "leave"] = "cancel"


class Script(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run.

    seed: of the chance that the session is given. stream: which of the caller's streams is told, the shortest first.
    start: by a POST that streams (create); by id (follow); by id, after number `after` of the events (after); with a
    state that has seen as many (restored). head_start_seconds: how long the response runs already by then.
    streams, retrieves, cancels: what is wrong with the answer to each such call, in order; a POST that streams is the
    first of the streams. Later calls have nothing wrong.
    total_seconds, window_events, max_attempts, max_frame_bytes: of the session's patience. is_restless: the session is told the time after
    each fact, though nothing is due.
    """

    seed: int = 0
    stream: int = 0
    manner: Manner = Manner()
    start: Literal["create", "follow", "after", "restored"] = "follow"
    after: int = 0
    head_start_seconds: float = 0.0
    streams: tuple[Upset, ...] = ()
    retrieves: tuple[Upset, ...] = ()
    cancels: tuple[Upset, ...] = ()
    deeds: tuple[Deed, ...] = ()
    total_seconds: float | None = None
    window_events: int = 256
    max_attempts: int = 5
    max_frame_bytes: int = 1 << 26
    is_restless: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether this gateway never gives a reason to repair, unless something is wrong with an answer."""
        manner = self.manner
        return (
            manner.is_streamable
            and manner.window_seconds is None
            and manner.cursor == "taken"
            and manner.ending in {"completed", "incomplete", "failed", "error_nested"}
            and manner.finished != "own"
            and manner.pause_seconds < 60
            and manner.cancel not in {"ends-silently", "openai"}
            and self.start != "after"
            and self.max_frame_bytes == 1 << 26
        )

    def __str__(self) -> str:
        """The script as text, which `read_script` reads."""
        return _encode(_told(self)).decode()


def _told(value: object) -> object:
    """The value with what is at its default left out. msgspec would do that by identity, and a float may be another."""
    if isinstance(value, tuple):
        return [_told(each) for each in cast(tuple[object, ...], value)]
    if not isinstance(value, Struct):
        return value
    fresh = type(value)(0.0) if isinstance(value, Deed) else type(value)()
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return {name: _told(each) for name, each in fields.items() if each != getattr(fresh, name) or name == "at"}


_encode = Encoder().encode
_decode = Decoder(Script).decode


def read_script(text: str) -> Script:
    """The script that a text says, as a failing run prints it.

    Raises: InvalidArgument that says what cannot be read.
    """
    try:
        return _decode(text)
    except (MsgspecError, UnicodeEncodeError) as error:
        raise InvalidArgument("script", str(error)) from error
