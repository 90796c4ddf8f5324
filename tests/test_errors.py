"""The errors: their families, their facts as attributes, their sentences, and that they survive pickling."""

import copy
import pickle

import pytest

from streamfold import errors
from streamfold.errors import (
    ConnectFailed,
    Disconnected,
    FrameTooLarge,
    GatewayError,
    IdleTimeout,
    InvalidArgument,
    InvalidWebhook,
    LeaseHeld,
    LogClosed,
    LogConflict,
    LogError,
    LogGap,
    LogUnusable,
    MalformedBody,
    MalformedCheckpoint,
    NumberNotReached,
    OutcomeError,
    ProtocolViolation,
    RelayBusy,
    RequestRefused,
    ResponseCancelled,
    ResponseFailed,
    ResponseIncomplete,
    ResponseLost,
    SequenceGap,
    StreamBroken,
    StreamfoldError,
    TextChanged,
    TransportError,
    UnexpectedAnswer,
    UnknownStream,
    UsageError,
    WireError,
    WriterFenced,
)

ERRORS = [
    pytest.param(
        UnknownStream("tenant", "resp_1"),
        {"tenant": "tenant", "response_id": "resp_1"},
        "the log has no stream of resp_1; acquire it before appending to it",
        id="unknown stream",
    ),
    pytest.param(
        LeaseHeld("host-7", 12.34),
        {"owner": "host-7", "seconds": 12.34},
        "host-7 is writing this stream; try again in 12.3 s, when its lease may have expired",
        id="lease held",
    ),
    pytest.param(
        WriterFenced(3, 5),
        {"epoch": 3, "current": 5},
        "this writer has epoch 3, the stream has 5; stop, another writer has taken over",
        id="writer fenced",
    ),
    pytest.param(
        LogGap(4, 7),
        {"next_number": 4, "got": 7},
        "the log needs record 4 next, got 7; send again from 4",
        id="log gap",
    ),
    pytest.param(
        LogConflict(4),
        {"sequence_number": 4},
        "the log holds a different record 4; two sources of one response disagree",
        id="log conflict",
    ),
    pytest.param(
        LogClosed(9, 9),
        {"next_number": 9, "got": 9},
        "the stream was finished before record 9; record 9 comes too late",
        id="log closed",
    ),
    pytest.param(
        LogUnusable("log.db", "the disk is full; nothing was written"),
        {"where": "log.db", "reason": "the disk is full; nothing was written"},
        "log.db: the disk is full; nothing was written",
        id="log unusable",
    ),
    pytest.param(
        FrameTooLarge(1048576),
        {"limit_bytes": 1048576},
        "one frame is larger than 1,048,576 bytes; raise max_frame_bytes if the server may send such frames",
        id="frame too large",
    ),
    pytest.param(
        MalformedBody("Batch", "Expected `object`, got `array`"),
        {"kind": "Batch", "reason": "Expected `object`, got `array`"},
        "not a Batch: Expected `object`, got `array`; check the body that the server sent",
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
    pytest.param(
        InvalidArgument("starting_after", "must be a whole number, 0 or more"),
        {"name": "starting_after", "reason": "must be a whole number, 0 or more"},
        "starting_after: must be a whole number, 0 or more",
        id="invalid argument",
    ),
    pytest.param(
        InvalidWebhook("its signature is wrong"),
        {"reason": "its signature is wrong"},
        "webhook refused: its signature is wrong; answer 400 and ignore its content",
        id="invalid webhook",
    ),
    pytest.param(
        TransportError("broken"),
        {"reason": "broken"},
        "broken; try again",
        id="transport",
    ),
    pytest.param(
        ConnectFailed("connection refused"),
        {"reason": "connection refused"},
        "connection refused; check the base URL and the network",
        id="connect failed",
    ),
    pytest.param(
        IdleTimeout("no byte for 60 s"),
        {"reason": "no byte for 60 s"},
        "no byte for 60 s; try again, or allow a longer silence",
        id="idle timeout",
    ),
    pytest.param(
        Disconnected("connection reset"),
        {"reason": "connection reset"},
        "connection reset; try again",
        id="disconnected",
    ),
    pytest.param(
        ProtocolViolation("bad chunk header"),
        {"reason": "bad chunk header"},
        "bad chunk header; check that the base URL is an HTTP gateway",
        id="protocol violation",
    ),
    pytest.param(
        RequestRefused(404, "Response not found", "not_found", "response_id", "req_7", '{"error": ...}'),
        {
            "status": 404,
            "message": "Response not found",
            "code": "not_found",
            "param": "response_id",
            "request_id": "req_7",
            "excerpt": '{"error": ...}',
        },
        "the gateway answered 404, code not_found, param response_id, request id req_7: Response not found",
        id="refused, in the gateway's words",
    ),
    pytest.param(
        RequestRefused(502, excerpt="<html>Bad gateway</html>"),
        {
            "status": 502,
            "message": None,
            "code": None,
            "param": None,
            "request_id": None,
            "excerpt": "<html>Bad gateway</html>",
        },
        "the gateway answered 502: an HTML page, as from a proxy or a wrong base URL",
        id="refused, in nobody's words",
    ),
    pytest.param(
        RequestRefused(500),
        {"status": 500, "message": None, "code": None, "param": None, "request_id": None, "excerpt": ""},
        "the gateway answered 500: no reason given",
        id="refused without a word",
    ),
    pytest.param(
        UnexpectedAnswer("an event stream", 200, "text/html", "req_7", "<html>hello</html>"),
        {
            "expected": "an event stream",
            "status": 200,
            "content_type": "text/html",
            "request_id": "req_7",
            "excerpt": "<html>hello</html>",
        },
        "expected an event stream, got text/html with status 200: an HTML page, as from a proxy or a wrong base URL",
        id="unexpected answer",
    ),
    pytest.param(
        UnexpectedAnswer("a Response", 204, ""),
        {"expected": "a Response", "status": 204, "content_type": "", "request_id": None, "excerpt": ""},
        "expected a Response, got no content type with status 204: an empty body",
        id="an empty answer",
    ),
    pytest.param(
        OutcomeError(None, "abandoned"),
        {"response_id": None, "status": "abandoned", "reason": "", "code": None},
        "the response ended as abandoned",
        id="an outcome without an id",
    ),
    pytest.param(
        ResponseFailed("resp_1", "failed", "the model crashed", "server_error"),
        {"response_id": "resp_1", "status": "failed", "reason": "the model crashed", "code": "server_error"},
        "response resp_1 failed (code server_error): the model crashed",
        id="failed",
    ),
    pytest.param(
        ResponseIncomplete("resp_1", "incomplete", "max_output_tokens"),
        {"response_id": "resp_1", "status": "incomplete", "reason": "max_output_tokens", "code": None},
        "response resp_1 is incomplete: max_output_tokens; raise the limit, or continue with previous_response_id",
        id="incomplete",
    ),
    pytest.param(
        ResponseCancelled("resp_1", "cancelled"),
        {"response_id": "resp_1", "status": "cancelled", "reason": "", "code": None},
        "response resp_1 was cancelled",
        id="cancelled",
    ),
    pytest.param(
        ResponseLost("resp_1", "lost", "no answer for 600 s"),
        {"response_id": "resp_1", "status": "lost", "reason": "no answer for 600 s", "code": None},
        "response resp_1 was lost: no answer for 600 s; follow it again by its id, or create it again",
        id="lost",
    ),
    pytest.param(
        ResponseLost("resp_1", "lost", "the Response was refused with 404: Not found."),
        {
            "response_id": "resp_1",
            "status": "lost",
            "reason": "the Response was refused with 404: Not found.",
            "code": None,
        },
        "response resp_1 was lost: the Response was refused with 404: Not found; "
        "follow it again by its id, or create it again",
        id="lost, in the words of a gateway",
    ),
    pytest.param(
        TextChanged("resp_1", "completed", "a later event replaced it"),
        {
            "response_id": "resp_1",
            "status": "completed",
            "reason": "a later event replaced it",
            "code": None,
        },
        "response resp_1 has text that the pieces do not add up to: a later event replaced it; "
        "use the output_text of the final state instead of the pieces",
        id="changed text",
    ),
    pytest.param(
        RelayBusy("readers", 20_000),
        {"what": "readers", "limit": 20_000},
        "the relay has 20,000 readers, the most that it may; try again later, or raise the limit",
        id="a relay that is full",
    ),
    pytest.param(
        StreamBroken("the relay stops; resume from another process"),
        {"reason": "the relay stops; resume from another process"},
        "the stream is broken off: the relay stops; resume from another process",
        id="a stream that is broken off",
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
        pytest.param(InvalidArgument, UsageError, id="an argument is the caller's"),
        pytest.param(InvalidWebhook, WireError, id="a webhook is bytes"),
        pytest.param(TransportError, GatewayError, id="a connection is the gateway's"),
        pytest.param(ConnectFailed, TransportError, id="no connection"),
        pytest.param(IdleTimeout, TransportError, id="a silent one"),
        pytest.param(Disconnected, TransportError, id="one that broke off"),
        pytest.param(ProtocolViolation, TransportError, id="one that is no HTTP"),
        pytest.param(RequestRefused, GatewayError, id="an error status"),
        pytest.param(UnexpectedAnswer, GatewayError, id="another answer"),
        pytest.param(OutcomeError, StreamfoldError, id="an ending"),
        pytest.param(ResponseFailed, OutcomeError, id="a failure"),
        pytest.param(ResponseIncomplete, OutcomeError, id="a limit"),
        pytest.param(ResponseCancelled, OutcomeError, id="a cancel"),
        pytest.param(ResponseLost, OutcomeError, id="a loss"),
        pytest.param(TextChanged, OutcomeError, id="text that changed"),
        pytest.param(RelayBusy, StreamfoldError, id="a limit of a relay"),
        pytest.param(StreamBroken, StreamfoldError, id="a reader that is let go"),
    ],
)
def test_an_error_belongs_to_whoever_broke_the_promise(kind: type[Exception], family: type[Exception]) -> None:
    assert kind.__base__ is family


# The call that failed


CALL = ("POST", "https://user:secret@host:8080/v1/responses?key=secret#part")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GatewayError("broken"), "broken"),
        (ConnectFailed("refused"), "refused; check the base URL and the network"),
        (RequestRefused(500), "the gateway answered 500: no reason given"),
        (
            UnexpectedAnswer("a Response", 204, ""),
            "expected a Response, got no content type with status 204: an empty body",
        ),
    ],
    ids=["gateway", "transport", "refused", "unexpected"],
)
def test_an_error_names_the_call_without_query_or_credentials(error: GatewayError, message: str) -> None:
    assert (error.method, error.url) == (None, None)
    named = copy.copy(error).during(*CALL)
    assert (named.method, named.url) == ("POST", "https://host:8080/v1/responses")
    assert str(named) == f"POST https://host:8080/v1/responses: {message}"


