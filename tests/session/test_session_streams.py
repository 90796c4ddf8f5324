"""Session: streams that another response runs into, and those that say less than they should."""

import pytest

from streamfold.session import Answer, Connect, Retrieve
from tests.session.made import (
    HELD,
    JSON,
    REPLAY,
    RESUME,
    added,
    answer,
    body,
    calls,
    created,
    delta,
    ended,
    frame,
    kinds,
    next_call,
    over,
    reading,
    refuse_all,
    refused,
    reopen,
    session,
)

OTHER = "resp_2"


def other(number: int | None) -> bytes:
    """The beginning of another response, and its end."""
    more = None if number is None else number + 1
    return created(number, id=OTHER) + frame("response.completed", more, response=body("completed", "Salut!", id=OTHER))


# Another response in the same stream


@pytest.mark.parametrize("number", [0, 3, None], ids=["from 0 again", "with the next number", "without a number"])
@pytest.mark.parametrize("is_joined", [True, False])
def test_a_stream_that_another_response_runs_into_is_broken_there(number: int | None, is_joined: bool) -> None:
    start = HELD if number is not None else (created(None), added(None), delta(None, "held"))
    one = reading(b"".join(start) + other(number)) if is_joined else reading(*start, other(number))
    assert (one.outcome, one.is_reading, one.state.output_text) == (None, False, "held")
    assert one.repairs[0].reason == "another response began in its stream"
    end = [delta(3, " on"), ended(4, text="held on")]
    if number is None:
        end = [*start, delta(None, " on"), ended(None, text="held on")]
    reopen(one, *end, now=1.0)
    outcome = over(one)
    assert (outcome.status, outcome.response_id, outcome.state.output_text) == ("completed", "resp_1", "held on")
    assert "other_response" in [each.kind for each in outcome.anomalies]
    assert kinds(one) == [REPLAY if number is None else RESUME]


def test_where_every_stream_is_like_that_it_is_lost_and_says_so() -> None:
    one, now, asked = reading(*HELD, other(0)), 0.0, list[object]()
    while one.outcome is None:
        call, now = next_call(one, now=now)
        asked.append(call)
        if isinstance(call, Connect):
            one.receive_connected(now=now)
            one.receive_chunk(b"".join(HELD) + other(0), now=now)
        else:
            one.receive_answer(Retrieve(), refused(404, "no"), now=now)
    assert asked == [Connect(2), Connect(2), Connect(None), Connect(None), Retrieve()]
    assert (over(one).status, over(one).state.output_text) == ("lost", "held")
    assert [(each.kind, each.count > 0) for each in over(one).anomalies] == [("other_response", True)]


def test_what_runs_in_after_the_end_is_not_looked_at() -> None:
    one = reading(*HELD, ended(3, text="held") + other(0))
    assert (over(one).state.output_text, over(one).anomalies, over(one).repairs) == ("held", (), ())


def test_duplicates_that_say_something_else_are_reported() -> None:
    numbers_stand_still = [delta(0, "Good"), delta(0, " morning"), delta(0, ".")]
    one = reading(created(0), added(1), *numbers_stand_still, ended(2, text="Good morning."))
    assert over(one).duplicates.count == 3
    assert over(one).duplicates.differed is True
    again = reading(*HELD, *HELD, ended(3, text="held"))
    assert (over(again).duplicates.count, over(again).duplicates.differed) == (3, False)


# A server that leaves out what the protocol asks for


def test_a_stream_with_the_least_fields_is_followed_to_its_end() -> None:
    item = {"type": "message", "role": "assistant", "id": "m", "content": [{"type": "output_text", "text": ""}]}
    one = session(None, is_connected=True)
    for chunk in (
        frame("response.created", response={"id": "resp_a1"}),
        frame("response.output_item.added", item=item),
        frame("response.output_text.delta", delta="Hei "),
        frame("response.output_text.delta", delta="du"),
        frame("response.completed", response={"id": "resp_a1"}),
    ):
        one.receive_chunk(chunk, now=0.0)
    assert (over(one).status, over(one).state.output_text, over(one).repairs) == ("completed", "Hei du", ())


