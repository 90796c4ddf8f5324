"""An answer counts what it spends and knows what cut it short. Messages, refusals, thoughts and sound: their events in the order of recorded streams, and their items at the end."""

import base64
import io
import wave
from random import Random

import pytest

from streamfold.emulator.model.answer_builder import (
    AnswerBuilder,
    ScriptStep,
    Steps,
    audio,
    message,
    reasoning,
    refusal,
)
from streamfold.serving import Fields

WORDS = ["One", " two", " three", "."]


def builder(limit: int | None = None) -> AnswerBuilder:
    return AnswerBuilder(random=Random(1), names=Random(2), limit=limit)


def types(steps: Steps) -> list[str]:
    """The events' types, each run of deltas as one."""
    found: list[str] = []
    for step in steps:
        kind = step.fields["type"].removeprefix("response.")
        if not (found and found[-1] == kind):
            found.append(kind)
    return found


def plain(made: AnswerBuilder, *, has_logprobs: bool = False, has_citation: bool = False) -> Steps:
    return message(made, WORDS, has_logprobs=has_logprobs, has_citation=has_citation)


def test_a_message_comes_in_the_order_of_recorded_streams() -> None:
    made = builder()
    assert types(plain(made)) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]
    [item] = made.output
    assert item["content"] == [{"type": "output_text", "annotations": [], "logprobs": [], "text": "One two three."}]
    assert (item["status"], item["role"], made.output_tokens) == ("completed", "assistant", 4)


def test_each_token_is_a_delta_and_takes_a_token_of_time() -> None:
    deltas = [step for step in plain(builder()) if "delta" in step.fields]
    assert [step.fields["delta"] for step in deltas] == WORDS
    assert [step.wait_tokens for step in deltas] == [1.0] * 4


def test_a_message_that_is_cut_is_incomplete_with_what_it_has() -> None:
    made = builder(2)
    assert types(plain(made))[-1] == "output_item.done"
    assert (made.output[0]["status"], made.output[0]["content"][0]["text"]) == ("incomplete", "One two")


def test_logprobs_stand_in_the_deltas_and_in_the_part() -> None:
    made = builder()
    deltas = [step.fields["logprobs"] for step in plain(made, has_logprobs=True) if "delta" in step.fields]
    part = made.output[0]["content"][0]
    assert part["logprobs"] == [entry for delta in deltas for entry in delta]
    assert [(entry["token"], bytes(entry["bytes"]).decode()) for entry in part["logprobs"]] == [(w, w) for w in WORDS]
    assert all(entry["logprob"] <= 0 for entry in part["logprobs"])
    assert part["text"] == "One two three."


def test_a_citation_spans_the_text() -> None:
    made = builder()
    assert "output_text.annotation.added" in types(plain(made, has_citation=True))
    [citation] = made.output[0]["content"][0]["annotations"]
    assert (citation["type"], citation["start_index"], citation["end_index"]) == ("url_citation", 0, 14)


def test_a_refusal_is_a_message_of_another_part() -> None:
    made = builder()
    assert types(refusal(made, WORDS))[2:4] == ["refusal.delta", "refusal.done"]
    assert made.output[0]["content"] == [{"type": "refusal", "refusal": "One two three."}]


# Thoughts

PARAGRAPHS = [["First", " thought"], ["Second", " thought"]]


def think(made: AnswerBuilder, *, has_summary: bool, is_encrypted: bool = False) -> Steps:
    prefix = "response.reasoning_text"
    return reasoning(made, PARAGRAPHS, prefix=prefix, has_summary=has_summary, is_encrypted=is_encrypted)


def test_a_summary_has_a_part_for_each_paragraph() -> None:
    made = builder()
    part = [f"reasoning_summary_{name}" for name in ("part.added", "text.delta", "text.done", "part.done")]
    assert types(think(made, has_summary=True)) == ["output_item.added", *part, *part, "output_item.done"]
    assert [each["text"] for each in made.output[0]["summary"]] == ["First thought", "Second thought"]
    assert made.reasoning_tokens == made.output_tokens == 4


def test_a_thought_without_a_summary_is_one_text() -> None:
    made = builder()
    assert types(think(made, has_summary=False))[1:-1] == [
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
    ]
    assert made.output[0]["content"] == [{"type": "reasoning_text", "text": "First thoughtSecond thought"}]
    assert (made.output[0]["summary"], "status" in made.output[0]) == ([], False)


@pytest.mark.parametrize(("limit", "parts"), [(1, 1), (2, 2), (3, 2)])
def test_a_summary_that_is_cut_ends_there(limit: int, parts: int) -> None:
    made = builder(limit)
    assert types(think(made, has_summary=True))[-1] == "output_item.done"
    assert (len(made.output[0]["summary"]), made.output[0]["status"]) == (parts, "incomplete")
    assert made.reasoning_tokens == limit


def test_an_encrypted_thought_comes_with_its_end() -> None:
    made = builder()
    steps = list(think(made, has_summary=False, is_encrypted=True))
    assert "encrypted_content" not in steps[0].fields["item"]
    assert base64.b64decode(made.output[0]["encrypted_content"])


# Sound


def test_sound_is_a_whole_wave_file() -> None:
    made = builder()
    assert types(audio(made, "One.")) == ["output_item.added", "output_item.done"]
    item: Fields = made.output[0]
    assert item["transcript"] == "One."
    with wave.open(io.BytesIO(base64.b64decode(item["data"]))) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (1, 8000, 32)


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
    made = builder(limit)
    assert "".join(made.spend("abc")) == spent
    assert (made.output_tokens, made.cut_by, made.is_cut) == (len(spent), cut_by, cut_by is not None)


def test_the_limit_is_for_all_that_is_spent() -> None:
    made = builder(4)
    assert [*made.spend("abc"), *made.spend("def")] == ["a", "b", "c", "d"]


def test_an_answer_can_be_cut_half_way() -> None:
    made = builder()
    assert list(made.spend(made.cut_after("abcd", 2, "failure"))) == ["a", "b"]
    assert (made.cut_by, made.item_status) == ("failure", "incomplete")


def test_the_limit_may_come_before_the_half() -> None:
    made = builder(1)
    assert list(made.spend(made.cut_after("abcd", 2, "failure"))) == ["a"]
    assert made.cut_by == "max_output_tokens"


def test_an_item_takes_its_place_when_it_ends() -> None:
    made = builder()
    for index in range(2):
        item = {"id": f"msg_{index}"}
        assert made.begin(item, 3.0).wait_tokens == 3.0
        assert made.begin(item).fields["output_index"] == index
        assert made.at(item, content_index=0) == {"item_id": item["id"], "output_index": index, "content_index": 0}
        assert made.end(item) == ScriptStep(
            0.0, {"type": "response.output_item.done", "output_index": index, "item": item}
        )
    assert [item["id"] for item in made.output] == ["msg_0", "msg_1"]
    assert made.item_status == "completed"
