"""Which events a state counts, so that a stream without numbers can be read again; and a hole that is believed."""

import pytest
from hypothesis import given

from streamfold.errors import SequenceGap
from streamfold.fold.checkpoint import checkpoint, restore
from streamfold.fold.reduce import fold, is_counted, reduce, reduce_across, reduce_recorded, states
from streamfold.fold.snapshot import snapshot_json
from streamfold.fold.state import SequencePolicy, State
from streamfold.schema import Event, decode_event
from tests.fold.made import added, completed, created, delta, event, keepalive, tolerated
from tests.fold.streams import Story, stories

TORN = decode_event(b"{torn")
ERROR = event("error", None, error={"message": "hm"})
PING = event("ping", None)
BEGUN = [created(None), added(None), delta(None, "a")]
NUMBERED = [created(0), added(1), delta(2, "a"), delta(3, "b")]


@pytest.mark.parametrize(
    ("events", "counted"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param(BEGUN, 3, id="no numbers"),
        pytest.param([keepalive(None), *BEGUN, keepalive(None)], 3, id="keepalives come by the clock"),
        pytest.param([*BEGUN, ERROR], 3, id="another stream may not bring an error"),
        pytest.param([PING, *BEGUN, PING, PING], 3, id="a type that is not known may be a keepalive"),
        pytest.param([*BEGUN, TORN, delta(None, "b")], 5, id="damaged: another stream brings it whole"),
        pytest.param([*BEGUN, event("response.output_text.delta")], 4, id="malformed"),
        pytest.param(NUMBERED, 4, id="numbers"),
        pytest.param([keepalive(0), *[created(1), added(2), keepalive(3), delta(4)]], 3, id="keepalives with numbers"),
        pytest.param([created(41), added(42), delta(43), delta(44)], 4, id="numbers from elsewhere"),
        pytest.param([*NUMBERED[:2], keepalive(None), *NUMBERED[2:], keepalive(None)], 4, id="keepalives without"),
        pytest.param([created(0), added(None), delta(None), delta(1), delta(None)], 5, id="some have numbers"),
        pytest.param([*BEGUN, completed(None)], 4, id="an end"),
    ],
)
def test_a_state_counts_what_another_stream_brings_again(events: list[Event], counted: int) -> None:
    state = fold(events)
    assert state.counted == counted
    assert restore(checkpoint(state)).counted == counted


@pytest.mark.parametrize("policy", [SequencePolicy.RENUMBER, SequencePolicy.ARRIVAL])
def test_the_policy_does_not_matter(policy: SequencePolicy) -> None:
    assert fold([keepalive(0), created(3), added(7), delta(8), delta(11)], State.under(policy)).counted == 4


@given(stories())
def test_every_state_counts_the_events_before_it(story: Story) -> None:
    counted = 0
    for each, state in zip(story.events, states(story.events), strict=True):
        counted += is_counted(each)
        assert state.counted == counted


@given(stories())
def test_a_log_that_numbers_otherwise_counts_the_same(story: Story) -> None:
    state = State()
    for place, each in enumerate([keepalive(None), *story.events]):
        state = reduce_recorded(state, each, 2 * place)
    assert state.counted == sum(map(is_counted, story.events))


def test_two_states_are_equal_whatever_they_count() -> None:
    one, other = fold([created(0), keepalive(1)]), fold([created(0), added(1, None)])
    assert (one.counted, other.counted) == (1, 2)
    assert one == other


@pytest.mark.parametrize(
    ("events", "is_mixed"),
    [
        pytest.param([], False, id="nothing"),
        pytest.param(BEGUN, False, id="no numbers"),
        pytest.param(NUMBERED, False, id="numbers"),
        pytest.param([keepalive(None), *NUMBERED, keepalive(None), ERROR, PING], False, id="only keepalives without"),
        pytest.param([*NUMBERED, delta(None)], True, id="first numbers, then none"),
        pytest.param([*BEGUN, delta(9)], True, id="first none, then numbers"),
    ],
)
def test_a_state_knows_whether_only_some_events_had_numbers(events: list[Event], is_mixed: bool) -> None:
    assert fold(events).is_mixed is is_mixed
    assert restore(checkpoint(fold(events))).is_mixed is is_mixed


def test_numbers_that_mean_nothing_are_not_mixed() -> None:
    assert fold([created(0), added(None), delta(0)], State.under(SequencePolicy.ARRIVAL)).is_mixed is False


# A hole that is the server's own


def test_an_event_from_after_a_hole_that_is_believed_is_applied() -> None:
    before = fold(NUMBERED)
    after = reduce_across(before, delta(5, "d"))
    assert (after.cursor, after.output_text, after.is_numbered) == (5, "abd", True)
    assert tolerated(after) == [("hole", 1, 5)]
    assert snapshot_json(before) == snapshot_json(fold(NUMBERED))


def test_the_next_hole_is_a_gap_again() -> None:
    after = reduce(reduce_across(fold(NUMBERED), delta(5, "d")), delta(6, "e"))
    assert after.output_text == "abde"
    with pytest.raises(SequenceGap):
        reduce(after, delta(8))
