"""What an answer means for the ladder: which steps it refuses, how long it asks to wait, whether the Response is over."""

import pytest

from streamfold.fold import State, fold, snapshot_json
from streamfold.session.answer import Answer
from streamfold.session.outcome import RepairKind
from streamfold.session.verdict import STREAMS, Ended, Setback, StillOpen, read_no_stream, read_retrieved
from tests.fold.made import added, delta
from tests.session.made import answer, body, refused

RESUME, REPLAY, RETRIEVE = RepairKind
OLD = "This response can no longer be streamed because it is more than 5 minutes old."


def html(status: int) -> Answer:
    return Answer(status, {"content-type": "text/html"}, b"<html>hello</html>")


@pytest.mark.parametrize(
    ("said", "trying", "steps"),
    [
        pytest.param(refused(401), RESUME, set(RepairKind), id="unauthorized: nothing is left"),
        pytest.param(refused(403), REPLAY, set(RepairKind), id="forbidden: nothing is left"),
        pytest.param(refused(404), RESUME, STREAMS, id="unknown id: no stream, but perhaps a GET"),
        pytest.param(refused(400, OLD), RESUME, STREAMS, id="window expired: no stream"),
        pytest.param(refused(400, "not created with background=true"), REPLAY, STREAMS, id="foreground: no stream"),
        pytest.param(refused(400, param="starting_after"), RESUME, {RESUME}, id="the cursor: the whole may be had"),
        pytest.param(refused(400, param="starting_after"), REPLAY, {RESUME, REPLAY}, id="the cursor, never sent"),
        pytest.param(refused(400), RESUME, {RESUME}, id="no known reason: this step"),
        pytest.param(refused(400), REPLAY, {REPLAY}, id="no known reason: that step"),
        pytest.param(refused(503), RESUME, set(), id="busy: none"),
        pytest.param(refused(429), REPLAY, set(), id="too many: none"),
        pytest.param(html(200), RESUME, set(), id="a page of HTML: none"),
        pytest.param(Answer(204), RESUME, set(), id="nothing: none"),
    ],
)
def test_a_refused_stream_refuses_these_steps_for_good(
    said: Answer, trying: RepairKind, steps: set[RepairKind]
) -> None:
    assert read_no_stream(said, trying=trying).refused == steps


@pytest.mark.parametrize(
    ("said", "steps"),
    [
        pytest.param(refused(401), set(RepairKind), id="unauthorized"),
        pytest.param(refused(404), {RETRIEVE}, id="unknown id"),
        pytest.param(refused(400), {RETRIEVE}, id="no known reason"),
        pytest.param(refused(503), set(), id="busy"),
        pytest.param(html(200), set(), id="a page of HTML"),
        pytest.param(answer(200, {"id": "resp_1"}), set(), id="no status"),
        pytest.param(answer(200, {"status": 5}), set(), id="a status that is no text"),
        pytest.param(answer(200, []), set(), id="an array"),
        pytest.param(answer(200, b""), set(), id="nothing"),
    ],
)
def test_a_refused_get_refuses_these_steps_for_good(said: Answer, steps: set[RepairKind]) -> None:
    setback = read_retrieved(said, State())
    assert isinstance(setback, Setback)
    assert setback.refused == steps


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(refused(400, "not so"), "the stream was refused with 400: not so", id="the gateway's words"),
        pytest.param(html(502), "the stream was refused with 502: <html>hello</html>", id="an excerpt"),
        pytest.param(Answer(500), "the stream was refused with 500: no reason given", id="no words"),
        pytest.param(Answer(204), "the stream was empty, with status 204", id="empty"),
        pytest.param(html(200), "expected an event stream, got text/html: <html>hello</html>", id="HTML"),
        pytest.param(Answer(200, body=b"x"), "expected an event stream, got no content type: x", id="no content type"),
    ],
)
def test_the_reason_says_what_came(said: Answer, reason: str) -> None:
    assert read_no_stream(said, trying=RESUME).reason == reason


def test_the_reason_of_a_get_names_the_response() -> None:
    assert read_retrieved(refused(404, "gone"), State()) == Setback(
        "the Response was refused with 404: gone", frozenset({RETRIEVE})
    )


def test_only_a_busy_gateway_is_asked_when_to_come_back() -> None:
    busy = answer(503, None, retry_after="7")
    assert read_no_stream(busy, trying=RESUME).asked_seconds == 7.0
    assert read_retrieved(busy, State()) == read_no_stream(busy, trying=RESUME).__class__(
        "the Response was refused with 503: null", asked_seconds=7.0
    )


def test_an_empty_stream_is_worth_no_more_than_a_second_attempt() -> None:
    assert read_no_stream(Answer(204), trying=RESUME).most == 2


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelling", "thinking"])
def test_a_response_that_runs_is_still_open(status: str) -> None:
    assert read_retrieved(answer(200, body(status)), State()) == StillOpen(status, is_background=True)


@pytest.mark.parametrize("is_background", [True, False, None])
def test_a_response_that_runs_says_where(is_background: bool | None) -> None:
    found = read_retrieved(answer(200, body(background=is_background)), State())
    assert found == StillOpen("in_progress", is_background)


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
def test_a_response_that_is_over_becomes_the_state(status: str) -> None:
    before = fold([added(0), delta(1, "held")])
    said = answer(200, body(status, "told"))
    found = read_retrieved(said, before)
    assert isinstance(found, Ended)
    assert (found.state.status, found.state.output_text, found.state.cursor) == (status, "told", 1)
    assert found.body == said.body
    assert before.output_text == "held"


def test_a_response_without_output_keeps_what_was_folded() -> None:
    found = read_retrieved(answer(200, body("cancelled")), fold([added(0), delta(1, "held")]))
    assert isinstance(found, Ended)
    assert b"held" in snapshot_json(found.state)
