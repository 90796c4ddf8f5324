"""How long to wait before the next attempt.

In      how many attempts failed in a row, a random number in [0, 1), and what the server asked for
Out     seconds
Errors  none
Source  docs/explanation/repair.md: full jitter, so that clients cut off together do not come back together
"""

from attrs import frozen

__all__ = ["Backoff"]


@frozen(kw_only=True)
class Backoff:
    """Waits that double, each drawn from the whole range below its bound.

    first_seconds, most_seconds: the bound of the first wait, and of every wait. most_asked_seconds: how far a server's
    own wish is obeyed.
    """

    first_seconds: float = 0.5
    most_seconds: float = 8.0
    most_asked_seconds: float = 120.0

    def seconds(self, attempt: int, *, chance: float, asked: float = 0.0) -> float:
        """The wait before attempt `attempt`, which counts from 0; never less than `asked`, up to its bound."""
        # 2 ** 30 is beyond any bound, and a power that grows for ever is not.
        bound = min(self.most_seconds, self.first_seconds * 2.0 ** min(attempt, 30))
        return max(chance * bound, min(asked, self.most_asked_seconds))
