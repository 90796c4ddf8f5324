"""Session: the gateway is gone in the middle of a stream, in virtual time. It ends whole, or says why not."""

from collections.abc import Iterator
from itertools import pairwise
from math import inf
from random import Random
from typing import Any

import pytest

from streamfold.session import Answer, Backoff, Cancel, Connect, Retrieve, Wait, drive
from tests.session.made import (
    HTML,
    Heard,
    added,
    answer,
    body,
    created,
    delta,
    ended,
    next_call,
    over,
    patience,
    reading,
    refused,
)

# A response of 60 words, one a second, in the background: it goes on while its gateway is gone.
WORDS = [f"word{place} " for place in range(60)]
TEXT = "".join(WORDS)
BEGINS = 20.0  # when the gateway is gone
IDLE = 60.0  # how long a transport waits for an answer
BREAKS = "the connection was reset"
GONE: dict[str, Any] = {
    "refused": "the connection was refused",
    "unknown host": "the host name was not found",
    "no TLS": "the TLS handshake failed",
    "black hole": None,  # no answer within IDLE
    **{str(status): refused(status, "Try again later.") for status in (408, 425, 429, 500, 502, 503, 504, 529)},
    "502, a page": Answer(502, HTML.headers, HTML.body),
    "503, no body": Answer(503),
    "429, slow": answer(429, {"error": "Rate limit exceeded"}, retry_after="30"),
    "503, slow": answer(503, None, retry_after="600"),
}


def events(*, is_numbered: bool = True) -> list[tuple[float, bytes]]:
    """Each event, with the time at which it is there."""
    made = [created, added, *[lambda number, word=word: delta(number, word) for word in WORDS]]
    made.append(lambda number: ended(number, text=TEXT))
    return [(float(place), each(place if is_numbered else None)) for place, each in enumerate(made)]


class Gateway:
    """A gateway that is gone for a time, and the session that follows a response on it.

    gone: What comes instead of an answer while it is gone: an answer, a reason, or None for silence.
    seconds: For how long.
    cancel_at: When the caller asks for a cancel.
    """

    def __init__(
        self,
        gone: Any,
        seconds: float,
        *,
        is_numbered: bool = True,
        jitter: Any = None,
        cancel_at: float = inf,
        **limits: Any,
    ) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, object]] = []
        self.events = events(is_numbered=is_numbered)
        self.gone, self.back = gone, BEGINS + seconds
        self.cancel_at, self.is_cancelled = cancel_at, False
        self.session = Heard(
            "resp_1", random=jitter or Random(7).random, now=0.0, patience=patience(**limits), is_connected=True
        )

    @property
    def is_gone(self) -> bool:
        return BEGINS <= self.now < self.back

    def follow(self) -> "Gateway":
        """Carry out every step, until the outcome is there."""
        stream = self.stream(0)
        for step in drive(self.session):
            match step:
                case Connect(starting_after):
                    self.calls.append((self.now, step))
                    if not self.fails(step):
                        self.session.receive_connected(now=self.now)
                        first = 0 if starting_after is None else starting_after + 1
                        stream = self.stream(first)
                case Retrieve():
                    self.calls.append((self.now, step))
                    if not self.fails(step):
                        status = "completed" if self.now >= self.events[-1][0] else "in_progress"
                        status = "cancelled" if self.is_cancelled else status
                        self.session.receive_answer(step, answer(200, body(status, TEXT)), now=self.now)
                case Cancel():
                    self.calls.append((self.now, step))
                    if not self.fails(step):
                        self.cancel(step)
                case Wait(seconds):
                    self.wait(seconds, stream)
                case _:
                    pass
        return self

    def cancel(self, call: Cancel) -> None:
        if self.now >= self.events[-1][0]:
            self.session.receive_answer(call, refused(400, "Cannot cancel a completed response."), now=self.now)
            return
        self.is_cancelled = True
        self.events = [each for each in self.events if each[0] <= self.now]
        self.events.append((self.now, ended(len(self.events), "cancelled", TEXT)))
        self.session.receive_answer(call, answer(200, body("cancelled", TEXT)), now=self.now)

    def fails(self, call: Any) -> bool:
        if not self.is_gone:
            return False
        if self.gone is None:
            self.now += IDLE
            self.session.receive_failure(call, "no answer came in time", now=self.now)
        elif isinstance(self.gone, str):
            self.session.receive_failure(call, self.gone, now=self.now)
        else:
            self.session.receive_answer(call, self.gone, now=self.now)
        return True

    def stream(self, first: int) -> Iterator[tuple[float, bytes]]:
        while first < len(self.events):
            yield self.events[first]
            first += 1

    def wait(self, seconds: float, stream: Iterator[tuple[float, bytes]]) -> None:
        """Let the next thing happen: an event, the end of the connection, the caller's wish, or that the time is up."""
        if self.cancel_at <= self.now:
            self.cancel_at = inf
            self.session.receive_cancel(now=self.now)
            return
        at, data = (next(stream, None) if self.session.is_reading else None) or (None, b"")
        if at is None:
            self.now += seconds
            self.session.receive_time(now=self.now)
            return
        self.now = max(self.now, at)
        if self.is_gone:
            self.now = BEGINS
            self.session.receive_failure(Connect(), BREAKS, now=self.now)
        else:
            self.session.receive_chunk(data, now=self.now)


