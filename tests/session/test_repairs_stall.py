"""StallTimer: when a response is given up because nothing new comes, and when it is not."""

from collections.abc import Callable

import pytest

from streamfold.session import Answer, Connect, Retrieve
from tests.session.made import (
    BUSY,
    HELD,
    OLD,
    Heard,
    added,
    answer,
    body,
    calls,
    created,
    delta,
    drop,
    ended,
    keepalive,
    next_call,
    over,
    patience,
    reading,
    refuse_all,
    refused,
    reopen,
)

STALLED, HOURS = 600.0, 2 * 3600.0
Said = Callable[[float], Answer]


def held(background: bool | None) -> tuple[bytes, ...]:
    return created(0, background=background), added(1), delta(2, "held")


def running(status: str = "in_progress", text: str = "held", background: bool | None = True) -> Answer:
    return answer(200, body(status, text, background=background))


def polled(one: Heard, said: Said, *, until: float = HOURS) -> float:
    """Refuse the streams of a session, and answer each of its GETs with this. Returns: the time at the end."""
    drop(one, now=0.0)
    now = 0.0
    while one.outcome is None and now < until:
        call, now = next_call(one, now=now)
        if isinstance(call, Connect):
            one.receive_answer(call, OLD, now=now)
        elif call == Retrieve():
            one.receive_answer(Retrieve(), said(now), now=now)
    return now


# A GET that shows a Response that still runs


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_background_response_may_run_for_hours(status: str) -> None:
    one = reading(*HELD)
    assert polled(one, lambda now: running(status)) >= HOURS
    assert one.outcome is None


@pytest.mark.parametrize("background", [False, None], ids=["foreground", "not said"])
def test_a_response_whose_connection_is_gone_is_given_up_if_it_stays_as_it_is(background: bool | None) -> None:
    one = reading(*held(background))
    now = polled(one, lambda now: running(background=background))
    assert over(one).reason == "nothing new came for 600 s: the stream was refused with 400: This response can no" + (
        " longer be streamed because it is more than 5 minutes old."
    )
    assert (over(one).status, over(one).state.output_text) == ("lost", "held")
    assert STALLED <= now <= STALLED + 4.0  # the first GET showed nothing that was known before


@pytest.mark.parametrize(
    ("asked", "said", "is_given_up"),
    [
        pytest.param(True, None, False, id="asked for"),
        pytest.param(True, False, True, id="the Response counts for more: foreground"),
        pytest.param(False, True, False, id="the Response counts for more: background"),
        pytest.param(False, None, True, id="not asked for"),
    ],
)
def test_what_the_post_asked_for_counts_where_no_response_says_more(
    asked: bool, said: bool | None, is_given_up: bool
) -> None:
    one = reading(*held(None), is_background=asked)
    polled(one, lambda now: running(background=said))
    assert (one.outcome is not None) is is_given_up


def test_a_status_or_a_text_that_changes_is_new() -> None:
    for said in (
        lambda now: running("queued" if now % 1000 < 500 else "in_progress", background=False),
        lambda now: running(text="held" + "x" * int(now / 500), background=False),
    ):
        one = reading(*held(False))
        assert polled(one, said) >= HOURS
        assert one.outcome is None


def test_a_get_that_fails_does_not_begin_the_time_anew() -> None:
    one = reading(*held(False), jitter=0.5)
    now = polled(one, lambda now: BUSY if int(now) % 3 else running(background=False))
    assert over(one).status == "lost"
    assert now <= STALLED + 10.0


# The GET that decides


def stalled(one: Heard) -> float:
    """Answer each connection with 503 until the time is up. Returns: the time of the GET that decides."""
    drop(one, now=0.0)
    call, now = next_call(one, now=0.0)
    while isinstance(call, Connect):
        one.receive_answer(call, BUSY, now=now)
        call, now = next_call(one, now=now)
    assert call == Retrieve()
    return now


def test_streams_that_are_busy_for_ever_are_no_reason_to_lose_a_response() -> None:
    one = reading(*HELD, jitter=0.5)
    now = stalled(one)
    assert now == STALLED
    one.receive_answer(Retrieve(), answer(200, body("completed", "held on")), now=now)
    assert (over(one).status, over(one).proof, over(one).is_compacted) == ("completed", "retrieved", True)


def test_a_background_response_that_runs_has_its_time_again() -> None:
    one = reading(*HELD, jitter=0.5)
    now = stalled(one)
    one.receive_answer(Retrieve(), running(), now=now)
    made, end = refuse_all(one, BUSY, now=now)
    assert (over(one).reason, made.count(Retrieve())) == (
        "nothing new came for 600 s: the Response was refused with 503: no",
        1,
    )
    assert end >= 2 * STALLED


