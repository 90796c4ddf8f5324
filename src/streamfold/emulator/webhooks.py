"""Sends a webhook_url each status that its Response takes, signed, and retries until the receiver answers 2xx."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import httpx
import msgspec

from streamfold.emulator.options import Options
from streamfold.emulator.request_log import Journal
from streamfold.emulator.store import IdSource, StoredResponse
from streamfold.schema import WebhookScheme, is_terminal_status
from streamfold.serving import Clock, Fields, shape_response
from streamfold.webhook import RetryPlan, sign_mka1, sign_standard

Post: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
"""Send a body to a URL with headers, and return the status of the answer; 0 without an answer."""

REPORTED = {"queued", "in_progress", "completed", "failed", "incomplete"}  # `cancelled` is not in MKA1's list

ANSWER_SECONDS = 10.0


async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """One request on a connection of its own; redirects are not followed."""
    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as client:
            answer = await client.post(url, headers=dict(headers), content=body)
    except httpx.HTTPError:
        return 0
    return answer.status_code


class WebhookSender:
    """Sends the webhooks of an emulator; the journal counts them. It gives up on a receiver that never answers."""

    def __init__(self, options: Options, journal: Journal, clock: Clock, post: Post) -> None:
        self._retries = RetryPlan(
            max_attempts=options.webhook_attempts, first_wait_seconds=options.webhook_backoff_seconds
        )
        self._ids = IdSource(f"{options.seed}.webhooks")
        self._journal = journal
        self._clock = clock
        self._post = post

    async def follow(self, stored: StoredResponse) -> None:
        """Report every status of the Response when it takes it, one after the other, up to the last."""
        timeline = stored.timeline
        index, status = 0, ""
        while True:
            now = self._clock.now()
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
        body = msgspec.json.encode(event)
        headers = {"content-type": "application/json", **_signature(stored, body, id, now)}
        for wait_seconds in self._retries.waits():
            if wait_seconds:
                await self._clock.wait(wait_seconds)
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
