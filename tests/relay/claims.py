"""Random interleavings of POSTs, retries, drops, creations, failures, readers, ends and waits, checked against the laws.

    python -m tests.relay.claims --runs 100000 [--seed 1]

Run n is generated from seed + n. It exits with status 1 at the first run that breaks a law, and prints what happened in
it. The laws are checked against a record of what really happened (`Answer`), which knows nothing of how `Claims` works.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from random import Random, SystemRandom
from typing import Any, NamedTuple

from streamfold.relay import attach
from streamfold.relay.post import Post, read_post

ATTACH_SECONDS, KEY_SECONDS = 60.0, 300.0
STEPS = 40
MODES = ("sign", "sign", "sign", "same-body")
USER_AGENTS = {True: "codex_cli_rs/0.171.0 (Linux)", False: "OpenAI/Python 3.57.0"}


class Asked(NamedTuple):
    """What a POST asks for and says."""

    tenant: str
    path: str
    body: str
    key: str | None
    turn: str | None
    is_retry: bool = False

    @property
    def request(self) -> tuple[object, ...]:
        return self.tenant, self.path, self.body, self.turn


@cache
def post_of(asked: Asked) -> Post:
    headers = {"user-agent": USER_AGENTS[asked.turn is not None], "x-stainless-retry-count": str(int(asked.is_retry))}
    if asked.key is not None:
        headers["idempotency-key"] = asked.key
    if asked.turn is not None:
        headers["x-codex-turn-metadata"] = f'{{"turn_id":"{asked.turn}"}}'
    return read_post(tenant=asked.tenant, method="POST", path=asked.path, headers=headers, body=asked.body.encode())


@dataclass(eq=False)
class Answer:
    """One answer as it really is."""

    asked: Asked
    stream: str = ""
    live: set[int] = field(default_factory=set[int])  # the claimants that are there, by identity
    is_creating: bool = True
    left_at: float = 0.0
    is_whole: bool = False
    ended_at: float | None = None
    is_completed: bool = False
    is_gone: bool = False

    def is_known(self, now: float) -> bool:
        """Whether its key still names it."""
        if self.is_gone or not (self.is_creating or self.live or self.stream):
            return False
        rested = max(self.ended_at or 0.0, self.left_at)
        return bool(self.live) or self.ended_at is None or now - rested <= KEY_SECONDS

    def is_busy(self) -> bool:
        """Whether it must be remembered."""
        return not self.is_gone and (bool(self.live) or self.is_creating or self.ended_at is None)

    def is_orphan(self, now: float) -> bool:
        is_there = self.is_creating or self.stream != ""
        is_lost = not self.is_whole or (self.asked.turn is not None and self.is_completed)
        return is_there and not self.is_gone and not self.live and is_lost and now - self.left_at <= ATTACH_SECONDS


class Broken(AssertionError):
    """A law does not hold."""


class World:
    """One run. `steps` says what happened."""

    def __init__(self, seed: int, module: Any = attach) -> None:
        self.random = Random(seed)
        self.module = module
        self.mode = self.random.choice(MODES)
        limits = {"max_claims": 6, "max_claims_per_tenant": 4} if self.random.random() < 0.1 else {}
        self.claims = module.Claims(mode=self.mode, attach_seconds=ATTACH_SECONDS, key_seconds=KEY_SECONDS, **limits)
        self.limit, self.limit_of_one = limits.get("max_claims", 1_000), limits.get("max_claims_per_tenant", 1_000)
        self.now = 0.0
        self.numbers = count()
        self.steps: list[str] = []
        self.answers: list[Answer] = []
        self.of_claim: dict[int, Answer] = {}
        self.kept: list[Any] = []  # so that no identity is used twice
        self.creating: list[tuple[Any, Answer]] = []
        self.reading: list[tuple[Any, Answer]] = []
        self.waiting: list[tuple[Any, Answer, Asked]] = []
        self.woken: list[tuple[Any, Answer, Asked]] = []
        self.said: list[Asked] = []

    def run(self) -> None:
        actions = [self.post, self.post, self.retry, self.retry, self.create, self.create, self.fail, self.leave]
        actions += [
            self.leave,
            self.leave,
            self.read,
            self.end,
            self.resume,
            self.resume,
            self.give_up,
            self.wait,
            self.lose,
        ]
        for _ in range(STEPS):
            self.random.choice(actions)()
            self.check(len(self.claims) <= self.limit, "the number of claims is bounded")
            self.check(self.claims.counts.refusals >= 0, "refusals are counted")
        self.finish()

    def check(self, holds: bool, law: str) -> None:
        if not holds:
            raise Broken(law)

    # What happens

    def post(self) -> None:
        pick = self.random.choice
        turn = pick((None, None, None, "t1", "t2"))
        asked = Asked(
            pick("AB"), pick(("/v1/responses", "/v1/responses?x")), pick("xy"), pick((None, None, "k1", "k2")), turn
        )
        self.said.append(asked)
        self.offer(asked)

    def retry(self) -> None:
        if self.said:
            self.offer(self.random.choice(self.said)._replace(is_retry=self.random.random() < 0.8))

    def offer(self, asked: Asked) -> None:
        by_key = [
            each for each in self.answers if asked.key and self.same_key(each.asked, asked) and each.is_known(self.now)
        ]
        orphans = [each for each in self.answers if self.may_claim(asked, each)]
        decision = self.claims.offer(post_of(asked), now=self.now)
        self.note(f"{asked} -> {type(decision).__name__}")
        if isinstance(decision, self.module.RefusePost):
            self.refused(decision, asked, by_key)
            return
        if isinstance(decision, self.module.CreateAnswer) and id(decision.claimant.claim) not in self.of_claim:
            has_dropped = self.claims.counts.dropped > 0
            self.check(has_dropped or not by_key, "a key joins its answer")
            self.check(has_dropped or not orphans, "a retry joins its orphan")
        self.accept(decision, asked)

    def accept(self, decision: Any, asked: Asked) -> None:
        """A claimant begins."""
        claimant = decision.claimant
        self.kept.append(claimant)
        answer = self.of_claim.get(id(claimant.claim))
        if answer is None:
            answer = self.of_claim[id(claimant.claim)] = Answer(asked, is_creating=False)
            self.check(isinstance(decision, self.module.CreateAnswer), "what nobody creates is not joined")
            self.answers.append(answer)
        else:
            self.joins(asked, answer)
        answer.live.add(id(claimant))
        self.reading.append((claimant, answer))
        self.decided(decision, answer, asked)

    def same_key(self, one: Asked, other: Asked) -> bool:
        return (one.tenant, one.key) == (other.tenant, other.key)

    def may_claim(self, asked: Asked, answer: Answer) -> bool:
        has_sign = asked.is_retry or asked.turn is not None or self.mode == "same-body"
        is_same = answer.asked.request == asked.request and answer.asked.key is None and asked.key is None
        return has_sign and is_same and answer.is_orphan(self.now)

    def joins(self, asked: Asked, answer: Answer) -> None:
        """A POST joins an answer, or waits for it."""
        self.check(answer.asked.tenant == asked.tenant, "no answer goes to another tenant")
        self.check(answer.asked.request == asked.request, "no answer goes to another request")
        self.check(answer.asked.key == asked.key, "a key names its answer")
        if asked.key is None:
            has_sign = asked.is_retry or asked.turn is not None or self.mode == "same-body"
            self.check(has_sign, "no answer is joined without a key or a sign")
            self.check(not answer.live, "no answer has two claimants")
            self.check(answer.is_orphan(self.now), "only an orphan is joined, and in time")
        else:
            self.check(answer.is_known(self.now), "a key is known for a time")

    def decided(self, decision: Any, answer: Answer, asked: Asked) -> None:
        claimant = decision.claimant
        if isinstance(decision, self.module.JoinAnswer):
            self.check(
                decision.stream_id == answer.stream != "", "the answer that is joined is the one that was decided"
            )
        elif isinstance(decision, self.module.AwaitAnswer):
            self.check(answer.is_creating, "only what is being created is waited for")
            self.waiting.append((claimant, answer, asked))
        else:
            self.check(not answer.is_creating and not answer.stream, "an answer is created once")
            answer.is_creating = True
            self.creating.append((claimant, answer))

    def refused(self, decision: Any, asked: Asked, by_key: list[Answer]) -> None:
        if decision.status == 422:
            others = [each for each in by_key if each.asked.request != asked.request]
            self.check(bool(others), "only another request under the same key is refused")
        else:
            busy = [each for each in self.answers if each.is_busy()]
            own = [each for each in busy if each.asked.tenant == asked.tenant]
            self.check(len(busy) >= self.limit or len(own) >= self.limit_of_one, "only a full relay refuses")

    def create(self) -> None:
        if self.creating:
            claimant, answer = self.creating.pop(self.random.randrange(len(self.creating)))
            answer.is_creating, answer.stream = False, f"resp_{next(self.numbers)}"
            self.note(f"created {answer.stream}")
            self.wake(answer, self.claims.created(claimant, answer.stream))

    def fail(self) -> None:
        if self.creating and self.random.random() < 0.5:
            claimant, answer = self.creating.pop(self.random.randrange(len(self.creating)))
            answer.is_creating = False
            answer.live.discard(id(claimant))
            self.reading = [each for each in self.reading if each[0] is not claimant]
            self.note(f"failed {answer.asked}")
            self.wake(answer, self.claims.failed(claimant))
            answer.is_gone = not answer.live

    def wake(self, answer: Answer, woken: Any) -> None:
        waits = [each for each in self.waiting if each[1] is answer]
        again = [each for each in self.woken if each[1] is answer]
        called = {id(each) for each in woken}
        self.check({id(each[0]) for each in waits} <= called, "all that wait are woken")
        self.check(called <= {id(each[0]) for each in (*waits, *again)}, "nobody else is woken")
        self.waiting = [each for each in self.waiting if each[1] is not answer]
        self.woken += waits

    def resume(self) -> None:
        if self.woken:
            claimant, answer, asked = self.woken.pop(self.random.randrange(len(self.woken)))
            decision = self.claims.resume(claimant, now=self.now)
            self.note(f"resumed {asked} -> {type(decision).__name__}")
            if not answer.is_gone:
                self.decided(decision, answer, asked)
                return
            # Its stream was dropped in between, and it was offered again.
            self.reading = [each for each in self.reading if each[0] is not claimant]
            answer.live.discard(id(claimant))
            if not isinstance(decision, self.module.RefusePost):
                self.accept(decision, answer.asked)

    def leave(self) -> None:
        settled = [each for each in self.reading if not any(each[0] is one[0] for one in (*self.waiting, *self.woken))]
        if settled:
            self.depart(*self.random.choice(settled), is_whole=self.random.random() < 0.3)

    def give_up(self) -> None:
        """One that waits leaves."""
        if self.waiting or self.woken:
            claimant, answer, _ = self.random.choice([*self.waiting, *self.woken])
            self.waiting = [each for each in self.waiting if each[0] is not claimant]
            self.woken = [each for each in self.woken if each[0] is not claimant]
            self.depart(claimant, answer, is_whole=False)

    def depart(self, claimant: Any, answer: Answer, *, is_whole: bool) -> None:
        is_whole = is_whole and answer.stream != ""
        self.reading = [each for each in self.reading if each[0] is not claimant]
        answer.live.discard(id(claimant))
        if not answer.live:
            answer.left_at, answer.is_whole = self.now, is_whole
            answer.is_gone = answer.is_gone or not (answer.is_creating or answer.stream)
        self.note(f"left {answer.stream or answer.asked}{' whole' if is_whole else ''}")
        for _ in range(self.random.choice((1, 1, 2))):
            self.claims.left(claimant, is_whole=is_whole, now=self.now)

    def read(self) -> None:
        """A reader by id; sometimes of another tenant, or of nothing."""
        tenant = self.random.choice("AB")
        answer = self.random.choice(self.answers) if self.answers else None
        claimant = self.claims.entered(tenant, answer.stream if answer else "resp_none")
        self.kept.append(claimant)
        if answer and answer.stream and answer.asked.tenant == tenant and claimant.claim is not None:
            answer.live.add(id(claimant))
            answer.is_whole = False
            self.reading.append((claimant, answer))
            self.note(f"reader of {answer.stream}")

    def end(self) -> None:
        if running := [each for each in self.answers if each.stream and not each.is_gone]:
            answer = self.random.choice(running)
            self.note(f"ended {answer.stream}")
            is_completed = self.random.random() < 0.7
            if answer.ended_at is None:
                answer.ended_at, answer.is_completed = self.now, is_completed
            self.claims.ended(answer.asked.tenant, answer.stream, is_completed=is_completed, now=self.now)

    def wait(self) -> None:
        self.now += self.random.choice((0.1, 5.0, 30.0, 60.0, 61.0, 301.0))
        self.note(f"{self.now:.1f} s")

    def lose(self) -> None:
        """A stream is dropped from the log, or its client cancels it; its key then names it still."""
        if self.random.random() < 0.1 and (known := [each for each in self.answers if each.stream]):
            answer = self.random.choice(known)
            is_cancel = self.random.random() < 0.5
            self.note(f"{'cancelled' if is_cancel else 'dropped'} {answer.stream}")
            (self.claims.cancelled if is_cancel else self.claims.forget)(answer.asked.tenant, answer.stream)
            answer.is_gone = answer.is_gone or not is_cancel or answer.asked.key is None

    def finish(self) -> None:
        """Everything ends, and nothing stays behind."""
        while self.woken or self.creating:
            while self.creating:
                self.create()
            while self.woken:
                self.resume()
        self.check(not self.waiting, "nobody waits for nothing")
        for answer in self.answers:
            if answer.stream:
                self.claims.ended(answer.asked.tenant, answer.stream, is_completed=False, now=self.now)
        for claimant, answer in list(self.reading):
            self.depart(claimant, answer, is_whole=True)
        self.now += KEY_SECONDS + ATTACH_SECONDS + 1
        self.claims.offer(post_of(Asked("C", "/", "z", None, None)), now=self.now)
        self.check(len(self.claims) == 1, "nothing is kept for ever")

    def note(self, step: str) -> None:
        self.steps.append(step)


def first_broken(seeds: range, module: Any = attach) -> tuple[int, str, list[str]] | None:
    """The first run that breaks a law: its seed, the law, and what happened."""
    for seed in seeds:
        world = World(seed, module)
        try:
            world.run()
        except Exception as error:
            return seed, f"{type(error).__name__}: {error}", world.steps
    return None


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000, help="how many runs")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 30), help="to repeat the same runs")
    given = parser.parse_args()
    begun = time.monotonic()
    broken = first_broken(range(given.seed, given.seed + given.runs))
    if broken:
        seed, law, steps = broken
        print("\n".join(steps), f"seed {seed}: {law}", sep="\n")
        return 1
    print(f"{given.runs:,} runs of {STEPS} steps, no law broken; {time.monotonic() - begun:.0f} s, seed {given.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
