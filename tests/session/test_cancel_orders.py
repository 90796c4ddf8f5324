"""Every order of a cancel, its answer, the end of the response, a drop, a resume and a GET.

`make test` runs every sixteenth order of each script, each script other ones; `make test-all` runs them all.

docs/explanation/cancel.md has the same table in words. An order is one in which a network can show the facts: see
scripted.py. What must come of the facts that a session was told is worked out here anew, without `reconcile`.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import permutations
from typing import Any

import pytest

from streamfold.session import Cancel, CancelResult, Connect, Outcome, OutcomeStatus, Proof, Retrieve
from tests.session.made import answer, body, delta, ended
from tests.session.scripted import ANSWERS, EVENTS, HELD, IN_FOREGROUND, Script, World, result

FACTS = ("cancel", "answer", "event", "get")
DROPS = ("end", "disconnect")
RETRIEVED = ("completed", "cancelled")


def orders(*facts: str) -> Iterator[tuple[str, ...]]:
    """Each order in which an answer follows its cancel, and a resume the drop."""
    for order in permutations(facts):
        dropped = [fact for fact in order if fact in {*DROPS, "resume"}]
        if order.index("cancel") < order.index("answer") and dropped[-1] == "resume":
            yield order


@cache
def every_order() -> tuple[tuple[str, ...], ...]:
    return tuple(order for drop in DROPS for order in orders(*FACTS, drop, "resume"))


STRIDES = pytest.mark.parametrize(
    "stride", [16, pytest.param(1, marks=pytest.mark.thorough)], ids=["every sixteenth", "every"]
)


SCRIPTS = [
    Script(answer=said, event=event, retrieved=retrieved, is_background=said not in IN_FOREGROUND)
    for said in ANSWERS
    for event in EVENTS
    for retrieved in RETRIEVED
]


def scripts(said: str) -> list[Script]:
    """The scripts in which the cancel is answered so."""
    return [script for script in SCRIPTS if script.answer == said]


def shown(script: Script) -> str:
    return f"{script.answer}, stream {script.event}, GET {script.retrieved}"


# What must come of it

ENDED = {
    "200 cancelled": "cancelled",
    "200 completed": "completed",
    "200 failed": "failed",
    "200 incomplete": "incomplete",
}


def knows_ends(world: World) -> dict[str, str]:
    """Which end each source told the session, by the proof that it is."""
    script, told = world.script, world.told
    ends = {
        Proof.RETRIEVED: script.retrieved if "get" in told else None,
        Proof.TERMINAL_EVENT: script.status if "event" in told else None,
        Proof.CANCEL_ANSWER: ENDED.get(script.answer) if "answer" in told else None,
    }
    return {proof: end for proof, end in ends.items() if end is not None}


def check(world: World, outcome: Outcome, order: tuple[str, ...]) -> None:
    """Whether this outcome is the one that the table has for what was told."""
    told, script = knows_ends(world), world.script
    where = f"{shown(script)}: {' '.join(order)}; told {' '.join(world.told)}; {outcome}"
    assert outcome.state.output_text == HELD, where
    best = next(
        (proof for proof in (Proof.RETRIEVED, Proof.TERMINAL_EVENT, Proof.CANCEL_ANSWER) if proof in told), None
    )
    assert outcome.proof is best is not None, where
    assert outcome.status == told[best] == outcome.state.status, where
    assert bool(outcome.conflicts) is (len(set(told.values())) > 1), where
    assert outcome.cancel in results(script, outcome, world), where


def results(script: Script, outcome: Outcome, world: World) -> set[CancelResult | None]:
    """What the cancel may have come to. Only an end that came before the caller's wish has no result."""
    if "cancel" not in world.told:
        return {CancelResult.ALREADY_TERMINAL if "late cancel" in world.told else None}
    won = CancelResult.CANCEL_WON if outcome.status is OutcomeStatus.CANCELLED else CancelResult.COMPLETION_WON
    if "answer" not in world.told:
        return {won}
    if script.answer == "401":
        return {CancelResult.NOT_ALLOWED}
    if script.answer in {
        "200 completed",
        "200 failed",
        "200 incomplete",
        "400 terminal",
        "400 synchronous",
    }:
        return {CancelResult.ALREADY_TERMINAL}
    return {won}


@STRIDES
@pytest.mark.parametrize("said", ANSWERS)
def test_every_order_ends_in_the_outcome_of_its_facts(said: str, stride: int) -> None:
    for script in scripts(said):
        outcomes: dict[frozenset[str], set[Any]] = defaultdict(set)
        for order in every_order()[SCRIPTS.index(script) % stride :: stride]:
            world = World(script)
            world.feed(order)
            outcome = world.finish()
            check(world, outcome, order)
            outcomes[frozenset(world.told)].add(result(outcome))
        assert {facts: found for facts, found in outcomes.items() if len(found) > 1} == {}, shown(script)


def test_the_orders_are_all_there_are() -> None:
    assert len(every_order()) == len(set(every_order())) == 2 * 720 // 4
    assert len(SCRIPTS) == 15 * 6 * 2
    assert len(SCRIPTS) * len(every_order()) == 64_800


def test_a_sixteenth_for_each_script_covers_every_order() -> None:
    places = {place % 16 for place in range(len(SCRIPTS))}
    assert {order for place in places for order in every_order()[place::16]} == set(every_order())


# Facts in orders that no network can show: nothing is asked of the outcome, but that there is one, and a true one

BLIND = {
    "cancel": lambda one: one.receive_cancel(now=1.0),
    "chunk": lambda one: one.receive_chunk(delta(3), now=1.0),
    "completed": lambda one: one.receive_chunk(ended(4, "completed", HELD + "x"), now=1.0),
    "end": lambda one: one.receive_eof(now=1.0),
    "disconnect": lambda one: one.receive_failure(Connect(2), "reset", now=1.0),
    "connected": lambda one: one.receive_connected(now=1.0),
    "get": lambda one: one.receive_answer(Retrieve(), answer(200, body("completed", HELD + "x")), now=1.0),
    "time": lambda one: one.receive_time(now=4.0),
}


@STRIDES
@pytest.mark.parametrize("said", ANSWERS)
def test_no_order_of_facts_raises_even_where_none_was_asked_for(said: str, stride: int) -> None:
    reply = ANSWERS[said]
    script = Script(answer=said, event="completed", retrieved="completed")
    for order in list(permutations((*BLIND, "answer"), 4))[list(ANSWERS).index(said) % stride :: stride]:
        world = World(script, now=4.0)
        for fact in order:
            if fact != "answer":
                BLIND[fact](world.session)
            elif reply is None:
                world.session.receive_failure(Cancel(), "reset", now=1.0)
            else:
                world.session.receive_answer(Cancel(), reply, now=1.0)
        outcome = world.finish()
        assert outcome.status in {"completed", "abandoned", ENDED.get(said)}, order


def test_the_blind_orders_are_all_there_are() -> None:
    assert len(list(permutations((*BLIND, "answer"), 4))) * len(ANSWERS) == 3_024 * 15
