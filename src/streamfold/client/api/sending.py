"""Sends requests, retries a creation that the gateway has not accepted, and adds the failed call to every error."""

import logging
import random
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import inf
from types import TracebackType
from typing import TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import anyio
from attrs import evolve

from streamfold.client.api.answer import bad_answer, collect, is_error
from streamfold.client.api.arguments import check_count
from streamfold.client.api.credentials import IDEMPOTENCY_KEY, Credentials
from streamfold.client.transport.transport import Reply, Request, Transport
from streamfold.errors import ConnectFailed, IdleTimeout, MalformedBody, TransportError
from streamfold.session import Answer, Patience, retry_after_seconds

Body = TypeVar("Body")

NOT_TAKEN = frozenset({429, 503})
LONGEST_WAIT_SECONDS = 60.0  # a gateway that asks for more is not waited for, as in openai's SDK

# When a creation is sent again. The rule is that a retry must never make a second response, because the first one is
# paid for, and may have acted through its tools.
#
#     what happened                          can a response exist?          sent again
#     ConnectFailed                          no: nothing was sent           yes
#     429, 503                               no: the gateway says so        yes, after Retry-After or a back-off
#     ... with x-should-retry: false         no                             no: the gateway says so too
#     ... with Retry-After over a minute     no                             no: raised, so that the caller decides
#     Disconnected, IdleTimeout              yes                            no: raised, with the key to ask again with
#     400, 401, 404, 500 ...                 perhaps                        no: the same request has the same answer
#
# Every attempt carries the same Idempotency-Key. A gateway that knows the header then creates one response even if a
# proxy answered 503 to a request that it had passed on; other gateways ignore the header.
#
# Nothing else is retried here. A retrieve or a list can simply be called again, and a followed response is repaired by
# its session, which knows what it still needs.

_log = logging.getLogger("streamfold.client")
_log.addHandler(logging.NullHandler())  # without any handler, Python prints warnings on stderr


# A redirect carries the key to wherever it points, so only one kind of it is followed, once: a GET that is sent to another
# path of the same scheme, host and port, as a gateway that adds a slash or a prefix does. The new URL is ours with the path
# and the query of the redirect: nothing that a header holds can name another host. Every other redirect is an answer.
REDIRECTS = frozenset({307, 308})
DEFAULT_PORTS = {"http": 80, "https": 443}
URL_CHARACTERS = re.compile(r"[!-\[\]-~]+")  # visible ASCII without the backslash, which some take for a slash


def redirected(request: Request, reply: Reply) -> Request | None:
    """The request to send instead, if the reply redirects it within its own origin."""
    location = reply.headers.get("location", "")
    if request.method != "GET" or reply.status not in REDIRECTS or not URL_CHARACTERS.fullmatch(location):
        return None
    try:
        ours, theirs = urlsplit(request.url), urlsplit(urljoin(request.url, location))
        if "@" in theirs.netloc or _origin(ours) != _origin(theirs):
            return None
    except ValueError:  # a port that is not a number, an address without its bracket
        return None
    return evolve(request, url=urlunsplit((ours.scheme, ours.netloc, theirs.path, theirs.query, "")))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


class Attempt:
    """One call: opened within its time, redirected once at most, and with errors that name it and say what to do.

    A server that drips is never silent, so the time that the head takes is bounded as a whole: by the request's idle
    timeout, or the connect timeout if that is longer.

    A class with slots, because every followed response holds one for as long as it streams.
    """

    __slots__ = ("_context", "_opening", "_request", "_transport")

    def __init__(self, transport: Transport, request: Request) -> None:
        self._transport = transport
        self._request = request
        self._context = transport.open(request)

    async def __aenter__(self) -> Reply:
        seconds = self._seconds
        self._opening: anyio.CancelScope | None = anyio.CancelScope(deadline=anyio.current_time() + seconds)
        opening = self._opening.__enter__()
        try:
            reply = await self._open()
            if opening.cancel_called:  # the time ran out in the moment in which the head came
                await self._context.__aexit__(None, None, None)
                await anyio.lowlevel.checkpoint()
        except BaseException as error:
            if opening.__exit__(type(error), error, error.__traceback__):
                raise explain(IdleTimeout(f"no answer within {seconds:.3g} seconds"), self._request) from None
            if isinstance(error, TransportError):
                explain(error, self._request)
            raise
        if getattr(self._transport, "holds_no_scope", False):
            opening.__exit__(None, None, None)
            self._opening = None  # 1.3 KiB for each stream
        else:  # held until the call is left: it would cut through a scope that the transport holds
            opening.deadline = inf
        return reply

    async def _open(self) -> Reply:
        reply = await self._context.__aenter__()
        if (instead := redirected(self._request, reply)) is None:
            return reply
        await self._context.__aexit__(None, None, None)
        self._context = self._transport.open(instead)
        return await self._context.__aenter__()

    @property
    def _seconds(self) -> float:
        request = self._request
        return max(request.connect_timeout_seconds, request.idle_timeout_seconds) + request.upload_seconds

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if isinstance(error, TransportError):  # the body broke off
            explain(error, self._request)
        try:
            return await self._context.__aexit__(kind, error, trace)
        finally:
            if self._opening is not None:
                self._opening.__exit__(kind, error, trace)


