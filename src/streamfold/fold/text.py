"""Text that grows by fragments and is shared between states."""

from msgspec import Struct

# A block is what one push adds; BLOCKS_PER_PAGE blocks are joined into a page. So a character is copied twice, however
# long the text grows, and reading joins few pieces. Joining at every delta would copy the whole text each time
# (decision 0004).
BLOCKS_PER_PAGE = 64


class Text(Struct, frozen=True, gc=False, eq=False):
    """A string in pieces, immutable. Two are equal if they read the same, however they were cut."""

    pages: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()

    def push(self, block: str) -> "Text":
        """The text with one more block at its end. Shares the pages with this one."""
        blocks = (*self.blocks, block)
        if len(blocks) < BLOCKS_PER_PAGE:
            return Text(self.pages, blocks)
        return Text((*self.pages, "".join(blocks)), ())

    def __str__(self) -> str:
        return "".join((*self.pages, *self.blocks))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and str(self) == str(other)

    def __ne__(self, other: object) -> bool:  # Struct defines its own, which compares the pieces
        return not self == other

    def __hash__(self) -> int:
        return hash(str(self))


NO_TEXT = Text()
