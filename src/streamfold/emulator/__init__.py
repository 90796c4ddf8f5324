"""The door of the local gateway: the wire of MKA1, and of OpenAI, with a toy model behind it and faults on request.

In      Options
Out     an ASGI application, or a running server's URL
Units   seconds; tokens
Source  docs/reference/emulator.md
"""

from streamfold.emulator.app import Emulator
from streamfold.emulator.cancel import CANCEL_RULES, CancelRule, Ending
from streamfold.emulator.clock import Clock, SystemClock
from streamfold.emulator.journal import Journal, Visit
from streamfold.emulator.options import Options
from streamfold.emulator.outlet import ConnectionCut
from streamfold.emulator.server import emulate, serve

__all__ = [
    "CANCEL_RULES",
    "CancelRule",
    "Clock",
    "ConnectionCut",
    "Emulator",
    "Ending",
    "Journal",
    "Options",
    "SystemClock",
    "Visit",
    "emulate",
    "serve",
]
