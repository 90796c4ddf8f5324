"""When a state is saved beside the records again, so that a replay from there is short.

In      each record that is written, and the size of what was saved
Out     whether a checkpoint is due
Units   bytes
Errors  none
Source  docs/reference/history.md; decision 0016 for the measurements

A checkpoint holds the text so far, so that saving one at every so many records would cost the square of the text. So
the way to the next one grows with what the last one took: all checkpoints together take a part of the records.
"""

from streamfold.log import Record

__all__ = ["CHECKPOINT_EVERY", "CheckpointPolicy", "is_due"]

CHECKPOINT_EVERY = 3 * 512 * 1024
"""The least work that lies between two checkpoints: about 3,500 events of a text."""

RECORD_BYTES = 200  # what a record costs a replay beside its bytes, as so many bytes more
WORK_FOR_A_BYTE = 3  # a byte of a checkpoint is paid for by so much work


def is_due(work: int, *, saved_bytes: int) -> bool:
    """Whether a checkpoint is due. work: of the records since the last one, which took so many bytes."""
    return work >= max(CHECKPOINT_EVERY, WORK_FOR_A_BYTE * saved_bytes)


class CheckpointPolicy:
    """Tell it each record, and what was saved; ask it whether a checkpoint is due. saved_bytes: of the last one."""

    def __init__(self, *, saved_bytes: int = 0) -> None:
        self._work = 0
        self._saved_bytes = saved_bytes

    @property
    def is_due(self) -> bool:
        """Whether the state should be saved now."""
        return is_due(self._work, saved_bytes=self._saved_bytes)

    def count(self, record: Record) -> None:
        """One record was written."""
        self._work += len(record.data) + RECORD_BYTES

    def saved(self, data: bytes) -> None:
        """A checkpoint was saved, of these bytes."""
        self._work, self._saved_bytes = 0, len(data)
