"""How often a relay decided what about POSTs: its journal in numbers."""

from attrs import define


@define(kw_only=True)
class AttachCounts:
    """How often each decision was made.

    Attributes:
        creates: Answers that were created, or tried.
        failed: Those of them that could not be created.
        joined_by_key: POSTs that joined the answer of their Idempotency-Key.
        joined_by_sign: POSTs that joined an orphan.
        refused_keys: POSTs that were refused: another request under the same key.
        refused_full: POSTs that were refused: there are as many claims as allowed.
        changed: Retries that created another answer, because their body differs from that of the orphan of their turn.
        dropped: Claims that were forgotten early, to stay within the limits.
    """

    creates: int = 0
    failed: int = 0
    joined_by_key: int = 0
    joined_by_sign: int = 0
    refused_keys: int = 0
    refused_full: int = 0
    changed: int = 0
    dropped: int = 0

    @property
    def attaches(self) -> int:
        """POSTs that joined an answer."""
        return self.joined_by_key + self.joined_by_sign

    @property
    def refusals(self) -> int:
        """POSTs that were refused."""
        return self.refused_keys + self.refused_full
