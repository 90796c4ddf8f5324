"""What the bodies of both drivers share: how a connection ends, and how the body does."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from streamfold.client.transport.failure import transport_error
from streamfold.client.transport.passage import Passage, Unfinished
from streamfold.client.transport.resumable import StreamRequest
from streamfold.errors import IdleTimeout, ProtocolViolation
from streamfold.session import Answer, Call, Connect, Repair

logger: logging.Logger = logging.getLogger("streamfold.client")

CANCEL_SECONDS = 5.0  # how long to wait until the server has taken the cancel of a promoted response
CUT_SHORT = "the stream ended before its terminal event"
MAX_REFUSAL_BYTES = 1024 * 1024


class ResumedBody:
    """The body of one stream, without its I/O.

    Attributes:
        has_ended: Whether nothing more comes.
        is_closed: Whether its reader closed it.
    """

    def __init__(
        self,
        origin: StreamRequest,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        is_recorded: bool = False,
    ) -> None:
        self.has_ended: bool = False
        self.is_closed: bool = False
        self._clock = clock
        self._origin = origin
        self._passage = Passage(origin.session(random=random, now=clock()), now=clock(), is_folded=is_recorded)
        self._call = Connect()  # what opened the connection that is read
        self._drop: Exception | None = None  # what the last connection ended with

    @property
    def is_left_running(self) -> bool:
        """Whether the response runs on by itself, although its reader asked for one that ends with its connection."""
        is_running = not self._passage.is_over and self._passage.session.outcome is None
        return self._origin.promoted is not None and is_running and self._passage.session.response_id is not None

    def _receive_refused(self, chunk: bytes) -> bytes:
        """The connection brought bytes that are not passed at once. Returns what passes."""
        return self._origin.as_asked(self._passage.receive_refused(chunk, now=self._clock()))

    def _receive_chunk(self, chunk: bytes) -> bytes:
        """The connection brought bytes. Returns what passes."""
        return self._origin.as_asked(self._passage.receive_chunk(chunk, now=self._clock()))

    def _receive_eof(self) -> bytes:
        """The connection ended cleanly. Returns what passes."""
        if self._passage.is_over:
            self.has_ended = True
            return b""
        self._drop = self._origin.cut_short(CUT_SHORT)
        return self._origin.as_asked(self._passage.receive_eof(now=self._clock()))

    def _receive_drop(self, error: Exception) -> bytes:
        """The connection broke. Returns what passes. Raises the error if it does not come from a connection, or if the body was closed."""
        failure = transport_error(error)
        if failure is None:
            raise error
        if self.is_closed:
            raise self._origin.error(error) from None
        if self._passage.is_over:  # nothing is missing
            self.has_ended = True
            return b""
        # Kept even if the repair succeeds: the next one may not, and then the SDK must get what it would have got.
        self._drop = self._origin.error(error)
        return self._passage.receive_failure(self._call, failure.reason, now=self._clock())

    def _receive_no_answer(self, call: Call, error: Exception) -> None:
        """A request brought no answer."""
        failure = transport_error(error)
        if failure is None:
            raise error
        self._passage.receive_failure(call, failure.reason, now=self._clock())

    def _receive_time(self) -> None:
        self._passage.session.receive_time(now=self._clock())

    def _finish(self) -> bytes:
        """The outcome is known, and the terminal event has not passed. Returns what passes, or raises the drop's error."""
        self.has_ended = True
        try:
            return self._origin.as_asked(self._passage.finish())
        except Unfinished as unfinished:
            error = self._drop or self._origin.cut_short(self._passage.first_trouble)
            error.add_note(f"streamfold could not continue the stream: {unfinished}")
            raise error from None

    def _raise_if_closed(self) -> None:
        if self.is_closed:
            raise self._origin.library.StreamClosed

    def _report(self, repair: Repair) -> None:
        after = "before the first event" if repair.after is None else f"after event {repair.after}"
        logger.warning("response %s: %s %s", self._passage.session.response_id or "", repair.kind, after)


class Collected:
    """An answer that is not a stream, as its body arrives.

    Args:
        status: The status of its head.
        headers: The headers, names in lower case.
        max_bytes: The most that its body may hold. A refusal is cut off where it becomes longer than its words can be.
        seconds: How long its body may take: a server that drips is never silent.
    """

    def __init__(self, status: int, headers: Mapping[str, str], *, max_bytes: int, seconds: float) -> None:
        self.is_refusal: bool = status >= 400
        self.seconds: float = seconds
        self._answer: dict[str, Any] = {"status": status, "headers": headers}
        self._body = bytearray()
        self._max_bytes = min(max_bytes, MAX_REFUSAL_BYTES) if self.is_refusal else max_bytes

    def add(self, chunk: bytes) -> None:
        """More of the body.

        Raises:
            ProtocolViolation: It is too long.
        """
        self._body += chunk
        if len(self._body) > self._max_bytes:
            raise ProtocolViolation(f"the body is larger than {self._max_bytes:,} bytes")

    def late(self) -> IdleTimeout:
        """The error for a body that took too long."""
        return IdleTimeout(f"no complete answer within {self.seconds:g} seconds")

    @property
    def answer(self) -> Answer:
        """What arrived."""
        return Answer(**self._answer, body=bytes(self._body))