@pytest.mark.parametrize("seconds", [10.0, 30.0, 300.0])
@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_an_outage_of_minutes_costs_nothing_but_time(gone: Any, seconds: float) -> None:
    one = Gateway(gone, seconds).follow()
    outcome = over(one.session)
    assert (outcome.status, outcome.proof, outcome.state.output_text) == ("completed", "terminal_event", TEXT)
    assert (outcome.is_compacted, outcome.anomalies, outcome.duplicates.count) == (False, (), 0)
    assert len(one.session.events()) == len(one.events)
    assert {call for _, call in one.calls} == {Connect(19)}  # one step, again and again


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_so_does_one_of_a_stream_without_numbers(gone: Any) -> None:
    one = Gateway(gone, 300.0, is_numbered=False).follow()
    assert (over(one.session).status, over(one.session).state.output_text) == ("completed", TEXT)
    assert (over(one.session).is_compacted, len(one.session.events())) == (False, len(one.events))
    assert {call for _, call in one.calls} == {Connect(None)}


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_an_outage_that_does_not_end_is_waited_for_no_longer_than_a_stall(gone: Any) -> None:
    one = Gateway(gone, 1e9).follow()
    outcome = over(one.session)
    assert (outcome.status, outcome.proof) == ("lost", None)
    assert outcome.reason.startswith("nothing new came for 600 s: ")
    assert outcome.state.output_text == "".join(WORDS[:18])
    assert BEGINS + 600.0 <= one.now <= BEGINS + 600.0 + 2 * IDLE
    assert {type(call) for _, call in one.calls} == {Connect, Retrieve}
    assert isinstance(one.calls[-1][1], Retrieve)


