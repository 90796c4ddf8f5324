"""Run a session against a model of a gateway, in virtual time, and judge the run. `make sim` does it 200,000 times."""

from streamfold.sim.call_rules import Kind, Violation
from streamfold.sim.driver import Run, simulate
from streamfold.sim.oracle import audit
from streamfold.sim.scenario import CallerAction, GatewayBehaviour, Injection, Outage, Scenario, read_scenario
from streamfold.sim.transcript import TranscriptCache

__all__ = [
    "CallerAction",
    "GatewayBehaviour",
    "Injection",
    "Kind",
    "Outage",
    "Run",
    "Scenario",
    "TranscriptCache",
    "Violation",
    "audit",
    "read_scenario",
    "simulate",
]
