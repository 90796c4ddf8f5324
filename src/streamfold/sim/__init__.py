"""Try a session against a model of a gateway, in virtual time, and judge the result."""

from streamfold.sim.driver import Run, simulate
from streamfold.sim.generate import generate_scenario
from streamfold.sim.oracle import audit
from streamfold.sim.response import TranscriptCache
from streamfold.sim.scenario import CallerAction, GatewayBehaviour, Injection, Scenario, read_scenario, shrink
from streamfold.sim.summary import Kind, Summary, Violation

__all__ = [
    "CallerAction",
    "GatewayBehaviour",
    "Injection",
    "Kind",
    "Run",
    "Scenario",
    "Summary",
    "TranscriptCache",
    "Violation",
    "audit",
    "generate_scenario",
    "read_scenario",
    "shrink",
    "simulate",
]
