"""One visit to a gateway: an event loop, a Gateway, and every error as one line."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from streamfold.cli.settings import Settings
from streamfold.cli.terminal import ERROR, USAGE, Failure
from streamfold.errors import ConnectFailed, GatewayError, InvalidArgument, RequestRefused, StreamfoldError

if TYPE_CHECKING:
    from streamfold.client import Gateway

T = TypeVar("T")

# The client's argument names as the command line spells them.
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
IN_EXTRA_BODY = "as --parameter 'extra_body={\"NAME\": VALUE}'"  # it reaches the call's own argument
MAY_PASS = frozenset({408, 425, 429})


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Run it in an event loop. Ctrl-C cancels it, so whatever it opened is closed."""
    from asyncio import CancelledError

    import anyio

    try:
        return anyio.run(main)
    except CancelledError:  # Ctrl-C while a scope was being left, which kept it from becoming a KeyboardInterrupt
        raise KeyboardInterrupt from None


def visit(settings: Settings, do: "Callable[[Gateway], Awaitable[T]]") -> T:
    """Open the gateway, do something with it, and close it.

    Raises:
        Failure: Exit code 2 for what was refused before anything was sent, 1 for what the gateway did.
        KeyboardInterrupt: Ctrl-C was pressed; everything is closed.
    """
    from streamfold.client import Gateway

    async def main() -> T:
        async with Gateway(
            settings.base_url,
            api_key=settings.api_key,
            on_behalf_of=settings.on_behalf_of,
            dialect=settings.dialect,
            http=settings.http,
        ) as gateway:
            return await do(gateway)

    try:
        return run(main)
    except InvalidArgument as error:
        name = SPELLED.get(error.name) or settings.origins.get(error.name) or error.name
        reason = settings.hide(error.reason).replace("in extra_body", IN_EXTRA_BODY)
        raise Failure(f"{name}: {reason}", USAGE) from error
    except StreamfoldError as error:
        code = error.exit_code if isinstance(error, Failure) else ERROR
        raise Failure(settings.hide(str(error)), code) from error


async def ask_once(request: Awaitable[T]) -> T | None:
    """Send a request before following, so that a wrong key, id or address is reported at once and not retried.

    Returns None if the request failed in a way that may pass, such as a 503.
    """
    from streamfold.errors import UnexpectedAnswer

    try:
        return await request
    except GatewayError as error:
        is_refused = isinstance(error, RequestRefused) and 400 <= error.status < 500 and error.status not in MAY_PASS
        if is_refused or isinstance(error, ConnectFailed | UnexpectedAnswer):
            raise
        return None
