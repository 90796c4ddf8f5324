"""Webhooks of an emulator: which URLs are accepted, and how each status of a Response is reported, signed, with retries.

A receiver is never trusted: its answer is read up to its status, within ten seconds, and whatever else it does counts
as one more failure.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from functools import cache
from ssl import SSLContext
from typing import TypeAlias

import anyio
import httpx
from anyio.abc import TaskGroup
from msgspec.json import encode

from streamfold.emulator.options import Options
from streamfold.emulator.request_log import Journal
from streamfold.emulator.store import IdSource, StoredResponse
from streamfold.errors import UsageError
from streamfold.schema import Dialect, WebhookScheme, is_terminal_status
from streamfold.serving import Clock, CreateRequest, Fields, Problem, invalid, shape_response
from streamfold.webhook import RetryPlan, sign_mka1, sign_standard

LOGGER = logging.getLogger("streamfold.emulator")

Post: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
"""Send a body to a URL with headers, and return the status of the answer; 0 without an answer."""

REPORTED = {"queued", "in_progress", "completed", "failed", "incomplete"}  # `cancelled` is not in MKA1's list
ANSWER_SECONDS = 10.0
URL_CHARACTERS, SECRET_CHARACTERS = 2048, 256
MOST_UNSENT = 1000  # Responses whose webhooks are not all sent
SENT_AT_ONCE = 64


async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """One request on a connection of its own; redirects are not followed, and the body of the answer is not read."""
    try:
        with anyio.fail_after(ANSWER_SECONDS):
            async with (
                httpx.AsyncClient(verify=_tls(), timeout=ANSWER_SECONDS) as client,
                client.stream("POST", url, headers=dict(headers), content=body) as answer,
            ):
                return answer.status_code
    except Exception as error:  # of httpx, of the name lookup, of a socket, in groups too: an odd URL finds them all
        LOGGER.debug("no answer to a webhook: %s", type(error).__name__)
        return 0


@cache
def _tls() -> SSLContext:
    return httpx.create_ssl_context()  # takes tens of milliseconds, for it reads all certificates


def bad_webhook(request: CreateRequest, dialect: Dialect) -> Problem | None:
    """Why a request's webhook cannot be sent at all; None if it can, or if it asks for none.

    Any host is accepted: an emulator runs beside the receivers of the tests.
    """
    if request.webhook_url is not None and (reason := _bad_url(request.webhook_url)):
        return invalid("webhook_url", reason)
    if len(request.webhook_secret or "") > SECRET_CHARACTERS:
        return invalid("webhook_secret", f"must have at most {SECRET_CHARACTERS} characters")
    # MKA1's secrets are any text of 16 characters; Standard Webhooks signs with the bytes that a secret is base64 of.
    if dialect.webhook_scheme is WebhookScheme.MKA1 or request.webhook_secret is None:
        return None
    try:
        sign_standard(b"", request.webhook_secret, message_id="", timestamp=0)
    except UsageError:
        return invalid("webhook_secret", "must be whsec_ and base64 of at least 16 bytes")
    return None


def _bad_url(text: str) -> str | None:
    if len(text) > URL_CHARACTERS:
        return f"must have at most {URL_CHARACTERS} characters"
    if not text.isprintable() or text != text.strip():
        return "must not hold spaces around it, line ends or other control characters"
    try:
        url = httpx.URL(text)
        httpx.Request("POST", url)
    except (httpx.InvalidURL, ValueError):  # a UnicodeError of an international name is a ValueError
        return "must be a URL that can be read: check its host and port"
    return next((f"must {what}" for is_met, what in WHAT_A_URL_MUST if not is_met(url)), None)


def _names_a_host(url: httpx.URL) -> bool:
    labels = url.raw_host.rstrip(b".").split(b".")
    return bool(url.host) and "%" not in url.host and all(0 < len(label) < 64 for label in labels)


WHAT_A_URL_MUST: tuple[tuple[Callable[[httpx.URL], bool], str], ...] = (
    (lambda url: url.scheme in ("http", "https"), "be an http or https URL"),
    (_names_a_host, "name a host"),
    (lambda url: url.port is None or 0 < url.port < 65536, "have a port from 1 to 65535"),
    (lambda url: not url.userinfo, "not hold a user name or password"),
)


class WebhookSender:
    """Sends the webhooks of an emulator; the journal counts them. It gives up on a receiver that never answers.

    unsent: the number of Responses whose webhooks are not all sent.
    """

    def __init__(self, options: Options, journal: Journal, clock: Clock, post: Post) -> None:
        self._retries = RetryPlan(
            max_attempts=options.webhook_attempts, first_wait_seconds=options.webhook_backoff_seconds
        )
        self._ids = IdSource(f"{options.seed}.webhooks")
        self._journal = journal
        self._clock = clock
        self._post = post
        self._tasks: TaskGroup | None = None
        self._sending: anyio.CapacityLimiter | None = None
        self.unsent: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Send webhooks while this is open. Those still unsent when it closes are dropped."""
        async with anyio.create_task_group() as tasks:
            self._tasks, self._sending = tasks, anyio.CapacityLimiter(SENT_AT_ONCE)
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    def start(self, stored: StoredResponse) -> None:
        """Report the Response's statuses from now on, unless too many wait for their receivers already."""
        if self._tasks is None or stored.request.webhook_url is None:
            return
        if self.unsent >= MOST_UNSENT:
            self._journal.count("webhook_failures")
            return
        self.unsent += 1
        self._tasks.start_soon(self._guarded, stored)

    async def _guarded(self, stored: StoredResponse) -> None:
        """Whatever goes wrong with one webhook ends neither the others nor the emulator."""
        try:
            await self.follow(stored)
        except Exception as error:
            LOGGER.warning("a webhook of %s was not sent: %s", stored.id, type(error).__name__)
            self._journal.count("webhook_failures")
        finally:
            self.unsent -= 1

    async def follow(self, stored: StoredResponse) -> None:
        """Report every status of the Response when it takes it, one after the other, up to the last."""
        timeline = stored.timeline
        index, status = 0, ""
        while True:
            now = self._clock.now()
            await stored.catch_up(now)
            if entry := timeline.reach(index, now):
                index += 1
                response: Fields = entry.fields.get("response") or {}
                if (now_is := str(response.get("status", status))) != status:
                    status = now_is
                    await self._report(stored, status, response)
            elif timeline.is_over or is_terminal_status(status):
                return
            else:
                await self._clock.wait(timeline.next_due - now, stored.changed)

    async def _report(self, stored: StoredResponse, status: str, response: Fields) -> None:
        url = stored.request.webhook_url
        if status not in REPORTED or url is None:
            return
        id, now = self._ids.next("evt"), int(self._clock.now())
        data = shape_response(response, stored.dialect) if stored.dialect.webhook_holds_response else {"id": stored.id}
        event = {"id": id, "object": "event", "type": f"response.{status}", "created_at": now, "data": data}
        body = encode(event)
        headers = {"content-type": "application/json", **_signature(stored, body, id, now)}
        for wait_seconds in self._retries.waits():
            if wait_seconds:
                await self._clock.wait(wait_seconds)
            async with self._sending or nullcontext():
                is_taken = 200 <= await self._post(url, headers, body) < 300
            self._journal.count("webhooks" if is_taken else "webhook_failures")
            if is_taken:
                return


def _signature(stored: StoredResponse, body: bytes, id: str, now: int) -> Mapping[str, str]:
    """The headers of the dialect's scheme; none without a secret."""
    secret = stored.request.webhook_secret
    if secret is None:
        return {}
    if stored.dialect.webhook_scheme is WebhookScheme.MKA1:
        return sign_mka1(body, secret)
    return sign_standard(body, secret, message_id=id, timestamp=now)
