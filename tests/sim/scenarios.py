"""One run by the fields of its scenario."""

from typing import Any

from streamfold.sim import GatewayBehaviour, Run, Scenario, simulate
from tests.sim.run import transcripts


def done(*, behaviour: GatewayBehaviour | None = None, **fields: Any) -> Run:
    """The run of a scenario with these fields."""
    return simulate(Scenario(behaviour=behaviour or GatewayBehaviour(), **fields), transcripts())


def heard(run: Run, call: str) -> list[object]:
    """The answer to each call of that kind, as a status or in words."""
    return [getattr(fact.got, "status", fact.got) for fact in run.facts if fact.call == call]
