"""A recorded stream played back: its own events, with their own numbers and bytes.

In      the bytes of a recorded SSE body, as in a `.sse` file
Out     a Recording, and from it a Script for each time that it is played
Units   tokens: each delta is one
Errors  UsageError for bytes that hold no event
Source  docs/reference/emulator.md
"""

from typing import Any

from attrs import frozen
from msgspec.json import decode

from streamfold.emulator.draft import Step
from streamfold.emulator.model import Script
from streamfold.emulator.request import Fields
from streamfold.emulator.value import is_object
from streamfold.errors import UsageError
from streamfold.fold import SequencePolicy, State, fold, snapshot_json
from streamfold.schema import UNDECODABLE, decode_event, is_end_marker
from streamfold.sse import FrameDecoder

__all__ = ["Recording", "read_recording"]


@frozen(kw_only=True)
class Recording:
    """What a stream held. begun: the Response of its first event that has one. ended: what its events fold to."""

    steps: tuple[Step, ...]
    begun: Fields
    ended: Fields

    def script(self) -> Script:
        """The recording as an answer, from its first event."""
        return Script(begun=self.begun, steps=iter(self.steps), ending=lambda: self.ended, is_recorded=True)


def read_recording(data: bytes) -> Recording:
    """The recording that a body holds, whole or torn off; `[DONE]` is no event, and what is no JSON object is passed over.

    Raises: UsageError if it holds no event; FrameTooLarge for a frame that no reader would take.
    """
    decoder = FrameDecoder(tolerant=True)
    frames = decoder.feed(data) + decoder.close()
    steps = tuple(step for frame in frames if (step := _step(frame.data)))
    if not steps:
        raise UsageError("the recording holds no event; give the body of a stream, as in a .sse file")
    events = (decode_event(step.data) for step in steps if step.data is not None)
    # By arrival, for a recording may have holes, or no numbers at all.
    folded: Fields = decode(snapshot_json(fold(events, State.under(SequencePolicy.ARRIVAL))))
    responses = (step.fields["response"] for step in steps if is_object(step.fields.get("response")))
    return Recording(steps=steps, begun=next(responses, folded), ended=folded)


def _step(data: bytes) -> Step | None:
    if is_end_marker(data):
        return None
    try:
        fields: Any = decode(data)
    except UNDECODABLE:
        return None
    kind: Any = fields.get("type") if is_object(fields) else None
    if not isinstance(kind, str):
        return None
    return Step(1.0 if kind.endswith(".delta") else 0.0, fields, data)
