"""A seeded schedule of faults: what goes wrong with the next answer.

In      a Plan, and a source of numbers from 0 to 1 that is passed in
Out     the faults of one answer, often none
Units   events, seconds, shares from 0 to 1
Errors  InvalidArgument that names the field
Source  docs/reference/emulator.md

The same numbers give the same faults, so that a seed is all that a failing run needs to be run again.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import Attribute, field, fields_dict, frozen

from streamfold.chaos.fault import FAULTS, Fault, How, Target, Where
from streamfold.errors import InvalidArgument

__all__ = ["Plan", "draw_faults", "parse_plan"]

T = TypeVar("T")

# Faults that a client can survive with nothing lost: those a plan draws unless it is told others.
SURVIVABLE = ("drop", "stall", "drip", "duplicate", "reorder", "gap", "corrupt", "no_terminal", "refuse", "gzip")
STATUSES = (429, 500, 502, 503)


def _check_share(_: object, __: "Attribute[float]", value: float) -> None:
    if not 0 <= value <= 1:
        raise InvalidArgument("plan.rate", "must be from 0 to 1")


def _check_kinds(_: object, __: "Attribute[Any]", value: tuple[str, ...]) -> None:
    if unknown := [each for each in value if each not in FAULTS]:
        raise InvalidArgument("plan.kinds", f"{unknown[0]!r} is none; use {', '.join(FAULTS)}")
    if not value:
        raise InvalidArgument("plan.kinds", "must name at least one fault")


def _check_positive(_: object, attribute: "Attribute[Any]", value: float) -> None:
    if not value >= 0:
        raise InvalidArgument(f"plan.{attribute.name}", "must be 0 or more")


def _read_kinds(text: str) -> tuple[str, ...]:
    return tuple(text.split("+"))


@frozen(kw_only=True)
class Plan:
    """Which faults come, how often, and how far into an answer.

    seed: for whoever makes the source of numbers. rate: the share of answers that have one. kinds: names of faults.
    most_events, most_seconds: the largest `after_events` and `seconds` that are drawn.
    """

    seed: int = field(default=0, metadata={"read": int})
    rate: float = field(default=0.3, validator=_check_share, metadata={"read": float})
    kinds: tuple[str, ...] = field(default=SURVIVABLE, validator=_check_kinds, metadata={"read": _read_kinds})
    most_events: int = field(default=20, validator=_check_positive, metadata={"read": int})
    most_seconds: float = field(default=0.05, validator=_check_positive, metadata={"read": float})

    def __str__(self) -> str:
        """The plan as text, which `parse_plan` reads."""
        kinds = "+".join(self.kinds)
        numbers = f"most_events={self.most_events},most_seconds={self.most_seconds}"
        return f"seed={self.seed},rate={self.rate},kinds={kinds},{numbers}"


def parse_plan(text: str) -> Plan:
    """The plan that a text as `seed=7,rate=0.5,kinds=drop+stall` says; every field may be left out.

    Raises: InvalidArgument that names the field.
    """
    known = fields_dict(Plan)
    given: dict[str, Any] = {}
    for pair in text.split(",") if text else ():
        key, _, value = (each.strip() for each in pair.partition("="))
        if key not in known:
            raise InvalidArgument(f"plan.{key}", f"is no field; use {', '.join(f'{each}=' for each in known)}")
        try:
            given[key] = known[key].metadata["read"](value)
        except ValueError:
            raise InvalidArgument(f"plan.{key}", f"{value!r} must be a number") from None
    return Plan(**given)


def draw_faults(plan: Plan, draw: Callable[[], float]) -> tuple[Fault, ...]:
    """The faults of the next answer: none, or one. draw: gives numbers from 0 up to 1, 1 left out."""
    if draw() >= plan.rate:
        return ()
    kind = FAULTS[_choose(plan.kinds, draw)]
    return (kind(**{name: value for name, value in _numbers(plan, kind, draw).items() if name in fields_dict(kind)}),)


def _numbers(plan: Plan, kind: type[Fault], draw: Callable[[], float]) -> dict[str, Any]:
    """A value for each field that some fault has. All are drawn each time, so that the kinds do not shift the rest."""
    lowest = 1 if kind.name == "duplicate" else 0
    return {
        "after_events": lowest + int(draw() * (plan.most_events + 1 - lowest)),
        "seconds": round(draw() * plan.most_seconds, 3),
        "how": _choose(list(How), draw),
        "where": _choose([each for each in Where if each is not Where.HEAD], draw),
        "count": 1 + int(draw() * 3),
        "bytes": 1 + int(draw() * 64),
        "on": Target.RESUME if kind.name == "refuse" else Target.STREAM,
        "status": 200 if kind.name == "html" else _choose(STATUSES, draw),
    }


def _choose(values: Sequence[T], draw: Callable[[], float]) -> T:
    return values[int(draw() * len(values))]
