"""What an emulator saw: bounded, and each answer ends once."""

from threading import Thread

import pytest

from streamfold.emulator.request_log import MOST_VISITS, Journal, Visit


def visit(number: int = 0) -> Visit:
    return Visit(request_id=f"req_{number}", method="GET", path="/", query="")


@pytest.mark.parametrize(
    ("first", "second", "counter"),
    [
        pytest.param("complete", "disconnected", "disconnects", id="a client may close what is complete"),
        pytest.param("cut", "disconnected", "disconnects", id="a cut is no disconnect"),
        pytest.param("disconnected", "cut", "cuts", id="nor a disconnect a cut"),
    ],
)
def test_what_comes_first_counts(first: str, second: str, counter: str) -> None:
    journal = Journal()
    seen = journal.begin(visit())
    journal.end(seen, first)
    journal.end(seen, second)
    assert seen.ended == first
    assert journal.counters[counter] == 0


def test_only_the_last_requests_are_kept_but_all_are_counted() -> None:
    journal = Journal()
    for number in range(MOST_VISITS + 5):
        journal.begin(visit(number))
    assert (len(journal.visits), journal.counters["requests"]) == (MOST_VISITS, MOST_VISITS + 5)
    assert journal.visits[0].request_id == "req_5"


def test_a_claim_that_holds_is_not_waited_for() -> None:
    journal = Journal()
    journal.count("cuts")
    assert journal.wait_for(lambda seen: seen.counters["cuts"] == 1, timeout_seconds=0)


def test_a_claim_that_never_holds_is_given_up_in_time() -> None:
    assert not Journal().wait_for(lambda seen: seen.counters["cuts"] == 1, timeout_seconds=0)


def test_another_thread_is_woken_when_the_claim_holds() -> None:
    journal, found = Journal(), list[bool]()
    seen = journal.begin(visit())
    waiting = Thread(target=lambda: found.append(journal.wait_for(lambda _: seen.ended == "cut", timeout_seconds=20)))
    waiting.start()
    journal.end(seen, "cut")
    waiting.join()
    assert found == [True]


def test_it_can_be_told_as_json() -> None:
    journal = Journal()
    journal.end(journal.begin(visit()), "cut")
    told = journal.as_fields()
    assert told["counters"] == {"requests": 1, "cuts": 1}
    assert told["visits"][0]["ended"] == "cut"
