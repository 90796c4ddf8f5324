"""Attach: one answer for each request, and never another's; each rule alone, and all of them at random."""

import sys
import tracemalloc
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from streamfold.errors import UsageError
from streamfold.relay import attach
from streamfold.relay.attach import (
    CLAIM_BYTES,
    AwaitAnswer,
    Claimant,
    Claims,
    CreateAnswer,
    Decision,
    JoinAnswer,
    RefusePost,
)
from streamfold.relay.post import Post, read_post
from tests.relay.claims import first_broken

SECONDS = 60.0
NAMES = count()


def post(body: str = "x", *, tenant: str = "a", key: str = "", turn: str = "", retry: bool = False) -> Post:
    headers = {"x-stainless-retry-count": str(int(retry)), "idempotency-key": key}
    if turn:
        headers |= {"originator": "codex_exec", "x-codex-turn-metadata": f'{{"turn_id":"{turn}"}}'}
    return read_post(tenant=tenant, method="POST", path="/v1/responses", headers=headers, body=body.encode())


def create(claims: Claims, asked: Post, *, now: float = 0.0, stream: str = "") -> tuple[Claimant, str]:
    decision = claims.offer(asked, now=now)
    assert isinstance(decision, CreateAnswer)
    stream = stream or f"resp_{next(NAMES)}"
    assert claims.created(decision.claimant, stream) == ()
    return decision.claimant, stream


def joined(decision: Decision) -> str:
    assert isinstance(decision, JoinAnswer)
    return decision.stream_id


# With a key


def test_a_key_joins_its_answer_while_it_runs_and_after_its_end() -> None:
    claims = Claims(key_seconds=100.0)
    first, stream = create(claims, post(key="k"))
    assert joined(claims.offer(post(key="k"), now=1.0)) == stream
    claims.left(first, is_whole=True, now=2.0)
    claims.ended("a", stream, is_completed=True, now=2.0)
    assert claims.counts.joined_by_key == 1


def test_a_key_is_forgotten_some_time_after_the_end() -> None:
    claims = Claims(key_seconds=100.0)
    first, stream = create(claims, post(key="k"))
    claims.ended("a", stream, is_completed=True, now=1.0)
    claims.left(first, is_whole=True, now=2.0)
    second = claims.offer(post(key="k"), now=102.0)
    assert joined(second) == stream
    claims.left(second.claimant, is_whole=True, now=103.0)  # type: ignore[union-attr]
    assert isinstance(claims.offer(post(key="k"), now=203.1), CreateAnswer)


def test_another_request_under_the_same_key_is_refused() -> None:
    claims = Claims()
    create(claims, post(key="k"))
    decision = claims.offer(post("y", key="k"), now=1.0)
    assert isinstance(decision, RefusePost)
    assert (decision.status, claims.counts.refusals) == (422, 1)


def test_a_key_waits_for_the_answer_that_is_being_created() -> None:
    claims = Claims()
    first, second = (claims.offer(post(key="k"), now=0.0) for _ in range(2))
    assert isinstance(first, CreateAnswer)
    assert isinstance(second, AwaitAnswer)
    assert claims.created(first.claimant, "resp_1") == (second.claimant,)
    assert joined(claims.resume(second.claimant, now=1.0)) == "resp_1"


def test_the_first_that_resumes_creates_what_another_could_not() -> None:
    claims = Claims()
    first, second, third = (claims.offer(post(key="k"), now=0.0) for _ in range(3))
    assert isinstance(first, CreateAnswer)
    assert isinstance(second, AwaitAnswer)
    assert isinstance(third, AwaitAnswer)
    assert claims.failed(first.claimant) == (second.claimant, third.claimant)
    assert isinstance(claims.resume(third.claimant, now=1.0), CreateAnswer)
    assert isinstance(claims.resume(second.claimant, now=1.0), AwaitAnswer)
    assert claims.created(third.claimant, "resp_1") == (second.claimant,)
    assert (claims.counts.creates, claims.counts.failed) == (2, 1)


def test_an_answer_that_nobody_waits_for_is_forgotten_when_it_fails() -> None:
    claims = Claims()
    first, second = (claims.offer(post(key="k"), now=0.0) for _ in range(2))
    assert isinstance(first, CreateAnswer)
    assert isinstance(second, AwaitAnswer)
    claims.left(first.claimant, is_whole=False, now=1.0)
    claims.failed(first.claimant)
    assert len(claims) == 1
    claims.left(second.claimant, is_whole=False, now=2.0)
    assert len(claims) == 0


# With a sign