def test_an_outage_ends_with_the_total_time() -> None:
    one = Gateway("the connection was refused", 1e9, total_seconds=100.0).follow()
    assert (over(one.session).status, over(one.session).reason) == ("lost", "it did not end within 100 s")
    assert one.now == 100.0


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_a_cancel_goes_on_until_the_outage_ends(gone: Any) -> None:
    one = Gateway(gone, 30.0, cancel_at=BEGINS, cancel_seconds=300.0).follow()
    outcome = over(one.session)
    assert [at for at, call in one.calls if isinstance(call, Cancel)][-1] >= one.back
    assert outcome.proof is not None
    assert outcome.status == ("cancelled" if one.is_cancelled else "completed")
    assert outcome.cancel in ({"cancel_won"} if one.is_cancelled else {"completion_won", "already_terminal"})


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_it_goes_on_no_longer_than_its_own_deadline(gone: Any) -> None:
    one = Gateway(gone, 300.0, cancel_at=BEGINS).follow()
    outcome = over(one.session)
    assert (outcome.status, outcome.cancel, outcome.state.output_text) == ("completed", "completion_won", TEXT)
    assert all(at <= BEGINS + 60.0 + IDLE for at, call in one.calls if isinstance(call, Cancel))


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
@pytest.mark.parametrize(("limits", "seconds"), [({}, 600.0), ({"total_seconds": 100.0}, 100.0 - BEGINS)])
def test_it_goes_on_no_longer_than_a_stall_or_the_total_time(gone: Any, limits: Any, seconds: float) -> None:
    one = Gateway(gone, 1e9, cancel_at=BEGINS, cancel_seconds=5000.0, **limits).follow()
    outcome = over(one.session)
    assert (outcome.status, outcome.cancel, outcome.proof) == ("lost", "unconfirmed", None)
    assert one.now <= BEGINS + seconds + 2 * IDLE


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_final_during_an_outage_too(status: int) -> None:
    one = Gateway(refused(status, "no"), 300.0).follow()
    assert over(one.session).reason == f"the stream was refused with {status}: no"
    assert [call for _, call in one.calls] == [Connect(19)]


def test_an_answer_that_breaks_off_is_read_by_its_status() -> None:
    one = Gateway(Answer(401), 300.0).follow()
    assert over(one.session).reason == "the stream was refused with 401: no reason given"
    again = Gateway(Answer(429, {"retry-after": "7"}), 10.0).follow()
    assert {round(after - before, 3) for before, after in pairwise(at for at, _ in again.calls)} == {7.0}
    assert over(again.session).status == "completed"


@pytest.mark.parametrize("status", [200, 404, 410])
@pytest.mark.parametrize("kind", ["text/html", "text/plain"])
def test_a_proxys_page_for_a_moment_refuses_nothing(status: int, kind: str) -> None:
    one = Gateway(Answer(status, {"content-type": kind}, b"404 page not found"), 2.0).follow()
    assert (over(one.session).status, over(one.session).is_compacted) == ("completed", False)


@pytest.mark.parametrize("status", [200, 404])
def test_a_page_for_ever_is_not_waited_out(status: int) -> None:
    one = Gateway(Answer(status, {"content-type": "text/html"}, b"<html>"), 1e9).follow()
    assert over(one.session).status == "lost"
    assert (one.now < BEGINS + 60.0, len(one.calls)) == (True, 15)


def test_the_waits_grow_to_their_bound_and_stay_there() -> None:
    one = Gateway("refused", 300.0, jitter=lambda: 0.999, backoff=Backoff(first_seconds=1.0, max_seconds=8.0)).follow()
    times = [BEGINS, *(at for at, _ in one.calls)]
    waits = [round(after - before) for before, after in pairwise(times)]
    assert waits[:5] == [1, 2, 4, 8, 8]
    assert set(waits[5:]) == {8}


@pytest.mark.parametrize("gone", ["503", "refused"])
def test_an_outage_between_answers_exhausts_nothing(gone: str) -> None:
    one = reading(created(0), added(1), jitter=0.5)
    one.receive_failure(Connect(), BREAKS, now=0.0)
    now, tried = 0.0, list[Connect]()
    for turn in range(40):
        call, now = next_call(one, now=now)
        assert isinstance(call, Connect)
        tried.append(call)
        if turn % 10 == 9:  # an answer that brings nothing
            one.receive_answer(call, HTML, now=now)
        elif gone == "503":
            one.receive_answer(call, GONE["503"], now=now)
        else:
            one.receive_failure(call, "the connection was refused", now=now)
    assert set(tried) == {Connect(1)}
