"""Named async checks: entered, listed in their order, run one by one, and never taken for passed where they hang."""

import anyio
import pytest

from streamfold.check import Suite, failure_of, must_be

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


async def passes(subject: int) -> None:
    must_be(subject, 7, "the number")


async def fails(subject: int) -> None:
    must_be(subject, 8, "the number")


def suite(*others: "Suite[int]") -> "Suite[int]":
    made: Suite[int] = Suite(*others, max_seconds=0.05)
    made.enter("it is seven")(passes)
    return made


async def test_a_suite_lists_its_checks_in_order_those_of_others_first() -> None:
    first: Suite[int] = Suite(max_seconds=1.0)
    entered = first.enter("it is eight")(fails)
    assert entered is fails
    both = suite(first)
    assert list(both) == ["it is eight", "it is seven"]
    assert (len(both), both["it is eight"]) == (2, fails)


async def test_a_check_that_passes_says_nothing() -> None:
    await suite().run("it is seven", 7)


async def test_a_check_that_fails_says_what_was_expected_and_its_own_name() -> None:
    with pytest.raises(AssertionError, match="the number: expected 7, got 8") as caught:
        await suite().run("it is seven", 8)
    assert caught.value.__notes__ == ["the check: it is seven"]


async def test_a_check_that_hangs_fails() -> None:
    made = suite()

    @made.enter("it ends")
    async def hangs(subject: int) -> None:
        await anyio.sleep_forever()

    with pytest.raises(AssertionError, match=r"it ends: not done after 0\.05 s"):
        await made.run("it ends", 7)


async def test_a_timeout_of_the_subjects_own_is_not_taken_for_a_hang() -> None:
    made = suite()

    @made.enter("it answers")
    async def times_out(subject: int) -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await made.run("it answers", 7)


async def test_a_check_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        await suite().run("it is nine", 7)


async def test_a_failure_of_the_kind_is_returned_and_another_is_raised() -> None:
    async def attempt(error: Exception | None) -> None:
        if error is not None:
            raise error

    expected = LookupError("x")
    assert await failure_of(attempt(None), LookupError) is None
    assert await failure_of(attempt(expected), LookupError) is expected
    with pytest.raises(ValueError, match="x"):
        await failure_of(attempt(ValueError("x")), LookupError)
