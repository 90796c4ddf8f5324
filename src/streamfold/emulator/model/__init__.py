"""The toy model behind the emulator: the same request and seed always give the same answer."""

from streamfold.emulator.model.answer_builder import ScriptStep
from streamfold.emulator.model.body import input_items
from streamfold.emulator.model.model import Script, answer, read_playback

__all__ = ["Script", "ScriptStep", "answer", "input_items", "read_playback"]
