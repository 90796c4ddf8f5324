"""A body that is continued across drops, read by one thread.

Nothing can end a read of a thread but the timeout of its socket. So the session gets the time before each read, and asks for
a missing event once the next bytes have come, or the connection was silent for `idle_seconds`.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf, isfinite
from time import monotonic, sleep
from typing import Any, Protocol

from streamfold.client.transport.body import ContentDecoder, is_plain
from streamfold.client.transport.failure import transport_error
from streamfold.client.transport.resumable import StreamRequest
from streamfold.client.transport.resumed import Collected, ResumedBody
from streamfold.session import Answer, Call, Cancel, Close, Connect, Repair, Retrieve, Wait, is_event_stream


class SyncInner(Protocol):
    """What is used of a sync transport of either library."""

    @property
    def handle_request(self) -> Callable[[Any], Any]: ...
    @property
    def close(self) -> Callable[[], None]: ...


class SyncConnection:
    """One answer of the inner transport."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.status: int = response.status_code
        self.headers: dict[str, str] = dict(response.headers.items())
        self.close: Callable[[], None] = response.close

    def chunks(self) -> Iterator[bytes]:
        """The body, content-decoded, cut anywhere."""
        stream: Iterator[bytes] = iter(self._response.stream)
        encoding = self.headers.get("content-encoding", "")
        return stream if is_plain(encoding) else self._decoded(stream, ContentDecoder(encoding))

    def _decoded(self, chunks: Iterator[bytes], decoder: ContentDecoder) -> Iterator[bytes]:
        for chunk in chunks:
            yield from decoder.decode(chunk)


class SyncBody(ResumedBody):
    """The body of one stream. inner: Carries the requests that continue it. response: The first answer."""

    def __init__(
        self,
        origin: StreamRequest,
        inner: SyncInner,
        response: Any,
        *,
        random: Callable[[], float],
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], None] = sleep,
    ) -> None:
        super().__init__(origin, clock=clock, random=random)
        self._inner = inner
        self._sleep = sleep
        self._begin(SyncConnection(response))

    def __iter__(self) -> Iterator[bytes]:
        passage = self._passage
        while not self.has_ended:
            if passage.take is not None:
                yield from self._read_steady(passage.take)
            elif passed := self._read() if passage.wants_chunk else self._carry_out():
                yield passed

    def _read_steady(self, take: Callable[[bytes], bytes | None]) -> Iterator[bytes]:
        """Most chunks: there is nothing to do but to pass them on."""
        chunk = b""
        while not self.has_ended:
            try:
                for chunk in self._chunks:
                    passed = take(chunk)
                    if passed:
                        yield passed
                    elif passed is None:
                        break
                else:
                    passed = self._receive_eof()
            except Exception as error:
                passed = self._drop_connection(error)
            else:
                if passed is None:
                    passed = self._receive_refused(chunk)
            if passed:
                yield passed
            if self._passage.take is not take:
                return

    def close(self) -> None:
        """Close the connection that is open. A promoted response is cancelled, as the server does with one in the foreground."""
        is_left_running = self.is_left_running
        self.is_closed = self.has_ended = True
        self._passage.session.receive_leave(now=self._clock())
        self._disconnect()
        if is_left_running:
            with suppress(Exception):  # it takes no longer than the timeouts of the request
                request = self._origin.next_request(Cancel(), self._passage.session.response_id or "")
                self._inner.handle_request(request).close()

    # The open connection

    def _read(self) -> bytes:
        passage = self._passage
        until = passage.waits_until
        if until != inf and until <= self._clock():
            self._receive_time()
            return b""
        try:
            chunk = next(self._chunks)
        except StopIteration:
            return self._receive_eof()
        except Exception as error:
            return self._drop_connection(error)
        return self._receive_chunk(chunk)

    def _drop_connection(self, error: Exception) -> bytes:
        passed = self._receive_drop(error)
        if self.has_ended:
            self._disconnect()
        return passed

    def _begin(self, connection: SyncConnection) -> None:
        self._connection: SyncConnection | None = connection
        self._chunks = connection.chunks()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # The steps of the session

    def _carry_out(self) -> bytes:
        """Carry out one step. Returns what passes, which is nothing but at the end."""
        match self._passage.next_step(now=self._clock()):
            case Connect() as call:
                self._connect(call)
            case Retrieve() as call:
                self._retrieve(call)
            case Close():
                self._disconnect()
            case Repair() as repair:
                self._report(repair)
            case Wait(seconds):
                self._wait(seconds)
            case None:
                self._disconnect()
                return self._finish()
            case _:  # a cancel, which nobody here asks for
                pass
        return b""

    def _wait(self, seconds: float) -> None:
        if self._connection is None and isfinite(seconds):
            self._sleep(seconds)
            self._raise_if_closed()
            self._receive_time()

    def _connect(self, call: Connect) -> None:
        connection = self._open(call)
        if connection is None:
            return
        if is_event_stream(connection.status, connection.headers):
            self._call = call
            self._begin(connection)
            self._passage.begin_connection(now=self._clock())
        else:
            self._take_answer(call, connection)

    def _retrieve(self, call: Retrieve) -> None:
        connection = self._open(call)
        if connection is not None:
            self._take_answer(call, connection)

    def _open(self, call: Call) -> SyncConnection | None:
        """Send the request for a call. None if no answer came, which is reported."""
        request = self._origin.next_request(call, self._passage.session.response_id or "")
        try:
            response = self._inner.handle_request(request)
        except Exception as error:
            self._receive_no_answer(call, error)
            return None
        connection = SyncConnection(response)
        if self.is_closed:
            connection.close()
        self._raise_if_closed()
        return connection

    def _take_answer(self, call: Call, connection: SyncConnection) -> None:
        try:
            answer = self._read_answer(connection)
        except Exception as error:
            self._receive_no_answer(call, error)
        else:
            self._passage.session.receive_answer(call, answer, now=self._clock())
        finally:
            connection.close()

    def _read_answer(self, connection: SyncConnection) -> Answer:
        """The whole answer. A refusal counts even if its body breaks off."""
        patience = self._origin.patience
        collected = Collected(
            connection.status, connection.headers, max_bytes=patience.max_body_bytes, seconds=patience.idle_seconds
        )
        until = self._clock() + collected.seconds
        try:
            for chunk in connection.chunks():
                collected.add(chunk)
                if self._clock() > until:
                    raise collected.late()
        except Exception as error:
            if not collected.is_refusal or transport_error(error) is None:
                raise
        return collected.answer
