"""A seeded schedule of faults: what goes wrong with the next answer.

The same random numbers give the same faults, so a failing run can be repeated from its seed alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from attrs import Attribute, field, fields_dict, frozen

from streamfold.chaos.fault import FAULTS, Fault, FaultTarget, How, Where, check_number, read_fields
from streamfold.errors import InvalidArgument

T = TypeVar("T")

# Faults that a client can survive without losing anything: the default kinds of a plan.
SURVIVABLE = ("drop", "stall", "drip", "duplicate", "reorder", "gap", "corrupt", "no_terminal", "refuse", "gzip")
STATUSES = (429, 500, 502, 503)


def _check_kinds(_: object, __: "Attribute[Any]", value: Any) -> None:
    if not value or type(value) not in (tuple, list):
        raise InvalidArgument("plan.kinds", f"must be a tuple of at least one fault's name, not {value!r}")
    if unknown := [each for each in value if each not in FAULTS]:
        raise InvalidArgument("plan.kinds", f"unknown fault {unknown[0]!r} (expected {', '.join(FAULTS)})")


@frozen(kw_only=True)
class Plan:
    """Which faults happen, how often, and how far into an answer.

    Args:
        seed: For the random numbers.
        rate: The share of answers that have a fault, from 0 to 1.
        kinds: Names of faults; by default all that a client can survive.
        max_events: The largest `after_events`.
        max_seconds: The largest `seconds`.

    Raises:
        InvalidArgument: A field is out of its range, or a kind is unknown.
    """

    name: ClassVar[str] = "plan"

    seed: int = 0
    rate: float = field(default=0.3, validator=check_number(0, 1))
    kinds: tuple[str, ...] = field(default=SURVIVABLE, validator=_check_kinds)
    max_events: int = field(default=20, validator=check_number(0))
    max_seconds: float = field(default=0.05, validator=check_number(0))

    def __str__(self) -> str:
        """The plan as text, which `parse_plan` reads."""
        kinds = "+".join(self.kinds)
        numbers = f"max_events={self.max_events},max_seconds={self.max_seconds}"
        return f"seed={self.seed},rate={self.rate},kinds={kinds},{numbers}"


def parse_plan(text: str) -> Plan:
    """The plan that a text such as `seed=7,rate=0.5,kinds=drop+stall` describes; every field is optional.

    Raises:
        InvalidArgument: There is no such field, or its value is not valid.
    """
    return Plan(**read_fields("plan", text, fields_dict(Plan)))


def choose_faults(plan: Plan, random: Callable[[], float]) -> tuple[Fault, ...]:
    """The faults of the next answer: none or one.

    Args:
        plan: What may happen.
        random: Gives numbers from 0 to 1, 1 excluded, such as `random.Random(plan.seed).random`.
    """
    if random() >= plan.rate:
        return ()
    kind = FAULTS[_choose(plan.kinds, random)]
    return (kind(**{name: value for name, value in _numbers(plan, kind, random).items() if name in fields_dict(kind)}),)


def _numbers(plan: Plan, kind: type[Fault], random: Callable[[], float]) -> dict[str, Any]:
    """A value for each field that any fault has. All are chosen every time, so that a kind does not shift the others."""
    lowest = 1 if kind.name == "duplicate" else 0
    return {
        "after_events": lowest + int(random() * (plan.max_events + 1 - lowest)),
        "seconds": round(random() * plan.max_seconds, 3),
        "how": _choose(list(How), random),
        "where": _choose([each for each in Where if each is not Where.HEAD], random),
        "count": 1 + int(random() * 3),
        "bytes": 1 + int(random() * 64),
        "on": FaultTarget.RESUME if kind.name == "refuse" else FaultTarget.STREAM,
        "status": 200 if kind.name == "html" else _choose(STATUSES, random),
    }


def _choose(values: Sequence[T], random: Callable[[], float]) -> T:
    return values[int(random() * len(values))]