@pytest.mark.parametrize("number", ["3.5", "x", 2.5, None, 0, -1, 2**70])
def test_a_terminal_event_ends_it_whatever_its_number(number: object) -> None:
    one = reading(*HELD)
    data = frame("response.failed", response=body("failed", "held", error={"message": "gone"}), sequence_number=number)
    one.receive_chunk(data, now=0.0)
    one.receive_eof(now=0.0)
    assert (over(one).status, over(one).reason, over(one).repairs) == ("failed", "gone", ())


def test_an_end_without_a_status_from_after_a_gap_is_accepted_by_its_name() -> None:
    one = reading(*HELD, frame("response.incomplete", 9, response={"id": "resp_1"}))
    one.receive_eof(now=1.0)
    refuse_all(one, refused(404), now=1.0)
    assert (over(one).status, over(one).state.output_text) == ("incomplete", "held")


# A POST for a stream that is answered with the Response itself


def test_a_response_in_place_of_its_stream_is_followed_by_its_id() -> None:
    one = session(None, is_connected=True)
    one.receive_answer(Connect(), answer(200, body("queued")), now=0.0)
    assert (one.response_id, kinds(one)) == ("resp_1", [REPLAY])
    assert next_call(one, now=0.0) == (Connect(None), 0.0)
    one.receive_connected(now=0.0)
    one.receive_chunk(b"".join(HELD) + ended(3, text="held"), now=0.0)
    assert (over(one).status, over(one).proof, over(one).is_compacted) == ("completed", "terminal_event", False)


def test_where_its_stream_is_answered_with_json_too_it_is_polled() -> None:
    one = session(None, is_connected=True)
    one.receive_answer(Connect(), answer(200, body("queued")), now=0.0)
    call, now = next_call(one, now=0.0)
    one.receive_answer(Connect(), answer(200, body("queued")), now=now)
    assert (call, next_call(one, now=now)[0]) == (Connect(None), Retrieve())
    one.receive_answer(Retrieve(), answer(200, body("completed", "all")), now=9.0)
    assert (over(one).status, over(one).proof, over(one).state.output_text) == ("completed", "retrieved", "all")


def test_a_response_that_has_ended_already_is_the_outcome() -> None:
    one = session(None, is_connected=True)
    one.receive_answer(Connect(), answer(200, body("completed", "all")), now=0.0)
    assert (over(one).status, over(one).response_id, over(one).state.output_text) == ("completed", "resp_1", "all")


@pytest.mark.parametrize("identifier", [None, "", "..", "a\nb"])
def test_one_without_an_id_that_can_be_asked_for_is_lost(identifier: str | None) -> None:
    one = session(None, is_connected=True)
    one.receive_answer(Connect(), answer(200, body("queued", id=identifier)), now=0.0)
    assert over(one).reason == (
        "the gateway answered with the Response itself; the stream never said the response's id"
    )


def test_an_error_in_place_of_a_stream_says_why() -> None:
    one = session(None, is_connected=True)
    one.receive_answer(Connect(), Answer(200, JSON, b'{"error":{"message":"engine died"}}'), now=0.0)
    assert "it is an error: engine died" in over(one).reason


def test_a_cancel_waits_for_that_id_too() -> None:
    one = session(None, is_connected=True)
    one.receive_cancel(now=0.0)
    one.receive_answer(Connect(), answer(200, body("queued")), now=0.0)
    assert [type(call).__name__ for call in calls(one)] == ["Cancel"]


# Cursors


@pytest.mark.parametrize("status", [400, 404, 409, 410, 416, 422])
def test_a_cursor_that_has_expired_leads_to_a_replay(status: int) -> None:
    one = reading(*HELD)
    one.receive_failure(Connect(), "reset", now=0.0)
    call, now = next_call(one, now=0.0)
    said = answer(status, {"error": {"code": "stream_cursor_expired", "message": "The cursor has expired."}})
    one.receive_answer(Connect(2), said, now=now)
    reopen(one, *HELD, delta(3, " on"), ended(4, text="held on"), now=now)
    assert (call, kinds(one), over(one).is_compacted) == (Connect(2), [RESUME, REPLAY], False)
    assert over(one).state.output_text == "held on"
