"""Leave out of a failing scenario whatever its failure does not need."""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import fields, replace

from streamfold.sim import CallerAction, GatewayBehaviour, Injection, Outage, Scenario

NOTHING = Injection()
MAX_TRIES = 2000
INJECTED = ("streams", "retrieves", "cancels")
LISTS = (*INJECTED, "actions", "outages")


def shrink(scenario: Scenario, fails: Callable[[Scenario], bool]) -> Scenario:
    """Leave out whatever the failure does not need.

    Args:
        scenario: A scenario that fails.
        fails: Whether a scenario still fails in the same way.

    Returns:
        The smallest failing scenario found.
    """
    tries = 0
    while tries < MAX_TRIES:
        for smaller in _smaller(scenario):
            tries += 1
            if fails(smaller):
                scenario = smaller
                break
        else:
            return scenario
    return scenario


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    """Scenarios with something less, the largest cuts first."""
    yield from (replace(scenario, **{name: ()}) for name in LISTS if getattr(scenario, name))
    if scenario.behaviour != GatewayBehaviour():
        yield replace(scenario, behaviour=GatewayBehaviour())
    for name in LISTS:
        yield from _shorter(scenario, name)
    yield from (replace(scenario, behaviour=behaviour) for behaviour in _reset(scenario.behaviour))
    yield from _reset(scenario)
    for name, numbers in (("stream", (scenario.stream // 2,)), ("after", (scenario.after // 2, scenario.after - 1))):
        yield from (replace(scenario, **{name: number}) for number in numbers if getattr(scenario, name))


def _shorter(scenario: Scenario, name: str) -> Iterator[Scenario]:
    """Scenarios with one element of a list left out, or less injected by it."""
    each: tuple[Injection | CallerAction | Outage, ...] = getattr(scenario, name)
    for place in reversed(range(len(each))):
        yield replace(scenario, **{name: each[:place] + each[place + 1 :]})
        if isinstance(one := each[place], Injection):
            for less in _smaller_injection(one):
                yield replace(scenario, **{name: (*each[:place], less, *each[place + 1 :])})


def _smaller_injection(injection: Injection) -> Iterator[Injection]:
    if injection != NOTHING:
        yield NOTHING
    yield from _reset(injection)
    faults = injection.faults.split(";")
    if len(faults) > 1:
        yield from (replace(injection, faults=one) for one in faults)


def _reset(value: Any) -> Iterator[Any]:
    """The value with one field at its default."""
    fresh = type(value)()
    for field in fields(value):
        name = field.name
        if name not in {*LISTS, "behaviour"} and getattr(value, name) != getattr(fresh, name):
            yield replace(value, **{name: getattr(fresh, name)})