def test_a_retry_joins_the_answer_that_its_client_left() -> None:
    claims = Claims()
    first, stream = create(claims, post())
    claims.left(first, is_whole=False, now=10.0)
    assert joined(claims.offer(post(retry=True), now=10.0 + SECONDS)) == stream
    assert claims.counts.attaches == 1


def test_an_orphan_is_claimed_once_until_it_is_left_again() -> None:
    claims = Claims()
    first, stream = create(claims, post())
    claims.left(first, is_whole=False, now=0.0)
    second = claims.offer(post(retry=True), now=1.0)
    assert isinstance(second, JoinAnswer)
    assert isinstance(claims.offer(post(retry=True), now=1.0), CreateAnswer)
    claims.left(second.claimant, is_whole=False, now=2.0)
    assert joined(claims.offer(post(retry=True), now=3.0)) == stream


def test_an_orphan_that_ended_meanwhile_is_joined() -> None:
    claims = Claims()
    first, stream = create(claims, post())
    claims.left(first, is_whole=False, now=0.0)
    claims.ended("a", stream, is_completed=True, now=1.0)
    claims.ended("a", stream, is_completed=True, now=1.0)
    assert joined(claims.offer(post(retry=True), now=SECONDS)) == stream


@pytest.mark.parametrize(
    ("asked", "now"),
    [
        pytest.param(post(), 1.0, id="no sign"),
        pytest.param(post(retry=True), SECONDS + 0.1, id="too late"),
        pytest.param(post("y", retry=True), 1.0, id="another body"),
        pytest.param(post(tenant="b", retry=True), 1.0, id="another tenant"),
        pytest.param(post(key="k", retry=True), 1.0, id="a key of its own"),
        pytest.param(post(turn="t"), 1.0, id="a turn of its own"),
    ],
)
def test_an_orphan_is_not_joined_by(asked: Post, now: float) -> None:
    claims = Claims()
    first, _ = create(claims, post())
    claims.left(first, is_whole=False, now=0.0)
    assert isinstance(claims.offer(asked, now=now), CreateAnswer)


def test_an_answer_with_a_reader_is_no_orphan() -> None:
    claims = Claims()
    first, stream = create(claims, post())
    reader = claims.entered("a", stream)
    claims.left(first, is_whole=False, now=0.0)
    assert isinstance(claims.offer(post(retry=True), now=1.0), CreateAnswer)
    claims.left(reader, is_whole=False, now=2.0)
    assert joined(claims.offer(post(retry=True), now=3.0)) == stream


def test_an_answer_that_was_sent_whole_is_no_orphan() -> None:
    claims = Claims()
    first, stream = create(claims, post())
    claims.ended("a", stream, is_completed=True, now=0.0)
    claims.left(first, is_whole=True, now=0.0)
    assert isinstance(claims.offer(post(retry=True), now=1.0), CreateAnswer)
    assert len(claims) == 1


def test_an_answer_of_a_key_is_no_orphan() -> None:
    claims = Claims()
    first, _ = create(claims, post(key="k"))
    claims.left(first, is_whole=False, now=0.0)
    assert isinstance(claims.offer(post(retry=True), now=1.0), CreateAnswer)


def test_a_retry_waits_for_the_orphan_that_is_being_created() -> None:
    claims = Claims()
    first = claims.offer(post(), now=0.0)
    assert isinstance(first, CreateAnswer)
    claims.left(first.claimant, is_whole=False, now=1.0)
    second = claims.offer(post(retry=True), now=2.0)
    assert isinstance(second, AwaitAnswer)
    assert isinstance(claims.offer(post(retry=True), now=2.0), CreateAnswer)
    assert claims.created(first.claimant, "resp_1") == (second.claimant,)
    assert joined(claims.resume(second.claimant, now=3.0)) == "resp_1"


def test_a_retry_is_near_an_answer_that_only_its_reader_keeps_from_it() -> None:
    claims = Claims()
    first, _ = create(claims, post())
    assert claims.is_near(post(retry=True), now=0.0)
    asked = [post(), post("y", retry=True), post(tenant="b", retry=True), post(key="k", retry=True)]
    assert not any(claims.is_near(each, now=0.0) for each in asked)
    claims.left(first, is_whole=False, now=0.0)
    assert not claims.is_near(post(retry=True), now=1.0)  # it is an orphan: it can be joined
    assert not claims.is_near(post(retry=True), now=2 * SECONDS)  # it is too late


def test_of_several_orphans_the_one_that_was_left_last_is_joined_first() -> None:
    claims = Claims()
    made = [create(claims, post()) for _ in range(3)]
    for seconds, (claimant, _) in enumerate(reversed(made)):
        claims.left(claimant, is_whole=False, now=float(seconds))
    order = [joined(claims.offer(post(retry=True), now=SECONDS + 1)) for _ in range(2)]
    assert order == [stream for _, stream in made[:2]]
    assert isinstance(claims.offer(post(retry=True), now=SECONDS + 1), CreateAnswer)


