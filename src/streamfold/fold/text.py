"""Text that grows by fragments and is shared between states.

In      fragments of text, in order
Out     a Text, immutable: growing it gives another one, which shares what was there
Units   characters
Source  decision 0004

A page is 64 blocks joined, and a block is what one push brings. So a character is copied twice, however long the
text grows, and reading joins few pieces: joining at every delta would copy the whole text each time.
"""

from msgspec import Struct

__all__ = ["Text"]

BLOCKS_PER_PAGE = 64


class Text(Struct, frozen=True, gc=False, eq=False):
    """A string in pieces. Two are equal when they read the same, however they were cut."""

    pages: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()

    def push(self, block: str) -> "Text":
        """The text with one more block at its end."""
        blocks = (*self.blocks, block)
        if len(blocks) < BLOCKS_PER_PAGE:
            return Text(self.pages, blocks)
        return Text((*self.pages, "".join(blocks)), ())

    def __str__(self) -> str:
        return "".join((*self.pages, *self.blocks))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and str(self) == str(other)

    def __ne__(self, other: object) -> bool:  # Struct brings its own, which compares the pieces
        return not self == other

    def __hash__(self) -> int:
        return hash(str(self))
