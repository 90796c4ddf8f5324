"""What an endpoint answers is a value; a problem becomes the answer that its dialect has for it."""

import pytest
from msgspec.json import decode

from streamfold.errors import UsageError
from streamfold.schema.dialect import MKA1, OPENAI, Dialect
from streamfold.serving import BodyReply, FixedEvents, Problem, ReadyEvents, invalid, refusal
from tests.emulator.answers import DIALECTS

RATE_LIMIT = Problem(429, "Rate limit exceeded")


def test_a_value_is_answered_as_json() -> None:
    assert BodyReply.of({"a": 1}, status=201) == BodyReply(201, b'{"a":1}')
    assert BodyReply.of([]).content_type == "application/json"


def test_a_body_is_not_shown() -> None:
    assert "hello" not in repr(BodyReply.of("hello"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_refusal_has_openais_shape(dialect: Dialect) -> None:
    problem = Problem(400, "temperature must be a number.", "temperature", "invalid_value")
    facts = {"type": "invalid_request_error", "param": "temperature", "code": "invalid_value"}
    assert decode(refusal(problem, dialect).body) == {"error": {"message": problem.message, **facts}}


def test_mka1s_rate_limit_is_a_bare_text() -> None:
    assert refusal(RATE_LIMIT, MKA1).body == b'{"error":"Rate limit exceeded"}'
    assert decode(refusal(RATE_LIMIT, OPENAI).body)["error"]["message"] == "Rate limit exceeded"


def test_a_refusal_may_ask_to_wait() -> None:
    assert refusal(RATE_LIMIT, MKA1, retry_after_seconds=1.5).headers == (("retry-after", "1.5"),)
    assert refusal(RATE_LIMIT, MKA1).headers == ()


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        pytest.param(invalid("limit", "must be 1"), 422, id="a value out of its range"),
        pytest.param(invalid("model", "is required"), 400, id="a missing field"),
        pytest.param(Problem(404, "none", code="invalid_value"), 404, id="another status"),
    ],
)
def test_an_invalid_value_may_have_a_status_of_its_own(problem: Problem, status: int) -> None:
    assert refusal(problem, OPENAI, invalid_status=422).status == status


def test_an_invalid_field_is_named_in_the_sentence() -> None:
    assert invalid("limit", "must be 1") == Problem(400, "limit must be 1.", "limit", "invalid_value")
    assert invalid("model", "is required").code == "missing_required_parameter"


# Events that are all known


def test_known_events_are_given_from_a_place_on_and_then_end() -> None:
    events = FixedEvents(b"one", b"two", b"three")
    assert events.next_after(1, 0.0) == ReadyEvents((b"two", b"three"), 3)
    assert events.next_after(3, 0.0) is None
    assert FixedEvents().next_after(0, 0.0) is None


def test_there_is_never_anything_to_wait_for() -> None:
    with pytest.raises(UsageError, match="nothing to wait for"):
        FixedEvents().wait(1.0)


def test_a_problem_has_headers_of_its_own() -> None:
    problem = Problem(405, "Not here.", headers=(("allow", "GET"),))
    assert refusal(problem, MKA1).headers == (("allow", "GET"),)
    assert refusal(problem, MKA1, retry_after_seconds=1.5).headers == (("allow", "GET"), ("retry-after", "1.5"))
