"""Telling a webhook_url of each status that its Response takes, signed, and again when it fails.

In      Records that were made with a webhook_url
Out     HTTP requests; what becomes of them is in the journal
Units   seconds
Errors  none: a receiver that never answers is given up
Source  docs/reference/emulator.md; the protocol reference, section 11
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import httpx
import msgspec

from streamfold.emulator.clock import Clock
from streamfold.emulator.journal import Journal
from streamfold.emulator.options import Options
from streamfold.emulator.record import Names, Record
from streamfold.emulator.request import Fields
from streamfold.emulator.wire import shape_response
from streamfold.schema import is_terminal_status
from streamfold.webhook import sign_mka1, sign_standard

__all__ = ["Post", "Webhooks", "post"]

Post: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
"""Send a body to a URL under headers. Returns: the status of the answer, 0 for none."""

TOLD = {"queued", "in_progress", "completed", "failed", "incomplete"}  # `cancelled` is not in MKA1's list
"""The statuses that are told."""

ANSWER_SECONDS = 10.0


async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """One request, on a connection of its own; no redirect is followed."""
    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as client:
            answer = await client.post(url, headers=dict(headers), content=body)
    except httpx.HTTPError:
        return 0
    return answer.status_code


class Webhooks:
    """Sends the webhooks of an emulator."""

    def __init__(self, options: Options, journal: Journal, clock: Clock, post: Post) -> None:
        self._options = options
        self._names = Names(f"{options.seed}.webhooks")
        self._journal = journal
        self._clock = clock
        self._post = post

    async def tell_all(self, record: Record) -> None:
        """Every status of the Response as it takes it, to the last; one after the other."""
        timeline = record.timeline
        index, status = 0, ""
        while True:
            now = self._clock.now()
            if entry := timeline.reach(index, now):
                index += 1
                response: Fields = entry.fields.get("response") or {}
                if (now_is := str(response.get("status", status))) != status:
                    status = now_is
                    await self._tell(record, status, response)
            elif timeline.is_over or is_terminal_status(status):
                return
            else:
                await self._clock.wait(timeline.next_due - now, timeline.changed)

    async def _tell(self, record: Record, status: str, response: Fields) -> None:
        url = record.request.webhook_url
        if status not in TOLD or url is None:
            return
        id, now = self._names.next("evt"), int(self._clock.now())
        is_mka1 = record.dialect.name == "mka1"
        data = shape_response(response, record.dialect) if is_mka1 else {"id": record.id}
        event = {"id": id, "object": "event", "type": f"response.{status}", "created_at": now, "data": data}
        body = msgspec.json.encode(event)
        headers = {"content-type": "application/json", **_signature(record, body, id, now)}
        wait_seconds = self._options.webhook_backoff_seconds
        for attempt in range(1, self._options.webhook_attempts + 1):
            answered = await self._post(url, headers, body)
            self._journal.count("webhooks" if 200 <= answered < 300 else "webhook_failures")
            if 200 <= answered < 300 or attempt == self._options.webhook_attempts:
                return
            await self._clock.wait(wait_seconds)
            wait_seconds *= 2


def _signature(record: Record, body: bytes, id: str, now: int) -> Mapping[str, str]:
    """MKA1's header; on `/v1` those of Standard Webhooks. Without a secret, none."""
    secret = record.request.webhook_secret
    if secret is None:
        return {}
    if record.dialect.name == "mka1":
        return sign_mka1(body, secret)
    return sign_standard(body, secret, message_id=id, timestamp=now)
