"""Which step of the repair ladder comes next: resume, replay, retrieve, or none.

In      what failed, and whether for good
Out     a RepairKind, or None when nothing is left to try
Units   attempts in a row that brought nothing new
Source  docs/explanation/repair.md

A step is *exhausted* by attempts that brought nothing, until something new comes; it is *refused* for good when the
gateway says that it will never do it.
"""

from streamfold.session.outcome import RepairKind

__all__ = ["Ladder"]


class Ladder:
    """Where on the ladder a session stands."""

    def __init__(self, max_attempts: int) -> None:
        self._max_attempts = max_attempts
        self._refused: set[RepairKind] = set()
        self._failed: dict[RepairKind, int] = {}

    def attempts(self, kind: RepairKind) -> int:
        """How often this step failed in a row, without anything new in between."""
        return self._failed.get(kind, 0)

    def is_refused(self, kind: RepairKind) -> bool:
        """Whether this step will never work."""
        return kind in self._refused

    def next(self, *, can_resume: bool) -> RepairKind | None:
        """The first step that may still work. can_resume: whether there is a number to resume after."""
        for kind in RepairKind:
            if kind in self._refused or self.attempts(kind) >= self._max_attempts:
                continue
            if kind is not RepairKind.RESUME or can_resume:
                return kind
        return None

    def fail(self, kind: RepairKind, *, most: int | None = None) -> None:
        """An attempt at this step brought nothing new. most: where more attempts than so many are no use."""
        failed = self.attempts(kind) + 1
        self._failed[kind] = self._max_attempts if most is not None and failed >= most else failed

    def refuse(self, *kinds: RepairKind) -> None:
        """These steps will never work."""
        self._refused.update(kinds)

    def progress(self) -> None:
        """Something new came: every step that was not refused may be tried again."""
        self._failed.clear()

    def give_another_try(self) -> None:
        """A GET was answered: the gateway lives, and so the exhausted steps get one attempt each."""
        self._failed = {kind: min(failed, self._max_attempts - 1) for kind, failed in self._failed.items()}
        self._failed.pop(RepairKind.RETRIEVE, None)