class RetryingTransport:
    """A Transport that sends creations again, up to `max_retries` times, and names the call in its errors.

    Only a request with an Idempotency-Key is a creation. Everything else passes through once.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        max_retries: int,
        patience: Patience,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._max_retries = max_retries
        self._backoff = patience.backoff
        self._random = random

    def open(self, request: Request) -> AbstractAsyncContextManager[Reply]:
        """Send a request; the context gives its reply."""
        if self._max_retries and _key_of(request):
            return self._open(request)
        return Attempt(self._transport, request)

    async def aclose(self) -> None:
        """Nothing is opened here: the transport inside is closed by its owner."""

    @asynccontextmanager
    async def _open(self, request: Request) -> AsyncGenerator[Reply, None]:
        # Once the reply is given, an exception that arrives here was raised by the reader's block, or by its reading. It is
        # not ours to answer with another request.
        is_given = False
        for attempt in range(self._max_retries + 1):
            is_last = attempt == self._max_retries
            try:
                async with Attempt(self._transport, request) as reply:
                    wait = None if is_last else self._wait_after(reply, attempt)
                    if wait is None:
                        is_given = True
                        yield reply
                        return
                    reason = f"status {reply.status}"
            except ConnectFailed as failure:
                if is_given or is_last:
                    raise
                wait, reason = self._backoff_seconds(attempt, 0.0), failure.reason
            url = request.url.partition("?")[0]
            _log.info("%s %s: not taken (%s); attempt %d in %.1f s", request.method, url, reason, attempt + 2, wait)
            await anyio.sleep(wait)

    def _wait_after(self, reply: Reply, attempt: int) -> float | None:
        """How long to wait before the next attempt; None if this reply is the one to hand over."""
        if reply.status not in NOT_TAKEN or reply.headers.get("x-should-retry") == "false":
            return None
        asked = retry_after_seconds(reply.headers)
        return None if asked > LONGEST_WAIT_SECONDS else self._backoff_seconds(attempt, asked)

    def _backoff_seconds(self, attempt: int, asked: float) -> float:
        return self._backoff.seconds(attempt, jitter=self._random(), retry_after_seconds=asked)


def _key_of(request: Request) -> str | None:
    return next((value for name, value in request.headers if name == IDEMPOTENCY_KEY), None)


def explain(failure: TransportError, request: Request) -> TransportError:
    """Add the call that failed, and advice that fits it; take away the key, which a library may have quoted."""
    credentials = Credentials(request)
    credentials.hide_in(failure)
    failure.reason = credentials.hide(failure.reason)
    key = _key_of(request)
    if key is not None and not isinstance(failure, ConnectFailed):
        failure.advice = f"it may have been created anyway; call again with idempotency_key={key!r}"
    return failure.during(request.method, credentials.hide(request.url))


class Sender:
    """Sends the plain calls of one gateway, each bounded as a whole.

    Args:
        transport: What carries them.
        max_retries: How often a creation is sent again, unless the call says otherwise.
        patience: Its `total_seconds` bounds every call too, and its `max_body_bytes` every answer.
    """

    def __init__(self, transport: Transport, *, max_retries: int, patience: Patience) -> None:
        self._transport = transport
        self._max_retries = max_retries
        self._patience = patience

    def retrying(self, max_retries: int | None = None) -> Transport:
        """The transport that sends creations again."""
        retries = self._max_retries if max_retries is None else check_count("max_retries", max_retries)
        return RetryingTransport(self._transport, max_retries=retries, patience=self._patience)

    async def ask(
        self, request: Request, decode: Callable[[bytes], Body], *, expected: str, max_retries: int | None = None
    ) -> Body:
        """Send a request, and decode the answer. Its idle timeout bounds the whole call, retries and waits included.

        Raises:
            RequestRefused: The answer has an error status.
            UnexpectedAnswer: The answer is of another kind.
            TransportError: There is no complete answer; an IdleTimeout if the time ran out.
        """
        total = self._patience.total_seconds
        seconds = min(request.idle_timeout_seconds, inf if total is None else total)
        answer: Answer | None = None
        with anyio.move_on_after(seconds):
            async with self.retrying(max_retries).open(request) as reply:
                if reply.status >= 400:  # which is final, also if there is no time for its words
                    answer = Answer(reply.status, reply.headers)
                answer = await collect(reply, request, max_body_bytes=self._patience.max_body_bytes)
        if answer is None:
            failure = IdleTimeout(f"no complete answer within {seconds:g} seconds")
            failure.advice = "allow more with timeout="
            raise explain(failure, request)
        if not answer.is_success or is_error(answer):
            raise bad_answer(answer, request, expected=expected)
        try:
            return decode(answer.body)
        except MalformedBody as error:
            raise bad_answer(answer, request, expected=expected) from error
