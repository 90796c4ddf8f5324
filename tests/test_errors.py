"""The errors: their families, their facts as attributes, their sentences, and that they survive pickling."""

import copy
import pickle

import pytest

from streamfold import errors
from streamfold.errors import (
    FrameTooLarge,
    GatewayError,
    LogError,
    MalformedBody,
    MalformedCheckpoint,
    NumberNotReached,
    SequenceGap,
    StreamfoldError,
    UsageError,
    WireError,
)

ERRORS = [
    pytest.param(
        FrameTooLarge(1048576),
        {"limit_bytes": 1048576},
        "one frame is larger than 1,048,576 bytes; if the server may send such frames, raise max_frame_bytes",
        id="frame too large",
    ),
    pytest.param(
        MalformedBody("Batch", "Expected `object`, got `array`"),
        {"kind": "Batch", "reason": "Expected `object`, got `array`"},
        "not a Batch: Expected `object`, got `array`; look at the body that the server sent",
        id="malformed body",
    ),
    pytest.param(
        MalformedCheckpoint("its version is 2"),
        {"reason": "its version is 2"},
        "not a checkpoint: its version is 2; fold again from the events",
        id="malformed checkpoint",
    ),
    pytest.param(
        SequenceGap(42, 45),
        {"expected": 42, "got": 45},
        "expected event 42, got 45; resume after 41",
        id="sequence gap",
    ),
    pytest.param(
        NumberNotReached(9, 5),
        {"at": 9, "cursor": 5},
        "no state at 9: the events end at 5",
        id="number not reached",
    ),
    pytest.param(
        NumberNotReached(9, None),
        {"at": 9, "cursor": None},
        "no state at 9: there are no events",
        id="no number at all",
    ),
]


@pytest.mark.parametrize(("error", "facts", "sentence"), ERRORS)
def test_the_sentence_is_built_from_the_facts(error: Exception, facts: dict[str, object], sentence: str) -> None:
    assert vars(error) == facts
    assert str(error) == sentence
    assert error.args == tuple(facts.values())


@pytest.mark.parametrize(("error", "facts", "sentence"), ERRORS)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_pickling(error: Exception, facts: dict[str, object], sentence: str, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(error, protocol))
    assert (type(again), vars(again), str(again)) == (type(error), facts, sentence)


@pytest.mark.parametrize(("error", "facts", "sentence"), ERRORS)
def test_an_error_survives_copying(error: Exception, facts: dict[str, object], sentence: str) -> None:
    again = copy.deepcopy(error)
    assert (type(again), vars(again), str(again)) == (type(error), facts, sentence)


@pytest.mark.parametrize("family", [StreamfoldError, WireError, GatewayError, LogError, UsageError])
def test_a_family_survives_pickling_with_its_words(family: type[StreamfoldError]) -> None:
    again = pickle.loads(pickle.dumps(family("the words")))
    assert (type(again), str(again)) == (family, "the words")


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        pytest.param(StreamfoldError, Exception, id="the root"),
        pytest.param(WireError, StreamfoldError, id="bytes"),
        pytest.param(SequenceGap, StreamfoldError, id="order"),
        pytest.param(GatewayError, StreamfoldError, id="the gateway"),
        pytest.param(LogError, StreamfoldError, id="the log"),
        pytest.param(UsageError, StreamfoldError, id="the caller"),
        pytest.param(FrameTooLarge, WireError, id="a frame is bytes"),
        pytest.param(MalformedBody, WireError, id="a body is bytes"),
        pytest.param(MalformedCheckpoint, WireError, id="a checkpoint is bytes"),
        pytest.param(NumberNotReached, UsageError, id="a number is the caller's"),
    ],
)
def test_an_error_belongs_to_whoever_broke_the_promise(kind: type[Exception], family: type[Exception]) -> None:
    assert kind.__base__ is family


def test_every_public_error_is_looked_at_here() -> None:
    families = {StreamfoldError, WireError, GatewayError, LogError, UsageError}
    looked_at = {type(row.values[0]) for row in ERRORS} | families
    assert {kind.__name__ for kind in looked_at} == set(errors.__all__)


@pytest.mark.parametrize(("error", "facts", "sentence"), ERRORS)
def test_a_sentence_is_one_line(error: Exception, facts: dict[str, object], sentence: str) -> None:
    assert "\n" not in str(error)
