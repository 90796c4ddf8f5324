"""A local gateway: the wire of MKA1 and of OpenAI, with a toy model and faults on request.

`Timeline`, `CANCEL_RULES`, `stream_refusal` and what they need are pure: a simulation can run them in virtual time.
"""

from streamfold.emulator.app import Emulator
from streamfold.emulator.faults import ConnectionCut
from streamfold.emulator.model import Script, ScriptStep, answer, read_playback
from streamfold.emulator.options import Options
from streamfold.emulator.request_log import Journal, Visit
from streamfold.emulator.server import emulate, serve
from streamfold.emulator.timeline import (
    CANCEL_RULES,
    CancelRule,
    Ending,
    Tempo,
    Timeline,
    TimelineEntry,
    stream_refusal,
)
from streamfold.serving import Clock, SystemClock

__all__ = [
    "CANCEL_RULES",
    "CancelRule",
    "Clock",
    "ConnectionCut",
    "Emulator",
    "Ending",
    "Journal",
    "Options",
    "Script",
    "ScriptStep",
    "SystemClock",
    "Tempo",
    "Timeline",
    "TimelineEntry",
    "Visit",
    "answer",
    "emulate",
    "read_playback",
    "serve",
    "stream_refusal",
]
