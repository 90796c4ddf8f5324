"""A gateway made of one recorded stream: it plays it from any cursor, and each connection ends where a test wants it.

As on the wire (protocol reference 13), starting_after is exclusive, and without it the stream begins with its first event.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from attrs import Factory, define, frozen

from streamfold import Event, SequencePolicy, State, fold, snapshot_json
from streamfold.client import Request
from streamfold.errors import Disconnected
from streamfold.schema import is_end_marker
from streamfold.session import Backoff, Patience
from streamfold.sse import FrameDecoder, encode_frame
from tests.client.stub import Part, Stub, Told, query_of, stream
from tests.conftest import Recording
from tests.fold.recorded import CUT_BY_HAND, UNNUMBERED, events_of, start

ID = "resp_1"
CUT = "cut by the test"


class Block(NamedTuple):
    """One event on the wire, and its number; None where it has none."""

    number: int | None
    data: bytes


def unchanged(blocks: Sequence[Block]) -> Sequence[Block]:
    return blocks


@frozen(kw_only=True)
class Leg:
    """One connection: which event of the stream is the first that it does not bring; None for all.

    is_inside: whether half of that event comes yet. earlier: how many events before the cursor are told again.
    change: what happens to the blocks on their way.
    """

    until: int | None = None
    earlier: int = 0
    is_inside: bool = False
    change: Callable[[Sequence[Block]], Sequence[Block]] = unchanged


@define(eq=False)
class Played:
    """A stream that is played. legs: of the connections to come; those behind the last are whole.

    starting_after: the number that the recorder itself resumed after; None for a stream from its first event.
    """

    name: str
    blocks: tuple[Block, ...]
    events: list[Event]
    uncut: bytes
    patience: Patience
    starting_after: int | None = None
    legs: Iterator[Leg] = Factory(lambda: iter(()))

    @property
    def is_numbered(self) -> bool:
        """Whether its numbers are there, and without holes of their own."""
        return self.name not in UNNUMBERED | CUT_BY_HAND

    def transport(self, legs: Iterable[Leg]) -> Stub:
        self.legs = iter(legs)
        return Stub(self.answer)

    def answer(self, request: Request) -> Told:
        query = query_of(request)
        assert request.method == "GET", "nothing is sent but what asks for the stream"
        assert query["stream"] == "true"
        first = self.place_after(int(query["starting_after"])) if "starting_after" in query else 0
        return stream(*self.parts(first, next(self.legs, Leg())))

    def place_after(self, number: int) -> int:
        seen = [place for place, block in enumerate(self.blocks) if block.number is not None and block.number <= number]
        return seen[-1] + 1 if seen else 0

    def parts(self, first: int, leg: Leg) -> list[Part]:
        first = max(0, first - leg.earlier)
        until = len(self.blocks) if leg.until is None else leg.until
        blocks = leg.change(self.blocks[first:until])
        data = b"".join(block.data for block in blocks)
        if leg.is_inside and first <= until < len(self.blocks):
            torn = self.blocks[until].data
            data += torn[: len(torn) // 2]
        # In two pieces, cut wherever it falls: inside a line, a number, a character.
        middle = len(data) * 2 // 3
        pieces: list[Part] = [piece for piece in (data[:middle], data[middle:]) if piece]
        return pieces if leg.until is None else [*pieces, Disconnected(CUT)]


def played(recording: Recording) -> Played:
    """A recording that can be played."""
    blocks: list[Block] = []
    decoder = FrameDecoder(tolerant=True)
    for frame in decoder.feed(recording.data) + decoder.close():
        if is_end_marker(frame.data):
            continue
        number = json.loads(frame.data).get("sequence_number")
        blocks.append(Block(number, encode_frame(frame)))
    events = events_of(recording)
    assert len(events) == len(blocks)
    uncut = fold(events, start(recording))
    first = blocks[0].number
    after = first - 1 if first else None
    return Played(recording.name, tuple(blocks), events, snapshot_json(uncut), patience_for(recording.name), after)


def patience_for(name: str) -> Patience:
    """No waits at all: a hole is mended as soon as it is seen."""
    policy = SequencePolicy.RENUMBER if name in CUT_BY_HAND else SequencePolicy.STRICT
    return Patience(sequence_policy=policy, backoff=Backoff(first_seconds=0.0), gap_seconds=0.0)


def is_same(state: State, events: Sequence[Event], of: Played) -> bool:
    """Whether nothing was lost, nothing came twice, and the state is the uncut one."""
    return list(events) == of.events and snapshot_json(state) == of.uncut
