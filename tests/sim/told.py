"""The library of streams that the tests of this room use, and one run by the fields of its script."""

from typing import Any

from streamfold.sim import Manner, Run, Script, perform
from tests.sim.run import library


def done(*, manner: Manner | None = None, **fields: Any) -> Run:
    """The run of a script with these fields."""
    return perform(Script(manner=manner or Manner(), **fields), library())


def heard(run: Run, call: str) -> list[object]:
    """What came of each call of that kind, as a status or as words."""
    return [getattr(fact.got, "status", fact.got) for fact in run.facts if fact.call == call]
