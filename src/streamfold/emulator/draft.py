"""An answer while it is made: its items, the tokens it has used, the ids and words it draws.

In      tokens and items, as the model makes them
Out     what is left of the token budget; the fields of the Response that are known at its end
Units   tokens
Errors  none
Source  docs/reference/emulator.md
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random
from typing import Any, TypeAlias

from msgspec import Struct

from streamfold.emulator.request import Fields

__all__ = ["Draft", "Step", "Steps"]


class Step(Struct, frozen=True, gc=False):
    """One event to come.

    wait_tokens: how many tokens of time pass before it. fields: the event, `type` first, without a sequence_number
    (a recorded one has its own). data: the bytes it was recorded as, to be sent as they are; None for a made one.
    """

    wait_tokens: float
    fields: Fields
    data: bytes | None = None


Steps: TypeAlias = Iterator[Step]


class Draft:
    """What is known of an answer so far.

    random: draws words and values; of the request and the seed. names: draws ids; of the Response's id too.
    limit: the most output tokens there may be; None for no end. output: the items as they ended. cut_by: what cut
    the answer short, `max_output_tokens` or what `cut_after` was told; None while nothing did. is_over: whether
    nothing more comes. output_tokens, reasoning_tokens: used so far.
    """

    def __init__(self, *, random: Random, names: Random, limit: int | None) -> None:
        self.random = random
        self.names = names
        self.limit = limit
        self.output: list[Fields] = []
        self.cut_by: str | None = None
        self.is_over = False
        self.output_tokens: int = 0
        self.reasoning_tokens = 0

    @property
    def is_cut(self) -> bool:
        """Whether the answer was cut short."""
        return self.cut_by is not None

    @property
    def item_status(self) -> str:
        """The status of an item that ends now."""
        return "incomplete" if self.is_cut else "completed"

    def spend(self, tokens: Iterable[str]) -> Iterator[str]:
        """The tokens, as long as the limit allows them."""
        for token in tokens:
            if self.output_tokens == self.limit:
                self.cut_by = "max_output_tokens"
                return
            self.output_tokens += 1
            yield token

    def cut_after(self, tokens: Iterable[str], count: int, reason: str) -> Iterator[str]:
        """The first so many tokens; then the answer is cut short for this reason."""
        yield from islice(tokens, count)
        self.cut_by = reason

    def end(self, item: Fields) -> Step:
        """The item takes its place in the output. Returns: the event that tells it."""
        self.output.append(item)
        index = len(self.output) - 1
        return Step(0.0, {"type": "response.output_item.done", "output_index": index, "item": item})

    def begin(self, item: Fields, wait_tokens: float = 0.0) -> Step:
        """The event that adds an item as it begins."""
        return Step(wait_tokens, {"type": "response.output_item.added", "output_index": len(self.output), "item": item})

    def at(self, item: Fields, **more: Any) -> Fields:
        """Where events of the item point to."""
        return {"item_id": item["id"], "output_index": len(self.output), **more}
