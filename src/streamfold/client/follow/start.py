"""How a response begins to be followed.

In      nothing
Out     Start
Units   sequence numbers
Source  docs/reference/client.md
"""

from collections.abc import Callable

from attrs import frozen

from streamfold.client.api.request import Calls
from streamfold.client.transport.transport import Request
from streamfold.fold import State
from streamfold.session import Call, Connect, Patience, Retrieve, Session

__all__ = ["Start"]


@frozen(kw_only=True)
class Start:
    """Where a followed response comes from.

    post: the request that makes it and streams it; None to follow one that is there. response_id: of that one.
    starting_after: the number to follow from. state: what is known of it, up to its cursor. include,
    include_obfuscation: as the API's queries.
    """

    response_id: str | None = None
    starting_after: int | None = None
    state: State | None = None
    post: Request | None = None
    include: tuple[str, ...] = ()
    include_obfuscation: bool | None = None

    def session(self, *, patience: Patience, random: Callable[[], float], now: float) -> Session:
        """The session that follows it."""
        return Session(
            self.response_id,
            random=random,
            now=now,
            starting_after=self.starting_after,
            state=self.state,
            patience=patience,
            is_connected=self.post is not None,
        )

    def request(self, call: Call, *, calls: Calls, response_id: str) -> Request:
        """What is sent for a call of the session, with what every request for this response asks to be included."""
        match call:
            case Connect(starting_after):
                return calls.follow(
                    response_id,
                    starting_after=starting_after,
                    include=self.include,
                    include_obfuscation=self.include_obfuscation,
                )
            case Retrieve():
                return calls.retrieve(response_id, include=self.include)
            case _:
                return calls.cancel(response_id)
