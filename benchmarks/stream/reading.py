"""Ways to read a stream, ours and others', and how one is timed against another.

Every way reads the whole stream from the same bytes and drops each event soon after. Before a stream is timed, the text
that each peer read is compared with ours. This module imports no peer.
"""

from collections.abc import Callable, Sequence
from functools import partial

from attrs import frozen
from msgspec import Struct
from msgspec.json import Decoder

from benchmarks.stream.workload import Shape, cut, make_stream, payloads
from streamfold.bench import Goal, Row
from streamfold.bench.measure import Timings, Variant
from streamfold.fold import SequencePolicy, State, fold, reduce, states
from streamfold.reader import EventReader
from streamfold.schema import decode_known_event

__all__ = [
    "CHUNK_BYTES",
    "EVENTS",
    "EVENTS_SINGLE",
    "FLOOR",
    "LEAN_FLOOR",
    "STATES",
    "STATES_SINGLE",
    "TEXTS",
    "DifferentWork",
    "GeneratedStream",
    "Peer",
    "decode_all",
    "ratio_row",
    "read_events",
    "read_states",
    "read_texts",
    "require_agreement",
]

CHUNK_BYTES = 16 * 1024

FLOOR = "msgspec, one by one"
LEAN_FLOOR = "msgspec, three fields only"
EVENTS = "streamfold events"
EVENTS_SINGLE = "streamfold events, one a chunk"
STATES = "streamfold states"
STATES_SINGLE = "streamfold states, one event a chunk"
TEXTS = "streamfold states, text read at each"


class DifferentWork(AssertionError):
    """A peer read a different text from the same bytes, so its time cannot be compared with ours."""


@frozen
class Peer:
    """Another way to read a stream.

    run: reads the chunks to their end, dropping each event; it can be pickled, and imports what it needs. text: the output text that it finds in them.
    stands_against: which of ours does the same work. is_slow: so slow that it is given fewer rounds. goal: how much
    faster ours is to be.
    """

    name: str
    run: Callable[[Sequence[bytes]], object]
    text: Callable[[Sequence[bytes]], str]
    stands_against: str
    is_slow: bool = False
    goal: Goal | None = None


def read_events(chunks: Sequence[bytes]) -> None:
    """Bytes to events; the events of a chunk are dropped when the next chunk comes."""
    reader = EventReader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()


def read_states(chunks: Sequence[bytes], policy: SequencePolicy = SequencePolicy.STRICT) -> State:
    """Bytes to a state after every event. Returns the last state."""
    reader = EventReader()
    state = State.under(policy)
    for chunk in chunks:
        for reached in states(reader.feed(chunk), state):
            state = reached
    return fold(reader.close(), state)


def read_states_singly(chunks: Sequence[bytes]) -> State:
    """The same for chunks of one event each, with `reduce`, which needs no loop."""
    reader = EventReader()
    state = State()
    for chunk in chunks:
        for event in reader.feed(chunk):
            state = reduce(state, event)
    return fold(reader.close(), state)


def read_texts(chunks: Sequence[bytes]) -> str:
    """Bytes to a state after every event, reading the text of each. Returns the last text."""
    reader = EventReader()
    state = State()
    text = ""
    for chunk in chunks:
        for reached in states(reader.feed(chunk), state):
            state, text = reached, reached.output_text
    return text


def decode_all(data: Sequence[bytes], decode: Callable[[bytes], object] = decode_known_event) -> None:
    """The floor: payloads already cut out of their frames, decoded one by one and dropped at once."""
    for one in data:
        decode(one)


class _Lean(Struct, gc=False):
    """The three fields that a minimal program needs."""

    type: str
    sequence_number: int
    delta: str = ""


_decode_lean = Decoder(_Lean).decode


def decode_all_lean(data: Sequence[bytes]) -> None:
    """The floor of a program that needs three fields."""
    decode_all(data, _decode_lean)


@frozen
class GeneratedStream:
    """A generated stream as whole frames, as chunks of 16 KiB and as payloads."""

    deltas: int
    frames: Sequence[bytes]
    chunks: Sequence[bytes]
    data: Sequence[bytes]

    @classmethod
    def of(cls, deltas: int) -> "GeneratedStream":
        """Generate a stream with this number of text deltas."""
        frames = make_stream(Shape(deltas=deltas))
        return cls(deltas, frames, cut(b"".join(frames), CHUNK_BYTES), payloads(frames))

    def variant(self, name: str, *, called: str = "") -> Variant:
        """One of our ways, or a floor, on this stream."""
        runs: dict[str, Callable[[], object]] = {
            FLOOR: partial(decode_all, self.data),
            LEAN_FLOOR: partial(decode_all_lean, self.data),
            EVENTS: partial(read_events, self.chunks),
            EVENTS_SINGLE: partial(read_events, self.frames),
            STATES: partial(read_states, self.chunks),
            STATES_SINGLE: partial(read_states_singly, self.frames),
            TEXTS: partial(read_texts, self.chunks),
        }
        return Variant(called or name, runs[name])

    def peer(self, peer: Peer) -> Variant:
        """A peer on this stream."""
        return Variant(peer.name, partial(peer.run, self.chunks))


def require_agreement(stream: GeneratedStream, peers: Sequence[Peer]) -> None:
    """Have every peer read the stream once.

    Raises: DifferentWork if one reads another text than we do.
    """
    text = read_states(stream.chunks).output_text
    for peer in peers:
        if peer.text(stream.chunks) != text:
            raise DifferentWork(f"{peer.name} read another text than streamfold did, of {stream.deltas:,} deltas")


def ratio_row(
    timings: Timings,
    subject: str,
    reference: str,
    *,
    benchmark: str,
    name: str,
    events: int,
    goal: Goal | None = None,
    is_faster: bool = False,
) -> Row:
    """The row of two variants that read the same `events`.

    is_faster: the ratio says how many times as long the reference took; otherwise how many times as long ours did.
    """
    return Row(
        benchmark=benchmark,
        name=name,
        subject=subject,
        ours=timings.seconds(subject).scaled(1e6 / events),
        unit="µs/event",
        reference=reference,
        theirs=timings.seconds(reference).scaled(1e6 / events),
        ratio=timings.ratio(reference, subject) if is_faster else timings.ratio(subject, reference),
        goal=goal,
        is_faster=is_faster,
    )
