"""Attach: which POST joins an answer that is already being produced, instead of making another.

`Claims` takes in POSTs, readers and ends, and decides. It does no I/O and reads no clock: the caller passes the time,
and wakes the claimants that a call returns. Rules, in this order:

- A POST with an Idempotency-Key joins the answer of that key: while it is created, while it runs, and for
  `key_seconds` after its end and last reader. Another request under the same key is refused.
- A POST without a key joins an *orphan* of the same tenant, method, path and body: an answer without a key whose last
  reader left before the end, at most `attach_seconds` ago. It needs a sign that it is a retry (post.py), or the mode
  `same-body`. From then on the orphan has a reader, so nobody else joins it. A POST that names its turn also joins an
  answer that completed and was sent to its end: its last bytes may have been lost on the way.
- Any other POST creates an answer. Equal bodies are not a sign: a user who asks again wants another answer.

What it cannot do. A client that repeats its request with another body, as Codex does after it was given a finished
item, gets another answer; `AttachCounts.changed` counts these where the turn shows it. A reader whose connection is
dead, but not yet known to be, keeps its answer from being an orphan; a key works then too. Claims are kept in the
memory of one process: after a restart, and in another worker, a retry creates another answer.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from attrs import define, field, frozen

from streamfold.errors import UsageError
from streamfold.relay.counts import AttachCounts
from streamfold.relay.post import Post

AttachMode: TypeAlias = Literal["sign", "same-body", "never"]
"""Which POSTs without a key join an orphan: those with a sign of retry, or every one with the same body. `never` also
ignores keys."""

CLAIM_BYTES = 1_200  # of memory for a claim, beside its stream's id; a test measures it


@define(eq=False)
class Claimant:
    """One POST, or one reader of a stream, from when it comes until it leaves. Only `Claims` looks inside."""

    claim: "_ClaimedAnswer | None" = field(repr=False)
    has_left: bool = False


@frozen
class CreateAnswer:
    """Create an answer; then call `created` or `failed`, and later `left`."""

    claimant: Claimant


@frozen
class JoinAnswer:
    """Serve this stream from its first event; call `left` later."""

    claimant: Claimant
    stream_id: str


@frozen
class AwaitAnswer:
    """The answer to join is being created. Call `resume` once `created` or `failed` returns this claimant."""

    claimant: Claimant


@frozen
class RefusePost:
    """Refuse the POST with this status."""

    status: int
    code: str
    message: str


Decision: TypeAlias = CreateAnswer | JoinAnswer | AwaitAnswer | RefusePost

KEY_REUSED = RefusePost(
    422, "idempotency_key_reused", "This Idempotency-Key was used for another request. Use a new key for a new request."
)
TOO_MANY = RefusePost(429, "too_many_answers", "Too many answers are being produced. Wait until some have ended.")


@define(eq=False)
class _ClaimedAnswer:
    """One answer, and who is there for it."""

    post: Post
    creator: Claimant | None  # that creates it, or has created it; None once that failed
    stream_id: str | None = None
    present: int = 1  # claimants that have not left
    left_at: float | None = None  # when the last one did; None while one is there
    is_whole: bool = False  # whether that one was sent everything
    has_ended: bool = False
    is_completed: bool = False
    is_forgotten: bool = False
    waiting: dict[Claimant, None] = field(factory=dict[Claimant, None])
    bytes: int = CLAIM_BYTES


@define
class _Tenant:
    claims: int = 0
    bytes: int = 0
    idle: dict[_ClaimedAnswer, None] = field(
        factory=dict[_ClaimedAnswer, None]
    )  # ended, without a reader; the oldest first


class Claims:
    """Decides which POST joins which answer. Not for several threads.

    Args:
        mode: Which POSTs without a key may join.
        attach_seconds: How long an orphan may be joined.
        key_seconds: How long the answer of a key may be joined after its end and its last reader.
        max_claims: How many answers are remembered. The oldest ended ones are forgotten for new ones; if none has
            ended, a POST is refused.
        max_claims_per_tenant: The same for one tenant.
        max_bytes_per_tenant: The same in bytes of memory, about.

    Attributes:
        counts: How often each decision was made.
    """

    def __init__(
        self,
        *,
        mode: AttachMode = "sign",
        attach_seconds: float = 60.0,
        key_seconds: float = 24 * 3600.0,
        max_claims: int = 65_536,
        max_claims_per_tenant: int = 16_384,
        max_bytes_per_tenant: int = 32 * 1024 * 1024,
    ) -> None:
        self.counts: AttachCounts = AttachCounts()
        self._mode = mode
        self._attach_seconds = attach_seconds
        self._key_seconds = key_seconds
        self._max_claims = max_claims
        self._max_claims_per_tenant = max_claims_per_tenant
        self._max_bytes_per_tenant = max_bytes_per_tenant
        self._total = 0
        self._tenants: dict[str, _Tenant] = {}
        self._by_key: dict[bytes, _ClaimedAnswer] = {}
        # Those without a key. Of many with equal requests, the ones that nobody reads are found without a search.
        self._equal: dict[bytes, int] = {}  # how many there are
        self._unread: dict[bytes, dict[_ClaimedAnswer, None]] = {}  # the last that was left comes last
        self._by_turn: dict[bytes, _ClaimedAnswer] = {}  # the newest of each
        self._by_stream: dict[tuple[str, str], _ClaimedAnswer] = {}
        # Ended, without a reader, each with the time from which it is forgotten; the earliest first.
        self._orphans: dict[_ClaimedAnswer, float] = {}
        self._keyed: dict[_ClaimedAnswer, float] = {}

    def __len__(self) -> int:
        """How many answers are remembered."""
        return self._total

    # A POST comes

    def offer(self, post: Post, *, now: float) -> Decision:
        """Decide about a POST. Call `left` for the claimant of every decision but RefusePost."""
        self._expire(now)
        if self._mode == "never":
            self.counts.creates += 1
            return CreateAnswer(Claimant(None))
        claim = self._orphan_of(post, now) if post.key is None else self._by_key.get(post.key)
        if claim is not None:
            if claim.post.fingerprint != post.fingerprint:
                self.counts.refused_keys += 1
                return KEY_REUSED
            self._arrive(claim)
            return self._decide(claim, Claimant(claim))
        if not self._make_room(post.tenant):
            self.counts.refused_full += 1
            return TOO_MANY
        return self._create(post, now)

    def is_near(self, post: Post, *, now: float) -> bool:
        """Whether a POST without a key could join an answer if only that answer's reader were gone.

        The news that a client has gone may come after its retry: wait a moment for it before the `offer`.
        """
        if post.key is not None or not self._has_sign(post) or self._orphan_of(post, now):
            return False
        return self._equal.get(post.fingerprint, 0) > len(self._unread.get(post.fingerprint, ()))

    def resume(self, claimant: Claimant, *, now: float) -> Decision:
        """Decide again about a claimant that waited. The decision may name another claimant to continue with."""
        claim = claimant.claim
        if claim is None or claimant not in claim.waiting:
            raise UsageError("only a claimant that waits can resume")
        del claim.waiting[claimant]
        return self.offer(claim.post, now=now) if claim.is_forgotten else self._decide(claim, claimant)

    def _decide(self, claim: _ClaimedAnswer, claimant: Claimant) -> Decision:
        """What a claimant of this answer does next."""
        if claim.stream_id is not None:
            if claim.post.key is None:
                self.counts.joined_by_sign += 1
            else:
                self.counts.joined_by_key += 1
            return JoinAnswer(claimant, claim.stream_id)
        if claim.creator is None:
            claim.creator = claimant
            self.counts.creates += 1
            return CreateAnswer(claimant)
        claim.waiting[claimant] = None
        return AwaitAnswer(claimant)

    def _orphan_of(self, post: Post, now: float) -> _ClaimedAnswer | None:
        """The orphan that this POST may join: of several, the one that was left last."""
        if not self._has_sign(post):
            return None
        for claim in reversed(self._unread.get(post.fingerprint, {})):
            if self._is_orphan(claim, now):
                return claim
            if now - (claim.left_at or 0.0) > self._attach_seconds:  # the others were left before it
                break
        return None

    def _has_sign(self, post: Post) -> bool:
        return post.is_retry or post.turn is not None or self._mode == "same-body"

    def _is_orphan(self, claim: _ClaimedAnswer, now: float) -> bool:
        is_named = claim.post.turn is not None and claim.is_completed
        is_lost = claim.left_at is not None and (not claim.is_whole or is_named)
        return is_lost and now - (claim.left_at or 0.0) <= self._attach_seconds

    def _create(self, post: Post, now: float) -> CreateAnswer:
        claimant = Claimant(None)
        claim = claimant.claim = _ClaimedAnswer(post, claimant)
        tenant = self._tenants.setdefault(post.tenant, _Tenant())
        tenant.claims += 1
        tenant.bytes += claim.bytes
        self._total += 1
        if post.key is not None:
            self._by_key[post.key] = claim
        else:
            self._equal[post.fingerprint] = self._equal.get(post.fingerprint, 0) + 1
        if post.turn is not None:
            before = self._by_turn.get(post.turn)
            self.counts.changed += before is not None and not before.is_whole and self._is_orphan(before, now)
            self._by_turn[post.turn] = claim
        self.counts.creates += 1
        return CreateAnswer(claimant)

    # What became known

    def created(self, claimant: Claimant, stream_id: str) -> Sequence[Claimant]:
        """An answer was created, even if its claimant has left meanwhile. Returns those that wait for it."""
        if (claim := self._created_by(claimant)) is None:
            return ()
        place = claim.post.tenant, stream_id
        if known := self._by_stream.get(place):  # the upstream gave this id before: the old stream is gone
            self._forget(known)
        self._by_stream[place] = claim
        claim.stream_id = stream_id
        claim.bytes += len(stream_id)
        self._tenants[claim.post.tenant].bytes += len(stream_id)
        return tuple(claim.waiting)

    def failed(self, claimant: Claimant) -> Sequence[Claimant]:
        """An answer will not be created; its claimant has left. Returns those that wait: the first to `resume` creates."""
        self.counts.failed += 1
        if (claim := self._created_by(claimant)) is None:
            return ()
        claim.creator = None
        if not claimant.has_left:
            claimant.has_left = True
            claim.present -= 1
        if not claim.present:
            self._forget(claim)
        return tuple(claim.waiting)

    def _created_by(self, claimant: Claimant) -> _ClaimedAnswer | None:
        claim = claimant.claim
        if claim is not None and (claim.creator is not claimant or claim.stream_id is not None):
            raise UsageError("only the claimant that was asked to create an answer can report it, and once")
        return claim

    def entered(self, tenant: str, stream_id: str) -> Claimant:
        """A reader came that named a stream. Call `left` for it."""
        claim = self._by_stream.get((tenant, stream_id))
        if claim is not None:
            self._arrive(claim)
        return Claimant(claim)

    def left(self, claimant: Claimant, *, is_whole: bool, now: float) -> None:
        """The client of a POST, or a reader, is gone: `is_whole` if it was sent everything. May be called again."""
        claim = claimant.claim
        if claim is None or claimant.has_left:
            return
        claimant.has_left = True
        claim.waiting.pop(claimant, None)
        claim.present -= 1
        if claim.present or claim.is_forgotten:
            return
        claim.left_at, claim.is_whole = now, is_whole
        if claim.post.key is None:
            self._unread.setdefault(claim.post.fingerprint, {})[claim] = None
        if claim.creator is None:  # it could not be created, and the last that waited is gone
            self._forget(claim)
        elif claim.has_ended:
            self._rest(claim, now)

    def ended(self, tenant: str, stream_id: str, *, is_completed: bool, now: float) -> None:
        """A stream has all its events, the last of which says whether it completed. May be called again."""
        claim = self._by_stream.get((tenant, stream_id))
        if claim is not None and not claim.has_ended:
            claim.has_ended, claim.is_completed = True, is_completed
            if not claim.present:
                self._rest(claim, now)

    def forget(self, tenant: str, stream_id: str) -> None:
        """A stream can no longer be read."""
        if claim := self._by_stream.get((tenant, stream_id)):
            self._forget(claim)

    def cancelled(self, tenant: str, stream_id: str) -> None:
        """A client asked for a stream's end: no retry joins it. Its key still names it."""
        claim = self._by_stream.get((tenant, stream_id))
        if claim is not None and claim.post.key is None:
            self._forget(claim)

    def _arrive(self, claim: _ClaimedAnswer) -> None:
        claim.present += 1
        claim.left_at, claim.is_whole = None, False
        self._wake(claim)

    def _rest(self, claim: _ClaimedAnswer, now: float) -> None:
        """Keep an answer that ended, and that nobody reads, as long as it may be joined."""
        if claim.post.key is not None:
            self._keyed[claim] = now + self._key_seconds
        elif self._is_orphan(claim, now):
            self._orphans[claim] = now + self._attach_seconds
        else:
            self._forget(claim)
            return
        self._tenants[claim.post.tenant].idle[claim] = None

    def _wake(self, claim: _ClaimedAnswer) -> None:
        self._orphans.pop(claim, None)
        self._keyed.pop(claim, None)
        self._tenants[claim.post.tenant].idle.pop(claim, None)
        if claim in (unread := self._unread.get(claim.post.fingerprint, {})):
            del unread[claim]
            if not unread:
                del self._unread[claim.post.fingerprint]

    # Limits

    def _expire(self, now: float) -> None:
        for idle in (self._orphans, self._keyed):
            while idle and next(iter(idle.values())) < now:
                self._forget(next(iter(idle)))

    def _make_room(self, tenant_name: str) -> bool:
        """Forget the oldest idle claims where one more would be too many. Returns whether there is room for it."""
        tenant = self._tenants.get(tenant_name) or _Tenant()
        while self._is_full(tenant) and tenant.idle:
            self._drop(next(iter(tenant.idle)))
        while self._total >= self._max_claims and (idle := self._keyed or self._orphans):
            self._drop(next(iter(idle)))
        return not self._is_full(tenant) and self._total < self._max_claims

    def _is_full(self, tenant: _Tenant) -> bool:
        is_crowded = tenant.claims >= self._max_claims_per_tenant
        return is_crowded or tenant.bytes + CLAIM_BYTES > self._max_bytes_per_tenant

    def _drop(self, claim: _ClaimedAnswer) -> None:
        self._forget(claim)
        self.counts.dropped += 1

    def _forget(self, claim: _ClaimedAnswer) -> None:
        post, claim.is_forgotten = claim.post, True
        self._wake(claim)
        if post.key is not None:
            del self._by_key[post.key]
        else:
            self._equal[post.fingerprint] -= 1
            if not self._equal[post.fingerprint]:
                del self._equal[post.fingerprint]
        if post.turn is not None and self._by_turn.get(post.turn) is claim:
            del self._by_turn[post.turn]
        if claim.stream_id is not None:
            del self._by_stream[post.tenant, claim.stream_id]
        tenant = self._tenants[post.tenant]
        tenant.claims -= 1
        tenant.bytes -= claim.bytes
        if not tenant.claims:
            del self._tenants[post.tenant]
        self._total -= 1
