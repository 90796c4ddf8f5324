"""What an exception of an HTTP client means: one of the four errors of a transport.

A class is known by its name and by the names of its bases. So no client is imported for its exceptions, and a client that
is a port of another is understood.
"""

from streamfold.errors import ConnectFailed, Disconnected, IdleTimeout, ProtocolViolation, TransportError

# The nearest class that is listed counts: ConnectTimeout before TimeoutException.
MEANING: dict[str, type[TransportError]] = {
    # httpx and httpx2
    "ConnectError": ConnectFailed,
    "ConnectTimeout": ConnectFailed,
    "PoolTimeout": ConnectFailed,
    "ProxyError": ConnectFailed,
    "UnsupportedProtocol": ConnectFailed,
    "InvalidURL": ProtocolViolation,  # mostly of a redirect, which httpx reads even if it does not follow it
    "TimeoutException": IdleTimeout,
    "ProtocolError": ProtocolViolation,
    "DecodingError": ProtocolViolation,
    "NetworkError": Disconnected,
    "HTTPError": Disconnected,
    "StreamClosed": Disconnected,
    # httptools
    "HttpParserError": ProtocolViolation,
    # anyio
    "BrokenResourceError": Disconnected,
    "ClosedResourceError": Disconnected,
    "EndOfStream": Disconnected,
    "IncompleteRead": Disconnected,
    # the standard library
    "TimeoutError": IdleTimeout,
    "SSLError": ProtocolViolation,
    "OSError": Disconnected,
}

# h11, below httpx, has one class for "closed too early" and for "not HTTP", and h2 has one for a stream that was reset.
# Only their messages show which it is.
CLOSED_EARLY = ("closed connection", "disconnected", "ConnectionTerminated", "StreamReset")


def transport_error(error: BaseException) -> TransportError | None:
    """The TransportError that an exception means; the exception itself if it is one; None for a mistake of the caller."""
    if isinstance(error, TransportError):
        return error
    for kind in type(error).__mro__:
        if meaning := MEANING.get(kind.__name__):
            reason = sentence(error)
            if meaning is ProtocolViolation and any(words in reason for words in CLOSED_EARLY):
                return Disconnected(reason)
            return meaning(reason)
    return None


def disconnected(error: BaseException) -> TransportError:
    """The same, where any other exception too means that no more bytes come."""
    return transport_error(error) or Disconnected(sentence(error))


def sentence(error: BaseException) -> str:
    """The kind of an exception and its message. A timeout or a reset often has none; then its cause's message."""
    said = str(error).strip().rstrip(".")
    if not said and error.__cause__ is not None:
        said = str(error.__cause__).strip()
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
