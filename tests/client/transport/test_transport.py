"""The little that a client must do, and what each client's own words mean."""

import ssl
from typing import Any

import anyio
import attrs
import httpcore
import httptools
import httpx
import httpx2
import pytest

from streamfold.client.transport.asgi import AsgiTransport
from streamfold.client.transport.direct import DirectTransport
from streamfold.client.transport.failure import disconnected, transport_error
from streamfold.client.transport.httpx import HttpxTransport
from streamfold.client.transport.transport import Request, Transport
from streamfold.errors import ConnectFailed, Disconnected, IdleTimeout, ProtocolViolation, TransportError

FIN = "Server disconnected without sending a response."
CUT = "peer closed connection without sending complete message body (incomplete chunked read)"


def test_a_request_cannot_be_changed() -> None:
    request: Any = Request(method="GET", url="http://gateway/")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        request.method = "POST"


def test_every_transport_of_ours_is_one() -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    ours: list[Transport] = [DirectTransport(), AsgiTransport(app), HttpxTransport(httpx.AsyncClient())]
    assert all(callable(each.open) and callable(each.aclose) for each in ours)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (httpx.ConnectError("x"), ConnectFailed),
        (httpx2.ConnectTimeout("x"), ConnectFailed),
        (httpx.PoolTimeout("x"), ConnectFailed),
        (httpx2.ProxyError("x"), ConnectFailed),
        (httpx.UnsupportedProtocol("x"), ConnectFailed),
        (httpx.ReadTimeout("x"), IdleTimeout),
        (httpx2.WriteTimeout("x"), IdleTimeout),
        (httpx.ReadError("x"), Disconnected),
        (httpx2.CloseError("x"), Disconnected),
        (httpx.RemoteProtocolError(FIN), Disconnected),
        (httpx2.RemoteProtocolError(CUT), Disconnected),
        (httpx.RemoteProtocolError("illegal chunk header"), ProtocolViolation),
        (httpx2.DecodingError("x"), ProtocolViolation),
        (httpcore.ReadError("x"), Disconnected),
        (httptools.HttpParserInvalidStatusError("x"), ProtocolViolation),
        (anyio.BrokenResourceError(), Disconnected),
        (anyio.EndOfStream(), Disconnected),
        (TimeoutError(), IdleTimeout),
        (ConnectionResetError(104, "reset"), Disconnected),
        (ssl.SSLError(1, "bad record mac"), ProtocolViolation),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else f"{type(value).__module__}.{type(value).__name__}",
)
def test_what_a_client_raises_is_one_of_our_four(error: Exception, meaning: type[TransportError]) -> None:
    assert type(transport_error(error)) is meaning


def test_one_of_our_own_errors_is_told_as_it_is() -> None:
    error = IdleTimeout("60 seconds")
    assert transport_error(error) is error


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), httpx.StreamConsumed()])
def test_a_mistake_of_the_caller_is_no_failure_of_the_connection(error: Exception) -> None:
    assert transport_error(error) is None
    assert type(disconnected(error)) is Disconnected


def test_the_reason_names_the_kind_and_what_was_said() -> None:
    assert disconnected(httpx.ReadError("reset.")).reason == "ReadError: reset"


def test_where_nothing_was_said_the_cause_speaks() -> None:
    error = httpx.ReadError("")
    error.__cause__ = OSError("reset by peer")
    assert disconnected(error).reason == "ReadError: reset by peer"
    assert disconnected(anyio.EndOfStream()).reason == "EndOfStream"