def test_a_turn_joins_its_answer_even_if_that_was_sent_whole() -> None:
    claims = Claims()
    first, stream = create(claims, post(turn="t"))
    claims.ended("a", stream, is_completed=True, now=0.0)
    claims.left(first, is_whole=True, now=0.0)
    assert joined(claims.offer(post(turn="t"), now=1.0)) == stream
    assert isinstance(claims.offer(post(turn="u"), now=1.0), CreateAnswer)


def test_a_turn_that_failed_is_asked_again() -> None:
    claims = Claims()
    first, stream = create(claims, post(turn="t"))
    claims.ended("a", stream, is_completed=False, now=0.0)
    claims.left(first, is_whole=True, now=0.0)
    assert isinstance(claims.offer(post(turn="t"), now=1.0), CreateAnswer)


def test_a_retry_with_another_body_is_counted_by_its_turn() -> None:
    claims = Claims()
    first, _ = create(claims, post(turn="t"))
    create(claims, post("with an item more", turn="t"))
    assert claims.counts.changed == 0
    claims.left(first, is_whole=False, now=0.0)
    second, _ = create(claims, post("with two", turn="t"))
    claims.left(second, is_whole=False, now=1.0)
    create(claims, post("with three", turn="t"), now=2.0)
    assert claims.counts.changed == 1


# Modes


def test_same_body_needs_no_sign() -> None:
    claims = Claims(mode="same-body")
    first, stream = create(claims, post())
    assert isinstance(claims.offer(post(), now=0.0), CreateAnswer)
    claims.left(first, is_whole=False, now=0.0)
    assert joined(claims.offer(post(), now=1.0)) == stream


def test_never_joins_nothing_and_keeps_nothing() -> None:
    claims = Claims(mode="never")
    first, second = (claims.offer(post(key="k"), now=0.0) for _ in range(2))
    assert isinstance(first, CreateAnswer)
    assert isinstance(second, CreateAnswer)
    assert claims.created(first.claimant, "resp_1") == ()
    assert claims.failed(second.claimant) == ()
    claims.left(first.claimant, is_whole=False, now=0.0)
    assert (len(claims), claims.counts.creates) == (0, 2)


# What is gone


def test_a_stream_that_is_dropped_is_joined_no_more() -> None:
    claims = Claims()
    first, stream = create(claims, post(key="k"))
    claims.forget("a", stream)
    claims.forget("a", stream)
    claims.ended("a", stream, is_completed=True, now=0.0)
    claims.left(first, is_whole=False, now=0.0)
    assert isinstance(claims.offer(post(key="k"), now=1.0), CreateAnswer)


def test_an_answer_that_was_cancelled_is_joined_by_its_key_alone() -> None:
    claims = Claims()
    for key in ("", "k"):
        first, stream = create(claims, post(key=key))
        claims.cancelled("a", stream)
        claims.cancelled("a", "resp_unknown")
        claims.left(first, is_whole=False, now=0.0)
    assert isinstance(claims.offer(post(retry=True), now=1.0), CreateAnswer)
    assert isinstance(claims.offer(post(key="k"), now=1.0), JoinAnswer)


def test_one_that_waited_for_a_stream_that_is_dropped_is_offered_again() -> None:
    claims = Claims()
    first, second = (claims.offer(post(key="k"), now=0.0) for _ in range(2))
    assert isinstance(first, CreateAnswer)
    assert isinstance(second, AwaitAnswer)
    claims.created(first.claimant, "resp_1")
    claims.forget("a", "resp_1")
    again = claims.resume(second.claimant, now=1.0)
    assert isinstance(again, CreateAnswer)
    assert again.claimant is not second.claimant


def test_an_id_that_an_upstream_gives_again_names_the_newer_answer() -> None:
    claims = Claims()
    create(claims, post(key="k"), stream="resp_1")
    create(claims, post(key="l"), stream="resp_1")
    assert len(claims) == 1
    assert joined(claims.offer(post(key="l"), now=1.0)) == "resp_1"


def test_a_claimant_that_does_what_is_not_its_turn_is_refused() -> None:
    claims = Claims()
    first, second = (claims.offer(post(key="k"), now=0.0) for _ in range(2))
    assert isinstance(first, CreateAnswer)
    assert isinstance(second, AwaitAnswer)
    with pytest.raises(UsageError):
        claims.created(second.claimant, "resp_1")
    with pytest.raises(UsageError):
        claims.resume(first.claimant, now=0.0)