def test_a_foreground_response_that_stays_as_it_is_does_not() -> None:
    one = reading(*held(False), jitter=0.5)
    now = stalled(one)
    one.receive_answer(Retrieve(), running(background=False), now=now)
    assert over(one).reason == (
        "nothing new came for 600 s: the Response stays in_progress, and its connection is gone"
    )


@pytest.mark.parametrize("how", ["answer", "failure"])
def test_a_get_that_fails_decides_too(how: str) -> None:
    one = reading(*HELD, jitter=0.5)
    now = stalled(one)
    if how == "answer":
        one.receive_answer(Retrieve(), refused(404, "gone"), now=now)
    else:
        one.receive_failure(Retrieve(), "the connection was refused", now=now)
    why = "the Response was refused with 404: gone" if how == "answer" else "the connection was refused"
    assert over(one).reason == f"nothing new came for 600 s: {why}"


def test_it_is_not_made_where_gets_are_refused() -> None:
    one = reading(*HELD, jitter=0.5)
    one.receive_cancel(now=0.0)
    one.actions()
    drop(one, now=0.0)
    one.receive_answer(Retrieve(), refused(404), now=0.0)
    made, _ = refuse_all(one, BUSY, now=0.0)
    assert Retrieve() not in made
    assert over(one).reason.endswith("the stream was refused with 503: no")


def test_something_new_while_it_is_on_its_way_ends_the_stall() -> None:
    one = reading(*HELD, jitter=0.5)
    now = stalled(one)
    one.receive_connected(now=now) if one.wants_stream else None
    while not one.wants_stream:
        call, now = next_call(one, now=now)
        assert isinstance(call, Connect)
    one.receive_connected(now=now)
    one.receive_chunk(delta(3, " on"), now=now)
    one.receive_answer(Retrieve(), refused(404), now=now)
    assert one.outcome is None
    one.receive_chunk(ended(4, text="held on"), now=now)
    assert (over(one).status, over(one).is_compacted) == ("completed", False)


def test_a_stream_that_is_open_but_silent_is_not_gone() -> None:
    one = reading(*held(False))
    drop(one, now=0.0)
    reopen(one, now=0.0)
    one.receive_time(now=STALLED)
    assert calls(one) == [Retrieve()]
    one.receive_answer(Retrieve(), running(background=False), now=STALLED)
    one.receive_time(now=HOURS)
    assert (one.outcome, one.is_reading) == (None, True)


# Keepalives


@pytest.mark.parametrize("number", [3, None], ids=["numbered", "without a number"])
def test_one_keepalive_to_each_connection_is_no_progress(number: int | None) -> None:
    one, now, connects = reading(*HELD), 0.0, 0
    drop(one, now=now)
    while one.outcome is None:
        call, now = next_call(one, now=now)
        if isinstance(call, Connect):
            connects += 1
            one.receive_connected(now=now)
            one.receive_chunk(keepalive(number and number + connects - 1), now=now)
            drop(one, now=now)
        elif call == Retrieve():
            one.receive_answer(Retrieve(), refused(404), now=now)
    assert connects == 2 * patience().max_attempts
    assert over(one).status == "lost"


def test_keepalives_of_an_open_stream_hold_no_response_that_its_gateway_has_lost() -> None:
    one = reading(*HELD)
    drop(one, now=0.0)
    reopen(one, keepalive(3), now=0.0)
    one.receive_time(now=STALLED)
    one.receive_answer(Retrieve(), refused(404, "no such response"), now=STALLED)
    assert over(one).reason == "nothing new came for 600 s: the Response was refused with 404: no such response"


def test_one_keepalive_to_each_connection_of_a_response_that_stays_in_progress_ends() -> None:
    one, now, connects = reading(*held(False)), 0.0, 0
    drop(one, now=now)
    while one.outcome is None:
        call, now = next_call(one, now=now)
        if isinstance(call, Connect):
            connects += 1
            one.receive_connected(now=now)
            one.receive_chunk(keepalive(None), now=now)
            drop(one, now=now)
        elif call == Retrieve():
            one.receive_answer(Retrieve(), running(background=False), now=now)
    assert over(one).status == "lost"
    assert connects <= 2 * patience().max_attempts + 2 * STALLED / patience().poll_seconds
    assert now <= STALLED + 4.0
