"""What a cancel comes to, asked for without reading the stream any further.

In      a session that a cancel was asked of, and whose stream was hung up
Out     nothing: the session knows
Units   seconds
Errors  none: what a call brings is the session's to judge
Source  docs/explanation/cancel.md
"""

from collections.abc import Awaitable, Callable
from itertools import takewhile

import anyio

from streamfold.session import Cancel, Retrieve, Session, Wait

__all__ = ["settle"]


async def settle(
    session: Session, *, clock: Callable[[], float], ask: Callable[[Retrieve | Cancel], Awaitable[None]]
) -> None:
    """Do what the session asks for, one call after the other, until it knows what the cancel came to.

    ask: sends a call, and tells the session what came of it.
    """
    while session.cancel_result is None and session.outcome is None:
        match session.actions():
            case []:
                return  # nothing can be asked: the response's id was never told
            case [Wait(seconds), *_]:
                await anyio.sleep(seconds)
                session.receive_time(now=clock())
            case actions:
                for call in takewhile(lambda action: not isinstance(action, Wait), actions):
                    if isinstance(call, Retrieve | Cancel):
                        await ask(call)