def test_the_repr_of_a_refusal_shows_no_excerpt_of_its_body() -> None:
    assert (
        repr(RequestRefused(500, "no", excerpt="the text of an answer"))
        == "RequestRefused('the gateway answered 500: no')"
    )


def test_the_first_call_that_is_named_stays() -> None:
    error = Disconnected("reset").during("GET", "http://host/a")
    assert error.during("POST", "http://host/b") is error
    assert (error.method, error.url) == ("GET", "http://host/a")


def test_the_call_and_the_advice_survive_pickling() -> None:
    error = Disconnected("reset").during("GET", "http://host/a")
    error.advice = "resume after event 4"
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "GET http://host/a: reset; resume after event 4"


# How a response ended


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("failed", ResponseFailed),
        ("incomplete", ResponseIncomplete),
        ("cancelled", ResponseCancelled),
        ("lost", ResponseLost),
        ("expired", OutcomeError),
    ],
)
def test_an_ending_has_the_error_of_its_status(status: str, kind: type[OutcomeError]) -> None:
    error = OutcomeError.of("resp_1", status, "because", "code")
    assert type(error) is kind
    assert (error.response_id, error.status, error.reason, error.code) == ("resp_1", status, "because", "code")


def test_every_public_error_is_looked_at_here() -> None:
    families = {StreamfoldError, WireError, GatewayError, LogError, UsageError}
    looked_at = {type(row.values[0]) for row in ERRORS} | families
    assert {kind.__name__ for kind in looked_at} == set(errors.__all__)


