"""What an audit says of a run that was not as it must be.

In      nothing
Out     Complaint, and the kinds of it
Units   none
Source  docs/explanation/simulation.md
"""

from enum import StrEnum, auto

from attrs import frozen

__all__ = ["Complaint", "Kind"]


class Kind(StrEnum):
    """What a run did that it must not."""

    LOST = auto()
    """An event was left out, or the response was given up that could have been followed."""
    TWICE = auto()
    """An event was applied twice."""
    WRONG = auto()
    """The outcome says what is not so."""
    UNENDED = auto()
    """The run did not end."""


@frozen
class Complaint:
    """One thing that must not be, and what it was."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"
