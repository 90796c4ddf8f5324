"""Text: a string that grows by pieces, shares them, and reads as if it had always been whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfold.fold.text import BLOCKS_PER_PAGE, Text

BLOCKS = st.lists(st.text(max_size=4), max_size=200)


def grow(blocks: list[str]) -> Text:
    text = Text()
    for block in blocks:
        text = text.push(block)
    return text


def test_a_new_text_reads_as_nothing() -> None:
    assert str(Text()) == ""


def test_blocks_are_read_in_the_order_they_came() -> None:
    assert str(Text().push("Hel").push("").push("lo")) == "Hello"


def test_growing_leaves_the_shorter_text_as_it_was() -> None:
    short = Text().push("a")
    assert (str(short.push("b")), str(short.push("c")), str(short)) == ("ab", "ac", "a")


@pytest.mark.parametrize("field", ["pages", "blocks", "new"])
def test_a_text_cannot_be_changed(field: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Text(), field, ("a",))


@pytest.mark.parametrize("count", [1, 63, 64, 65, 127, 128, 129, 4096])
def test_a_full_page_is_joined_and_the_blocks_begin_again(count: int) -> None:
    text = grow(["ab"] * count)
    assert (len(text.pages), len(text.blocks)) == divmod(count, BLOCKS_PER_PAGE)
    assert all(page == "ab" * BLOCKS_PER_PAGE for page in text.pages)


def test_pages_are_read_in_the_order_they_came() -> None:
    blocks = [f"{number} " for number in range(3 * BLOCKS_PER_PAGE + 2)]
    assert str(grow(blocks)) == "".join(blocks)


def test_a_grown_text_shares_the_pages_it_had() -> None:
    text = grow(["a"] * 200)
    assert text.push("b").pages is text.pages


def test_texts_that_read_the_same_are_equal_however_they_were_cut() -> None:
    assert grow(["a", "bc"]) == grow(["ab", "", "c"])
    assert len({grow(["a", "bc"]), grow(["abc"])}) == 1


@pytest.mark.parametrize("other", ["ab", None, Text().push("a")])
def test_a_text_is_equal_to_no_other_text_and_to_no_string(other: object) -> None:
    assert (grow(["a", "b"]) == other) is False


@given(BLOCKS)
def test_pushing_blocks_reads_as_joining_them(blocks: list[str]) -> None:
    assert str(grow(blocks)) == "".join(blocks)


@given(BLOCKS)
def test_every_text_on_the_way_still_reads_the_same(blocks: list[str]) -> None:
    texts = [grow(blocks[:length]) for length in range(len(blocks) + 1)]
    grown = [Text()]
    for block in blocks:
        grown.append(grown[-1].push(block))
    assert list(map(str, grown)) == list(map(str, texts))


def test_equal_texts_are_not_unequal() -> None:
    one, other = Text().push("ab"), Text().push("a").push("b")
    assert one == other
    assert (one != other) is False
