"""Which Transport carries the requests.

In      what the caller gave as `http`
Out     a Transport, and whether it is ours to close
Errors  InvalidArgument for what can carry nothing; UsageError where a library is not installed
Source  docs/how-to/your-own-http-client.md
"""

from importlib.util import find_spec
from typing import Any, TypeAlias

from streamfold.client.transport.transport import Transport
from streamfold.errors import InvalidArgument, UsageError

__all__ = ["Http", "choose_transport"]

# A Transport; an AsyncClient of httpx or httpx2, known by its methods; "httpx" or "direct"; None for what is best.
Http: TypeAlias = Any


def choose_transport(http: Http) -> tuple[Transport, bool]:
    """The Transport, and whether this call made it.

    Raises: InvalidArgument, UsageError.
    """
    if http is None or http == "httpx":
        from streamfold.client.transport.httpx import HttpxTransport

        return HttpxTransport(), True
    if http == "direct":
        if find_spec("httptools") is None:
            raise UsageError('http="direct" needs httptools: pip install "streamfold[direct]"')
        from streamfold.client.transport.direct import DirectTransport

        return DirectTransport(), True
    if callable(getattr(http, "open", None)) and callable(getattr(http, "aclose", None)):
        transport: Transport = http
        return transport, False
    if callable(getattr(http, "stream", None)) and callable(getattr(http, "aclose", None)):
        from streamfold.client.transport.httpx import HttpxTransport

        return HttpxTransport(http), True  # closing it leaves the client that was passed in open
    raise InvalidArgument("http", f'must be an AsyncClient, a Transport, "httpx" or "direct", got {http!r}')