@pytest.mark.parametrize(("error", "facts", "sentence"), ERRORS)
def test_a_sentence_is_one_line(error: Exception, facts: dict[str, object], sentence: str) -> None:
    assert "\n" not in str(error)


# What a message says of a body

PAGE = "an HTML page, as from a proxy or a wrong base URL"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<!DOCTYPE html> <html>", PAGE),
        ("\ufeff <HTML lang=en>", PAGE),
        ("<body>", PAGE),
        ("<p>no</p>", "<p>no</p>"),
        ("data: {}", "an event stream"),
        ("event: response.created data: {}", "an event stream"),
        (": keep-alive", "an event stream"),
        ("database is down", "database is down"),
    ],
)
def test_a_page_and_an_event_stream_are_named_and_other_text_is_quoted(body: str, words: str) -> None:
    assert RequestRefused(502, excerpt=body).reason == words
    assert str(UnexpectedAnswer("a Response", 200, "x", excerpt=body)).endswith(f": {words}")


def test_json_that_came_with_a_success_is_not_quoted_because_it_may_be_an_answer() -> None:
    error = UnexpectedAnswer("an event stream", 200, "application/json", excerpt='{"output": "secret"}')
    assert str(error) == "expected an event stream, got application/json with status 200: JSON of another kind"


@pytest.mark.parametrize(
    ("status", "code", "method", "path", "is_advised"),
    [
        (404, None, "POST", "/responses", True),
        (404, None, "POST", "/batches", True),
        (404, "model_not_found", "POST", "/responses", False),
        (404, None, "GET", "/responses/resp_1", False),
        (404, None, "POST", "/responses/resp_1/cancel", False),
        (400, None, "POST", "/responses", False),
    ],
)
def test_a_create_that_finds_no_such_path_advises_to_check_the_base_url(
    status: int, code: str | None, method: str, path: str, is_advised: bool
) -> None:
    error = RequestRefused(status, "Not Found", code).during(method, f"http://host/wrong{path}")
    assert str(error).endswith("Not Found; check the base URL") is is_advised
