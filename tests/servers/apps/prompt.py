"""What a prompt asks for, such as `words=200 pace=0.01 nonce=1f`: so many words, so many seconds apart.

Every server here answers with the same words, so the whole answer is known before it is asked for. Plain Python: the
servers' own environments import it too.
"""

import re
from typing import NamedTuple


class Prompt(NamedTuple):
    """One prompt. nonce: makes it differ from equal ones, for servers with a cache."""

    words: int
    pace: float = 0.0
    nonce: str = ""

    def __str__(self) -> str:
        return f"words={self.words} pace={self.pace} nonce={self.nonce}"

    @classmethod
    def read(cls, text: str) -> "Prompt":
        """The last prompt that stands in a text, such as the JSON of a conversation."""
        words, pace = re.findall(r"words=(\d+) pace=([\d.]+)", text)[-1]
        return cls(int(words), float(pace))

    @property
    def pieces(self) -> list[str]:
        """The answer, word by word."""
        return [f"word{index} " for index in range(self.words)]

    @property
    def answer(self) -> str:
        return "".join(self.pieces)
