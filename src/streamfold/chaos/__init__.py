"""The door of the room that breaks streams on purpose.

In      frames and bytes of an answer, and Faults
Out     what to do instead: send these bytes, wait, end the connection
Units   events and bytes count within one answer; seconds
Source  docs/reference/emulator.md
"""

from streamfold.chaos import fault
from streamfold.chaos.disturbance import Act, Cut, Disturbance, Send, Wait
from streamfold.chaos.fault import *
from streamfold.chaos.plan import Plan, draw_faults, parse_plan
from streamfold.chaos.text import parse_faults

__all__ = ["Act", "Cut", "Disturbance", "Plan", "Send", "Wait", "draw_faults", "parse_faults", "parse_plan"]
__all__ += fault.__all__
