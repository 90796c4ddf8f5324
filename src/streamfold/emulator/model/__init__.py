"""The toy model behind the emulator: the same request and seed always give the same answer."""

from streamfold.emulator.model.answer_builder import ScriptStep
from streamfold.emulator.model.body import input_items
from streamfold.emulator.model.model import Script, answer, answer_tokens, has_logprobs, read_playback
from streamfold.emulator.model.prompt import input_tokens

__all__ = [
    "Script",
    "ScriptStep",
    "answer",
    "answer_tokens",
    "has_logprobs",
    "input_items",
    "input_tokens",
    "read_playback",
]
