"""Named async checks: what a contract suite is made of, for engines, transports and servers of other people.

A suite is a table of checks by the sentence that must hold. Each gets one argument, what is checked, and raises an
AssertionError that says what was broken. The names are data, so that a test runner can run and report them one by one.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Generic, TypeAlias, TypeVar

import anyio

T = TypeVar("T")
Error = TypeVar("Error", bound=BaseException)
Check: TypeAlias = Callable[[T], Awaitable[None]]


class Suite(Mapping[str, Check[T]], Generic[T]):
    """Checks by name, in the order in which they were entered.

    Args:
        suites: Others whose checks come first.
        max_seconds: How long one check may take: a check that hangs fails.
    """

    def __init__(self, *suites: "Suite[T]", max_seconds: float) -> None:
        self._checks: dict[str, Check[T]] = {name: each for suite in suites for name, each in suite.items()}
        self._max_seconds = max_seconds

    def enter(self, name: str) -> Callable[[Check[T]], Check[T]]:
        """Enter a function, by the sentence that must hold: a decorator, or called with the function."""

        def keep(check: Check[T]) -> Check[T]:
            self._checks[name] = check
            return check

        return keep

    async def run(self, name: str, subject: T) -> None:
        """Run one check.

        Raises:
            AssertionError: What was broken, or that it hangs.
            KeyError: There is no check of this name.
        """
        check = self._checks[name]
        # Not fail_after: a TimeoutError of the subject's own is a finding, and must not be taken for a hang.
        with anyio.move_on_after(self._max_seconds) as scope:
            try:
                await check(subject)
            except Exception as error:
                error.add_note(f"the check: {name}")
                raise
        if scope.cancelled_caught:
            raise AssertionError(f"{name}: not done after {self._max_seconds:g} s")

    def __getitem__(self, name: str) -> Check[T]:
        return self._checks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._checks)

    def __len__(self) -> int:
        return len(self._checks)


def must_be(got: object, expected: object, what: str) -> None:
    """Fail unless both are equal. `what` names the value in the message."""
    if got != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


async def failure_of(attempt: Awaitable[object], kind: type[Error]) -> Error | None:
    """The error of this kind that the attempt ends with; None if it succeeds."""
    try:
        await attempt
    except kind as error:
        return error
    return None
