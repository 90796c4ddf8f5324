"""The events that a relay makes: the reader of one folds to the state that it was made from."""

import pytest
from msgspec.json import decode

from streamfold.fold import State, reduce, snapshot, with_response
from streamfold.log import Record
from streamfold.relay.ends import is_lost, last_event, lost_event, made_end
from streamfold.schema import decode_event


def state(status: str) -> State:
    body = b'{"id":"resp_1","object":"response","status":"%s","output":[{"id":"m","type":"message","content":[%s]}]}'
    part = b'{"type":"output_text","text":"abc","annotations":[]}'
    return with_response(State(), body % (status.encode(), part))


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
def test_the_last_event_says_how_it_ended_and_holds_the_whole_response(status: str) -> None:
    record = last_event(state(status), 7)
    assert (record.sequence_number, record.name) == (7, f"response.{status}")
    after = reduce(State(), decode_event(record.data, record.name))
    assert (after.status, after.output_text, after.is_terminal) == (status, "abc", True)
    assert decode(record.data)["sequence_number"] == 7
    assert not is_lost(record)


def test_the_end_of_a_stream_that_lacks_it_begins_at_the_number_given() -> None:
    records = made_end(state("in_progress"), state("completed"), 7)
    assert [record.sequence_number for record in records] == list(range(7, 7 + len(records)))
    assert records[-1].name == "response.completed"


def test_a_status_without_an_event_of_its_own_is_a_failure_whose_response_says_the_rest() -> None:
    record = last_event(state("expired"), 7)
    assert record.name == "response.failed"
    assert decode(record.data)["response"]["status"] == "expired"


def test_a_lost_response_has_failed_with_everything_that_was_received() -> None:
    record = lost_event(state("in_progress"), 7, 'it said "error":{"code":"upstream_lost",')
    after = reduce(State(), decode_event(record.data, record.name))
    assert (after.status, after.output_text, snapshot(after).id) == ("failed", "abc", "resp_1")
    error = snapshot(after).error
    assert error is not None
    assert error.code == "upstream_lost"
    assert is_lost(record)


def test_an_answer_that_quotes_the_mark_is_not_lost() -> None:
    text = b'{"response":{"output":"\\"error\\":{\\"code\\":\\"upstream_lost\\","}}'
    assert not is_lost(Record(1, "response.failed", text))
