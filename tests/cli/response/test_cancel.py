"""`streamfold cancel ID`: what became of it, proven."""

import re
from collections.abc import Callable

import pytest

from tests.cli.conftest import Gateways, Run

Use = Callable[[str], None]


@pytest.fixture
def make(gateways: Gateways, use: Use, run: Run) -> Callable[..., str]:
    def make(asked: str = "a long story", **options: object) -> str:
        use(gateways(**options))
        ran = run("create", "--model", "toy", "--input", asked, "--background")
        return ran.out.decode().strip()

    return make


def test_a_cancel_that_won(make: Callable[..., str], run: Run) -> None:
    response_id = make(tokens_per_second=20)
    ran = run("cancel", response_id)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode().startswith(f"{response_id}: cancelled, confirmed by ")
    assert "the cancel took effect" in ran.out.decode()


def test_what_was_cancelled_before_had_ended_before(make: Callable[..., str], run: Run) -> None:
    response_id = make(tokens_per_second=20)
    run("cancel", response_id)
    ran = run("cancel", response_id, "--json")
    assert ran.code == 0
    assert (ran.outcome["status"], ran.outcome["cancel"]) == ("cancelled", "already_terminal")
    assert ran.out.count(b"\n") == 1


def test_what_completed_before_is_told_as_completed(make: Callable[..., str], run: Run) -> None:
    response_id = make("9 words")
    ran = run("cancel", response_id)
    assert ran.code == 0
    assert "completed, confirmed by its terminal event; it had already ended" in ran.out.decode()


@pytest.mark.parametrize("dialect", ["conflict409", "ends-silently", "failed-holding-cancelled"])
def test_it_is_proven_in_each_dialect_of_cancels(dialect: str, make: Callable[..., str], run: Run) -> None:
    response_id = make(tokens_per_second=20, cancel=dialect)
    ran = run("cancel", response_id, "--json")
    assert (ran.code, ran.outcome["status"], ran.outcome["cancel"]) == (0, "cancelled", "cancel_won")
    assert ran.outcome["proof"] is not None


def test_a_foreground_response_is_not_cancelled(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    response_id = run("create", "--model=toy", "--input=9 words", "--json").document["id"]
    ran = run("cancel", response_id)
    assert ran.code == 0
    assert "it had already ended" in ran.out.decode()


def test_a_cancel_that_is_not_allowed_is_told_at_once_and_the_response_runs_on(
    make: Callable[..., str], run: Run
) -> None:
    response_id = make(tokens_per_second=20, faults="refuse:status=403,on=cancel")
    ran = run("cancel", response_id)
    assert (ran.code, ran.out) == (1, b"")
    told = (
        f"streamfold: {response_id}: abandoned (it is still running), not confirmed;"
        " this key is not allowed to cancel it"
    )
    assert re.fullmatch(rf"{re.escape(told)}(; last event \d+)?\n", ran.err)  # if one came before the answer
