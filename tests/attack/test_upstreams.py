"""Hostile upstreams: a sample on every transport and loop; `make attack` runs all of them."""

import pytest

from tests.attack.client import BACKENDS, TRANSPORTS
from tests.attack.run import attack_upstreams
from tests.attack.upstreams import scenarios

PLACES = [(transport, backend) for transport in TRANSPORTS for backend in BACKENDS]


@pytest.mark.thorough
def test_there_are_enough_scenarios() -> None:
    assert len(scenarios()) >= 300


@pytest.mark.parametrize(
    ("transport", "backend", "every"),
    [("direct", "trio", 80), *(pytest.param(*place, 8, marks=pytest.mark.thorough) for place in PLACES)],
)
def test_nothing_is_untyped_late_or_told(transport: str, backend: str, every: int) -> None:
    assert attack_upstreams(transport, backend, "--every", str(every))["faults"] == []
