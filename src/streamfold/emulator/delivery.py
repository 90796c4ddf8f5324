"""A Reply on its way: a body, a stream of events as they happen, or a body once its Response is over.

In      a Reply, and the Outlet it goes to
Out     writes: one for each event, and a comment whenever there was none for too long
Units   seconds
Errors  ConnectionCut from the Outlet
Source  docs/reference/emulator.md; the protocol reference, sections 12 and 16
"""

from anyio.lowlevel import checkpoint

from streamfold.emulator.clock import Clock
from streamfold.emulator.outlet import Outlet
from streamfold.emulator.reply import Json, Pending, Reply, Stream
from streamfold.emulator.timeline import Timeline

__all__ = ["Delivery"]

Headers = tuple[tuple[str, str], ...]
# What keeps proxies from holding events back.
STREAM_HEADERS: Headers = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))


class Delivery:
    """Sends Replies. keepalive_seconds: the longest silence of a stream. headers: those of every answer."""

    def __init__(self, outlet: Outlet, clock: Clock, *, keepalive_seconds: float, headers: Headers) -> None:
        self._outlet = outlet
        self._clock = clock
        self._keepalive_seconds = keepalive_seconds
        self._headers = headers

    async def send(self, reply: Reply) -> None:
        """The whole answer, from its head to its end."""
        match reply:
            case Json():
                await self.send_body(reply.status, "application/json", reply.body, reply.headers)
            case Stream():
                kind = ("content-type", reply.dialect.content_type)
                await self._outlet.start(200, (kind, *STREAM_HEADERS, *self._headers))
                await self._send_events(reply)
                await self._outlet.finish()
            case Pending(record):
                await self._until_over(record.timeline)
                await self.send(Json.of(record.response(self._clock.now())))

    async def send_body(self, status: int, content_type: str, body: bytes, headers: Headers = ()) -> None:
        """A body of known length."""
        told = (("content-type", content_type), ("content-length", str(len(body))))
        await self._outlet.start(status, (*told, *headers, *self._headers))
        await self._outlet.body(body)
        await self._outlet.finish()

    async def _until_over(self, timeline: Timeline) -> None:
        while True:
            now = self._clock.now()
            timeline.advance(now)
            if timeline.is_over:
                return
            await self._clock.wait(timeline.next_due - now, timeline.changed)

    async def _send_events(self, stream: Stream) -> None:
        if stream.single is not None:
            await self._outlet.event(*stream.single)
            return
        timeline = stream.record.timeline
        index, hang_ups = stream.start, timeline.hang_ups
        while timeline.hang_ups == hang_ups:
            now = self._clock.now()
            if entry := timeline.reach(index, now):
                index += 1
                await self._outlet.event(entry.type, entry.data(stream.dialect, obfuscation=stream.obfuscation))
                await checkpoint()  # so that a cancel, or the client's leaving, gets in between
            elif timeline.is_over:
                return
            else:
                silence = now - self._outlet.last_write
                if silence >= self._keepalive_seconds:
                    await self._outlet.keep_alive()
                    silence = 0.0
                await self._clock.wait(
                    min(timeline.next_due - now, self._keepalive_seconds - silence), timeline.changed
                )
