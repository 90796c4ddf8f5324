"""Faults as values, and what they do to an answer: other frames, waits, an early end."""

from streamfold.chaos import fault
from streamfold.chaos.fault import *
from streamfold.chaos.injector import Cut, Effect, FaultInjector, Pause, Send
from streamfold.chaos.plan import Plan, choose_faults, parse_plan

__all__ = ["Cut", "Effect", "FaultInjector", "Pause", "Plan", "Send", "choose_faults", "parse_plan"]
__all__ += fault.__all__
