"""Run a session against a model of a gateway, in virtual time, and judge the run. `make sim` does it 100,000 times."""

from streamfold.sim.call_rules import Kind, Violation
from streamfold.sim.driver import Run, simulate
from streamfold.sim.oracle import audit
from streamfold.sim.response import TranscriptCache
from streamfold.sim.scenario import CallerAction, GatewayBehaviour, Injection, Scenario, read_scenario

__all__ = [
    "CallerAction",
    "GatewayBehaviour",
    "Injection",
    "Kind",
    "Run",
    "Scenario",
    "TranscriptCache",
    "Violation",
    "audit",
    "read_scenario",
    "simulate",
]
