"""The door of the room that tries a session against a model of a gateway, in virtual time.

In      a seed, and streams to tell
Out     Scripts, Runs of them, what an audit finds in a Run, and smaller Scripts that still fail
Units   virtual seconds; events
Source  docs/explanation/simulation.md
"""

from streamfold.sim.audit import audit
from streamfold.sim.complaint import Complaint, Kind
from streamfold.sim.draw import draw_script
from streamfold.sim.script import Deed, Manner, Script, Upset, read_script
from streamfold.sim.shell import Run, perform
from streamfold.sim.shrink import shrink
from streamfold.sim.tally import Tally
from streamfold.sim.telling import Library

__all__ = [
    "Complaint",
    "Deed",
    "Kind",
    "Library",
    "Manner",
    "Run",
    "Script",
    "Tally",
    "Upset",
    "audit",
    "draw_script",
    "perform",
    "read_script",
    "shrink",
]
