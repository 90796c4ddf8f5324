"""Carries out what Claims decides: wakes the POSTs that wait, and keeps it informed of creations, readers and ends."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import anyio

from streamfold.client import FollowedResponse
from streamfold.errors import UnknownStream
from streamfold.log import StreamKey
from streamfold.relay.attach import AwaitAnswer, Claimant, Claims, CreateAnswer, JoinAnswer, RefusePost
from streamfold.relay.counts import AttachCounts
from streamfold.relay.held import Held
from streamfold.relay.options import RelayOptions
from streamfold.relay.post import Post
from streamfold.relay.reader import Reader
from streamfold.session import OutcomeStatus

# How long a retry waits for the news that its client's last connection is gone. Both come over the same network, and the
# retry needs a new connection, so it is rarely the first; a proxy between them may close the two out of order.
DEPARTURE_SECONDS = 0.25
DEPARTURE_LOOKS = 10  # in this time, rather than one for each reader that leaves: there may be thousands


class Streams(Protocol):
    """Where streams are read: HeldStreams."""

    async def open(
        self, response_id: str, *, tenant: str, follow: Callable[[], FollowedResponse], claimant: Claimant
    ) -> Reader:
        """A reader of a stream that the log has."""
        ...

    def reader_of(self, key: StreamKey, held: Held, claimant: Claimant) -> Reader:
        """A reader of a stream that is followed here."""
        ...


class Attachments:
    """Which POST reads which answer, in one process.

    Args:
        options: How POSTs may join.
    """

    def __init__(self, options: RelayOptions) -> None:
        self._claims = Claims(
            mode=options.attach, attach_seconds=options.attach_seconds, key_seconds=options.key_seconds
        )
        self._waiting: dict[Claimant, anyio.Event] = {}

    @property
    def counts(self) -> AttachCounts:
        """How often POSTs created, joined, and were refused."""
        return self._claims.counts

    async def answer(
        self,
        post: Post,
        streams: "Streams",
        start: Callable[[Claimant], Held],
        follow: Callable[[str], FollowedResponse],
    ) -> Reader | RefusePost:
        """A reader of the answer to a POST: of a new one, or of one that is already being produced.

        If this is cancelled, the POST has left. The answer does not end with that.

        Args:
            post: What the POST says about itself.
            streams: Where the streams are read.
            start: Starts a new one.
            follow: Follows one by its id.

        Returns:
            The reader, at the first event; or why the POST is refused.

        Raises:
            StreamfoldError: It could not be created, or cannot be read.
        """
        while True:
            decision = await self._decide(post)
            if isinstance(decision, RefusePost):
                return decision
            try:
                if isinstance(decision, CreateAnswer):
                    held = await self._start(decision.claimant, start).until_begun()
                    return streams.reader_of(held.key, held, decision.claimant)
                if (reader := await self._join(decision, post.tenant, streams, follow)) is not None:
                    return reader
            except BaseException:
                self.left(decision.claimant)
                raise

    def _start(self, claimant: Claimant, start: Callable[[Claimant], Held]) -> Held:
        try:
            return start(claimant)
        except BaseException:
            self._failed(claimant)
            raise

    async def _join(
        self, join: JoinAnswer, tenant: str, streams: "Streams", follow: Callable[[str], FollowedResponse]
    ) -> Reader | None:
        """A reader of an answer; None if it was dropped from the log meanwhile."""
        id = join.stream_id
        try:
            reader = await streams.open(id, tenant=tenant, follow=partial(follow, id), claimant=join.claimant)
        except UnknownStream:
            self.forget(tenant, id)
            return None
        reader.is_attached = True
        return reader

    async def _decide(self, post: Post) -> CreateAnswer | JoinAnswer | RefusePost:
        """Decide about a POST; where it may join an answer that is being created, once that is known to exist."""
        for _ in range(DEPARTURE_LOOKS):
            if not self._claims.is_near(post, now=anyio.current_time()):
                break
            await anyio.sleep(DEPARTURE_SECONDS / DEPARTURE_LOOKS)
        decision = self._claims.offer(post, now=anyio.current_time())
        while isinstance(decision, AwaitAnswer):
            claimant = decision.claimant
            woken = self._waiting[claimant] = anyio.Event()
            try:
                await woken.wait()
            except BaseException:
                self.left(claimant)
                raise
            finally:
                del self._waiting[claimant]
            decision = self._claims.resume(claimant, now=anyio.current_time())
        return decision

    def begun(self, held: Held) -> None:
        """An answer was created: its id is known."""
        if held.claimant is not None:
            self._wake(self._claims.created(held.claimant, held.id))

    def _failed(self, claimant: Claimant) -> None:
        self._wake(self._claims.failed(claimant))

    def finished(self, held: Held) -> None:
        """An answer is over. One that the relay lost can be asked for again: nobody joins it."""
        if held.has_begun and held.end is not None and not held.end.reason:
            is_completed = held.response.state.status == OutcomeStatus.COMPLETED
            self._claims.ended(held.tenant, held.id, is_completed=is_completed, now=anyio.current_time())
        elif held.has_begun:
            self._claims.forget(held.tenant, held.id)
        elif held.claimant is not None:
            self._failed(held.claimant)

    def forget(self, tenant: str, response_id: str) -> None:
        """A stream can no longer be read."""
        self._claims.forget(tenant, response_id)

    def cancelled(self, tenant: str, response_id: str) -> None:
        """A client asked to cancel a response."""
        self._claims.cancelled(tenant, response_id)

    def entered(self, tenant: str, response_id: str) -> Claimant:
        """A reader came that named its stream."""
        return self._claims.entered(tenant, response_id)

    def left(self, claimant: Claimant, *, is_whole: bool = False) -> None:
        """A POST or a reader left. is_whole: It was sent everything, to a clean end."""
        self._claims.left(claimant, is_whole=is_whole, now=anyio.current_time())

    def _wake(self, claimants: Iterable[Claimant]) -> None:
        for claimant in claimants:
            if woken := self._waiting.get(claimant):
                woken.set()
