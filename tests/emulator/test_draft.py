"""A draft counts what it spends, and knows what cut it short."""

from random import Random

import pytest

from streamfold.emulator.draft import Draft, Step


def draft(limit: int | None = None) -> Draft:
    return Draft(random=Random(1), names=Random(2), limit=limit)


@pytest.mark.parametrize(
    ("limit", "spent", "cut_by"),
    [
        pytest.param(None, "abc", None, id="no limit"),
        pytest.param(4, "abc", None, id="enough"),
        pytest.param(3, "abc", None, id="just enough"),
        pytest.param(2, "ab", "max_output_tokens", id="one too few"),
        pytest.param(0, "", "max_output_tokens", id="none"),
    ],
)
def test_tokens_are_spent_up_to_the_limit(limit: int | None, spent: str, cut_by: str | None) -> None:
    made = draft(limit)
    assert "".join(made.spend("abc")) == spent
    assert (made.output_tokens, made.cut_by, made.is_cut) == (len(spent), cut_by, cut_by is not None)


def test_the_limit_is_for_all_that_is_spent() -> None:
    made = draft(4)
    assert [*made.spend("abc"), *made.spend("def")] == ["a", "b", "c", "d"]


def test_an_answer_can_be_cut_half_way() -> None:
    made = draft()
    assert list(made.spend(made.cut_after("abcd", 2, "failure"))) == ["a", "b"]
    assert (made.cut_by, made.item_status) == ("failure", "incomplete")


def test_the_limit_may_come_before_the_half() -> None:
    made = draft(1)
    assert list(made.spend(made.cut_after("abcd", 2, "failure"))) == ["a"]
    assert made.cut_by == "max_output_tokens"


def test_an_item_takes_its_place_when_it_ends() -> None:
    made = draft()
    for index in range(2):
        item = {"id": f"msg_{index}"}
        assert made.begin(item, 3.0).wait_tokens == 3.0
        assert made.begin(item).fields["output_index"] == index
        assert made.at(item, content_index=0) == {"item_id": item["id"], "output_index": index, "content_index": 0}
        assert made.end(item) == Step(0.0, {"type": "response.output_item.done", "output_index": index, "item": item})
    assert [item["id"] for item in made.output] == ["msg_0", "msg_1"]
    assert made.item_status == "completed"
