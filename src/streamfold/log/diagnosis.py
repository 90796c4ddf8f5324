"""What can be said of a log as a whole: what it survives, how it is set, what is unsafe, and what is damaged.

In      nothing
Out     Durability, Diagnosis, Damage
Source  docs/reference/log.md
"""

from collections.abc import Mapping
from enum import StrEnum, auto

from attrs import frozen

from streamfold.log.record import StreamKey

__all__ = ["Damage", "Diagnosis", "Durability"]


class Durability(StrEnum):
    """What a record survives, once its append has returned."""

    MEMORY = auto()
    """Nothing: it ends with the process."""
    PROCESS = auto()
    """The end of the process."""
    POWER = auto()
    """The end of the machine's power: it was written to the disk."""
    REPLICATED = auto()
    """The loss of a machine: another one has it."""


@frozen(kw_only=True)
class Diagnosis:
    """How a log stands. engine: the store and its version. settings: those that matter, as the store spells them.

    unsafe: what may lose records as it is set, each with what to do about it; empty where nothing may.
    """

    engine: str
    durability: Durability
    settings: Mapping[str, str]
    unsafe: tuple[str, ...] = ()


@frozen
class Damage:
    """Something that is not as it was written. key: of the stream that it is in; None for the store itself."""

    key: StreamKey | None
    reason: str
