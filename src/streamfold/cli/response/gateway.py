"""A command's one visit to a gateway: an event loop, a Gateway, and every error as one line.

In      Settings, and what to do with the Gateway
Out     what that returns
Errors  Failure: 2 for what was refused before anything was sent, 1 for what the gateway did; KeyboardInterrupt
Source  docs/reference/cli.md
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from streamfold.cli.failure import ERROR, USAGE, Failure
from streamfold.cli.settings import Settings
from streamfold.errors import ConnectFailed, GatewayError, InvalidArgument, RequestRefused, StreamfoldError

if TYPE_CHECKING:
    from streamfold.client import Gateway

__all__ = ["look", "run", "visit"]

T = TypeVar("T")

# How the command line spells what the client names.
SPELLED = {
    "response_id": "ID",
    "batch_id": "ID",
    "starting_after": "--starting-after",
    "model": "--model",
    "input": "--input",
    "instructions": "--instructions",
    "background": "--background",
    "url": "--log",
}
MAY_PASS = frozenset({408, 425, 429})


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Run it in an event loop of its own. Ctrl-C cancels it: what it opened is closed.

    Raises: what it raises; KeyboardInterrupt.
    """
    from asyncio import CancelledError

    import anyio

    try:
        return anyio.run(main)
    except CancelledError:  # Ctrl-C, where a scope that was just being left kept it from becoming one
        raise KeyboardInterrupt from None


def visit(settings: Settings, do: "Callable[[Gateway], Awaitable[T]]") -> T:
    """Open the gateway, do it, and close everything.

    Raises: Failure; KeyboardInterrupt where Ctrl-C came, after everything was closed.
    """
    from streamfold.client import Gateway
    from streamfold.schema import DIALECTS

    async def main() -> T:
        async with Gateway(
            settings.base_url,
            api_key=settings.api_key,
            on_behalf_of=settings.on_behalf_of,
            dialect=DIALECTS[settings.dialect],
            http=settings.http,
        ) as gateway:
            return await do(gateway)

    try:
        return run(main)
    except InvalidArgument as error:
        name = SPELLED.get(error.name) or settings.origins.get(error.name) or error.name
        raise Failure(f"{name}: {settings.hide(error.reason)}", USAGE) from error
    except StreamfoldError as error:
        code = error.exit_code if isinstance(error, Failure) else ERROR
        raise Failure(settings.hide(str(error)), code) from error


async def look(ask: Awaitable[T]) -> T | None:
    """Ask for it once, before it is followed: what no patience will mend is told at once.

    Returns: what came; None where what went wrong may pass.
    Raises: ConnectFailed where nobody is there; RequestRefused for a key, an id or a request that is not taken;
    UnexpectedAnswer where this is no gateway.
    """
    from streamfold.errors import UnexpectedAnswer

    try:
        return await ask
    except (ConnectFailed, UnexpectedAnswer):
        raise
    except RequestRefused as refused:
        if 400 <= refused.status < 500 and refused.status not in MAY_PASS:
            raise
    except GatewayError:
        return None
    return None
