"""Which faults a request meets, and an answer written the way its faults want it."""

import random
import struct
from asyncio import Transport
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

from anyio import sleep_forever
from anyio.lowlevel import checkpoint
from msgspec import Struct
from msgspec.json import Decoder

from streamfold.chaos import (
    Cut,
    Effect,
    Fault,
    FaultInjector,
    FaultTarget,
    How,
    Pause,
    Send,
    Where,
    choose_faults,
    parse_faults,
)
from streamfold.emulator.options import Options
from streamfold.emulator.request_log import Journal, Visit
from streamfold.errors import GatewayError, InvalidArgument
from streamfold.schema import UNDECODABLE
from streamfold.serving import (
    SLICE_BYTES,
    WRITES_PER_CHECKPOINT,
    AsgiWriter,
    ByteBudget,
    Clock,
    Endpoint,
    RetrieveQuery,
    Route,
    SendMessage,
    read_retrieve_query,
)
from streamfold.sse import Frame

FAULT_HEADER = "x-streamfold-fault"
MOST_FAULTS = 16  # in one header
PART_OF_A_CHUNK_HEADER = b"1f"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds: closing sends RST


class FaultSchedule:
    """The faults of the requests to come: of the options, of a request's own header, and of the seeded plan."""

    def __init__(self, options: Options) -> None:
        self._left: dict[int, int | None] = {at: fault.times for at, fault in enumerate(options.faults)}
        self._faults = options.faults
        self._plan = options.plan
        self._random = random.Random(options.plan.seed if options.plan else 0).random

    def faults(self, targets: AbstractSet[FaultTarget], header: str | None) -> tuple[Fault, ...]:
        """The faults of the next request; each counts towards its `times`. A header's apply whatever their `on` says.

        Raises:
            InvalidArgument: The header does not name a fault.
        """
        if header and header.count(";") >= MOST_FAULTS:
            raise InvalidArgument("fault", f"must name at most {MOST_FAULTS} faults")
        asked = parse_faults(header) if header else ()
        drawn = choose_faults(self._plan, self._random) if self._plan and FaultTarget.STREAM in targets else ()
        return (*asked, *self._standing(targets), *(each for each in drawn if each.on in targets))

    def _standing(self, targets: AbstractSet[FaultTarget]) -> list[Fault]:
        met: list[Fault] = []
        for at, fault in enumerate(self._faults):
            left = self._left[at]
            if fault.on in targets and left != 0:
                self._left[at] = None if left is None else left - 1
                met.append(fault)
        return met


def targets_of(route: Route, query: bytes, body: bytes) -> frozenset[FaultTarget]:
    """Which values of a fault's `on` a request matches."""
    match route.endpoint:
        case Endpoint.CREATE_RESPONSE:
            streams = _is_streamed(body)
            found = {FaultTarget.CREATE, FaultTarget.STREAM} if streams else {FaultTarget.CREATE}
        case Endpoint.RETRIEVE_RESPONSE:
            asked = read_retrieve_query(query, route.dialect)
            streams = isinstance(asked, RetrieveQuery) and asked.stream
            found = {FaultTarget.RESUME, FaultTarget.STREAM} if streams else {FaultTarget.RETRIEVE}
        case Endpoint.RETRIEVE_BATCH:
            found = {FaultTarget.RETRIEVE}
        case Endpoint.CANCEL_RESPONSE | Endpoint.CANCEL_BATCH:
            found = {FaultTarget.CANCEL}
        case _:
            found = set[FaultTarget]()
    return frozenset(found | {FaultTarget.ALL})


class _Create(Struct):
    stream: Any = None


_decode_create = Decoder(_Create).decode


def _is_streamed(body: bytes) -> bool:
    """Whether a create asks for a stream; the rest of the body is not read."""
    try:
        return _decode_create(body).stream is True
    except UNDECODABLE:
        return False


class ConnectionCut(GatewayError):
    """A fault ended the connection. The application raises it if the server does not offer its transport."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how: str = how

    def __str__(self) -> str:
        return f"the connection was cut by a fault ({self.how})"


class FaultyWriter(AsgiWriter):
    """Writes one answer with its faults, and records in the journal how it went.

    transport: the connection beneath HTTP, which a server may offer in `scope["extensions"]["streamfold.transport"]`.
    budget: what long events may take of the memory while they are sent.
    """

    def __init__(
        self,
        send: SendMessage,
        clock: Clock,
        faults: Iterable[Fault],
        *,
        transport: Transport | None,
        budget: ByteBudget,
        journal: Journal,
        visit: Visit,
    ) -> None:
        super().__init__(send, clock)
        self._budget = budget
        self._injector = FaultInjector(faults)
        self._transport = transport
        self._journal = journal
        self._visit = visit

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """The head. A compressed body has no known length."""
        known = dict(headers)
        if encoding := self._injector.encoding:
            known.pop("content-length", None)
            known["content-encoding"] = encoding
        self._visit.status = status
        await super().start(status, known.items())
        await self._carry_out(self._injector.open())

    async def write_frames(self, frames: Sequence[Frame | bytes]) -> None:
        """Events, one write each unless a fault says otherwise."""
        for frame in frames:
            self._visit.events += 1
            size = len(frame if isinstance(frame, bytes) else frame.data)
            held = size if size > SLICE_BYTES else 0  # short ones are bounded by the number of connections
            await self._budget.take(held)
            try:
                await self._carry_out(self._injector.effects(frame))
            finally:
                self._budget.give_back(held)

    async def write(self, data: bytes) -> None:
        """Bytes of the body that are not an event."""
        await self._carry_out(self._injector.effects(data))

    async def finish(self) -> None:
        """The end, in order."""
        await self._carry_out(self._injector.effects(None))
        self._journal.end(self._visit, "complete")  # before the last write: a server may then report a disconnect
        await super().finish()

    async def cut(self, how: How, where: Where) -> None:
        """End the connection. With its transport this never returns: the disconnect that follows cancels it.

        Raises:
            ConnectionCut: There is no transport.
        """
        self._journal.end(self._visit, "cut")
        if self._transport is None:
            raise ConnectionCut(how)
        if where == Where.CHUNK:
            self._transport.write(PART_OF_A_CHUNK_HEADER)
        if how == How.RST:
            self._transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, RESET_ON_CLOSE)
        self._transport.close()
        await sleep_forever()

    async def _send_on(self, data: bytes) -> None:
        # The client is gone, and the turn of the loop that reports it comes next. Until then asyncio would log a warning
        # for each write.
        if self._transport is not None and self._transport.is_closing():
            await checkpoint()
            return
        await super().write(data)

    async def _carry_out(self, effects: Iterable[Effect]) -> None:
        for number, effect in enumerate(effects, 1):
            if number % WRITES_PER_CHECKPOINT == 0:
                await checkpoint()  # a fault may split or repeat one event any number of times
            match effect:
                case Send(data):
                    await self._send_on(data)
                case Pause(seconds):
                    await self._clock.wait(seconds)
                case Cut(how, where):
                    await self.cut(how, where)
