"""States and text out of batches of applied events, however many come at a time."""

from collections import deque
from collections.abc import Sequence

import pytest

from streamfold import EventReader, State, reduce
from streamfold.client.follow.reading import States, Text
from streamfold.errors import (
    OutcomeError,
    ResponseCancelled,
    ResponseFailed,
    ResponseIncomplete,
    ResponseLost,
    TextChanged,
)
from streamfold.fold import TextGrowth
from streamfold.session import Applied, Outcome, OutcomeStatus
from tests.session.made import added, created, delta, ended, frame

pytestmark = pytest.mark.anyio


class Given:
    """What is followed: batches of applied events, and a final state that may know more."""

    def __init__(self, *batches: Sequence[bytes], final: Sequence[bytes] = ()) -> None:
        self.state = self.given = State()
        self.kept: deque[Applied] = deque()
        self.has_ended = False
        self.id = "resp_1"
        self._batches = iter(batches)
        self._final = final

    async def outcome(self) -> Outcome:
        return Outcome(status=OutcomeStatus(self.state.status or "lost"), state=self.state, response_id=self.id)

    async def read(self) -> tuple[Applied, ...]:
        frames = next(self._batches, None)
        if frames is None:
            self._apply(self._final)
            self._final = ()
            self.has_ended = True
            return ()
        return self._apply(frames)

    def _apply(self, frames: Sequence[bytes]) -> tuple[Applied, ...]:
        applied: list[Applied] = []
        for event in EventReader().feed(b"".join(frames)):
            self.state = reduce(self.state, event)
            applied.append(Applied(event, b"", self.state))
        return tuple(applied)


def text_of(given: Given, *, strict: bool = False) -> Text:
    return Text(given, TextGrowth(), strict=strict)


def done(number: int, text: str) -> bytes:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return frame("response.output_text.done", number, **place, text=text, logprobs=[])


HEAD = (created(0), added(1))


async def test_each_state_of_a_batch_is_given() -> None:
    given = Given(HEAD, [delta(2, "a"), delta(3, "b")], [ended(4, text="ab")])
    assert [state.cursor async for state in States(given, coalesced=False)] == [0, 1, 2, 3, 4]


async def test_of_a_batch_a_coalesced_reader_gets_the_last() -> None:
    given = Given(HEAD, [delta(2, "a"), delta(3, "b")], [ended(4, text="ab")])
    assert [state.cursor async for state in States(given, coalesced=True)] == [1, 3, 4]


@pytest.mark.parametrize("coalesced", [False, True])
async def test_a_final_state_that_no_event_told_comes_last(coalesced: bool) -> None:
    given = Given(HEAD, final=[delta(2, "a"), ended(3, text="a")])
    states = [state async for state in States(given, coalesced=coalesced)]
    assert states[-1] is given.state
    assert states[-1].is_terminal


async def test_a_final_state_that_was_given_is_not_given_again() -> None:
    given = Given(HEAD, [ended(2)])
    states = [state async for state in States(given, coalesced=False)]
    assert len(states) == 3


async def test_where_nothing_came_there_is_the_one_state_that_is_known() -> None:
    assert [state.cursor async for state in States(Given(), coalesced=False)] == [None]


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([HEAD, [delta(2, "Hel"), delta(3, "lo")], [ended(4, text="Hello")]], ["Hel", "lo"]),
        ([HEAD, [delta(2, ""), delta(3, "a")], [ended(4, text="a")]], ["a"]),
        ([HEAD, [delta(2, "Hel")], [done(3, "Hello")], [ended(4, text="Hello")]], ["Hel", "lo"]),
        ([HEAD, [delta(2, "Hel")], [ended(3, text="Hello")]], ["Hel", "lo"]),
        ([HEAD, [ended(2)]], []),
        ([], []),
    ],
    ids=["deltas", "an empty delta", "the rest when done", "the rest at the end", "no text", "nothing"],
)
async def test_text_comes_with_whatever_tells_it_first(
    batches: Sequence[Sequence[bytes]], expected: Sequence[str]
) -> None:
    assert [piece async for piece in text_of(Given(*batches))] == expected


async def test_the_rest_of_the_text_comes_with_a_final_state_that_no_event_told() -> None:
    given = Given(HEAD, [delta(2, "Hel")], final=[ended(3, text="Hello")])
    assert [piece async for piece in text_of(given)] == ["Hel", "lo"]


async def test_text_that_was_replaced_is_not_given_again_and_the_end_says_so() -> None:
    text = text_of(Given(HEAD, [delta(2, "Hello")], [ended(3, text="Other")]))
    assert [piece async for piece in text] == ["Hello"]
    assert text.has_changed is True


async def test_text_that_was_replaced_is_an_error_for_a_strict_reader() -> None:
    text, pieces = text_of(Given(HEAD, [delta(2, "Hello")], [ended(3, text="Other")]), strict=True), list[str]()
    with pytest.raises(TextChanged):
        pieces += [piece async for piece in text]
    assert await anext(text, None) is None


@pytest.mark.parametrize(
    ("status", "error"),
    [("failed", ResponseFailed), ("incomplete", ResponseIncomplete), ("cancelled", ResponseCancelled)],
)
async def test_a_bad_end_is_raised_after_the_last_piece(status: str, error: type[OutcomeError]) -> None:
    text, pieces = text_of(Given(HEAD, [delta(2, "Hel")], [ended(3, status, "Hello")]), strict=True), list[str]()
    with pytest.raises(error) as caught:
        async for piece in text:
            pieces.append(piece)
    assert ("".join(pieces), caught.value.response_id, caught.value.status) == ("Hello", "resp_1", status)
    assert "Hello" not in str(caught.value)


async def test_a_response_that_was_lost_is_an_error_for_a_strict_reader_alone() -> None:
    assert [piece async for piece in text_of(Given())] == []
    given = Given()
    text = text_of(given, strict=True)
    with pytest.raises(ResponseLost):
        [piece async for piece in text]


async def test_the_response_knows_what_was_given_also_in_the_middle_of_a_batch() -> None:
    given = Given([*HEAD, delta(2, "Hel"), delta(3, "lo"), ended(4, text="Hello")])
    states = States(given, coalesced=False)
    for number in range(5):
        assert (await anext(states)).cursor == given.given.cursor == number
    given = Given([*HEAD, delta(2, "Hel"), delta(3, "lo"), ended(4, text="Hello")])
    text = text_of(given)
    assert (await anext(text), given.given.cursor) == ("Hel", 2)
    assert (await anext(text), given.given.cursor) == ("lo", 3)


async def test_what_was_kept_is_given_before_anything_is_read() -> None:
    for coalesced, expected in ((False, [0, 1, 2]), (True, [1, 2])):
        given = Given([delta(2, "a")])
        given.kept.extend(given._apply(HEAD))
        assert [state.cursor async for state in States(given, coalesced=coalesced)] == expected


async def test_a_reader_that_is_at_its_end_stays_there() -> None:
    text = text_of(Given(HEAD, [delta(2, "a"), ended(3, text="a")]))
    assert [piece async for piece in text] == ["a"]
    with pytest.raises(StopAsyncIteration):
        await anext(text)