def test_a_reader_of_an_unknown_stream_changes_nothing() -> None:
    claims = Claims()
    reader = claims.entered("a", "resp_unknown")
    claims.left(reader, is_whole=False, now=0.0)
    with pytest.raises(UsageError):
        claims.resume(reader, now=0.0)


# Limits


def test_a_tenant_that_has_too_many_answers_is_refused_and_the_others_are_not() -> None:
    claims = Claims(max_claims_per_tenant=2)
    create(claims, post("1"))
    create(claims, post("2"))
    decision = claims.offer(post("3"), now=0.0)
    assert isinstance(decision, RefusePost)
    assert (decision.status, claims.counts.refused_full) == (429, 1)
    create(claims, post("3", tenant="b"))


def test_the_oldest_answer_that_ended_makes_room() -> None:
    claims = Claims(max_claims_per_tenant=2)
    for key in "12":
        claimant, stream = create(claims, post(key=key))
        claims.ended("a", stream, is_completed=True, now=float(key))
        claims.left(claimant, is_whole=True, now=float(key))
    create(claims, post(key="3"))
    assert isinstance(claims.offer(post(key="2"), now=3.0), JoinAnswer)
    assert claims.counts.dropped == 1


def test_the_limit_in_all_drops_what_any_tenant_has() -> None:
    claims = Claims(max_claims=1)
    claimant, stream = create(claims, post())
    assert isinstance(claims.offer(post(tenant="b"), now=0.0), RefusePost)
    claims.left(claimant, is_whole=False, now=0.0)
    claims.ended("a", stream, is_completed=True, now=0.0)
    create(claims, post(tenant="b"))
    assert len(claims) == 1


def test_long_ids_count_by_their_bytes() -> None:
    claims = Claims(max_bytes_per_tenant=3 * CLAIM_BYTES)
    create(claims, post(), stream="r" * (CLAIM_BYTES + 1))
    assert isinstance(claims.offer(post(), now=0.0), RefusePost)


def test_a_claim_takes_as_much_memory_as_is_counted() -> None:
    claims = Claims()
    tracemalloc.start()
    try:
        for number in range(1_000):
            claimant, stream = create(claims, post(str(number), key=str(number), turn=str(number)))
            claims.ended("a", stream, is_completed=True, now=0.0)
            claims.left(claimant, is_whole=True, now=0.0)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert CLAIM_BYTES / 2 < taken / 1_000 < CLAIM_BYTES


# All rules at random


@pytest.mark.parametrize("runs", [1_000, pytest.param(50_000, marks=pytest.mark.thorough)])
def test_no_interleaving_breaks_a_law(runs: int) -> None:
    assert first_broken(range(runs)) is None


# Each is what the module says, and what a mistake would say instead: a law must notice.
MISTAKES = [
    pytest.param(
        "        claim.left_at, claim.is_whole = None, False\n        self._wake(claim)\n",
        "",
        id="an orphan stays one while it is read",
    ),
    pytest.param("        if not self._has_sign(post):\n", "        if False:\n", id="no sign"),
    pytest.param("if claim.post.fingerprint != post.fingerprint", "if False", id="a key for two requests"),
    pytest.param(" and now - (claim.left_at or 0.0) <= self._attach_seconds", "", id="no window"),
    pytest.param("(not claim.is_whole or is_named)", "True", id="whole answers are joined"),
    pytest.param(
        "        if not claim.present:\n            self._forget(claim)\n        return",
        "        self._forget(claim)\n        return",
        id="who waits is forgotten",
    ),
    pytest.param(" and claim.is_completed", "", id="a failure is repeated"),
    pytest.param("            claim.creator = claimant\n", "", id="two create"),
    pytest.param(
        "        return tuple(claim.waiting)\n\n    def failed",
        "        return ()\n\n    def failed",
        id="nobody is woken",
    ),
    pytest.param(
        "            self._arrive(claim)\n            return self._decide",
        "            return self._decide",
        id="who joins is not counted",
    ),
    pytest.param("        while self._total >= self._max_claims", "        while False", id="nothing makes room"),
]


@pytest.mark.parametrize(("said", "mistaken"), MISTAKES)
def test_a_law_notices(said: str, mistaken: str) -> None:
    source = Path(attach.__file__).read_text("utf-8")
    assert source.count(said) == 1
    module = ModuleType("streamfold.relay.mistaken")
    sys.modules[module.__name__] = module
    try:
        exec(compile(source.replace(said, mistaken), module.__name__, "exec"), vars(module))
        assert first_broken(range(1_000), module) is not None
    finally:
        del sys.modules[module.__name__]
