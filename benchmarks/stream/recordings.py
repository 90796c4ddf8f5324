"""The recorded streams of real servers: ours against msgspec alone, and against openai where it can read them.

Each recording is timed by itself, interleaved; the total of a round is the sum of its samples. A stream that openai cannot
follow is counted, with its reason.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.stream.reading import EVENTS, STATES, Peer, decode_all, ratio_row, read_events, read_states
from benchmarks.stream.workload import cut
from streamfold.bench import Row, Spread, Timings, Variant, measure
from streamfold.errors import SequenceGap
from streamfold.fold import SequencePolicy
from streamfold.schema import UNDECODABLE, decode_event, decode_known_event, is_end_marker
from streamfold.sse import FrameDecoder

__all__ = ["Recordings", "measure_recordings"]

FLOOR = "msgspec, one by one"
CHUNK_BYTES = 16 * 1024


@frozen
class Recordings:
    """What the recordings showed."""

    rows: tuple[Row, ...]
    details: tuple[Row, ...]
    notes: tuple[str, ...]


@frozen(eq=False)
class _Recorded:
    """One recording, how it is to be read, and why the peer is not timed on it, if it is not."""

    name: str
    chunks: Sequence[bytes]
    data: Sequence[bytes]
    decode: Callable[[bytes], object]
    policy: SequencePolicy
    refusal: str

    def variants(self, peer: Peer) -> list[Variant]:
        ours = [
            Variant(FLOOR, lambda: decode_all(self.data, self.decode)),
            Variant(EVENTS, lambda: read_events(self.chunks)),
            Variant(STATES, lambda: read_states(self.chunks, self.policy)),
        ]
        return ours if self.refusal else [*ours, Variant(peer.name, lambda: peer.run(self.chunks))]


def measure_recordings(folder: Path, peer: Peer, *, rounds: int, sample_seconds: float) -> Recordings:
    """Time every `.sse` file under the folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's, about items that openai has no type for; they change no result
        return _measure(folder, peer, rounds=rounds, sample_seconds=sample_seconds)


def _measure(folder: Path, peer: Peer, *, rounds: int, sample_seconds: float) -> Recordings:
    recorded = [_read(path.relative_to(folder).as_posix(), path.read_bytes(), peer) for path in _files(folder)]
    timings = {each: measure(each.variants(peer), rounds=rounds, sample_seconds=sample_seconds) for each in recorded}
    return Recordings(
        rows=tuple(_totals(timings, peer)),
        details=tuple(row for each in recorded for row in _rows(each, timings[each], peer)),
        notes=tuple(_notes(recorded, peer)),
    )


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.sse"))


def _read(name: str, body: bytes, peer: Peer) -> _Recorded:
    chunks = cut(body, CHUNK_BYTES)
    frames = FrameDecoder(tolerant=True)
    found = [frame.data for frame in [*frames.feed(body), *frames.close()] if not is_end_marker(frame.data)]
    policy = _policy_for(chunks)
    return _Recorded(name, chunks, found, _decoder_for(found), policy, _refusal(chunks, policy, peer))


def _decoder_for(data: Sequence[bytes]) -> Callable[[bytes], object]:
    """The bare decoder; for a stream with unknown events, the one that accepts anything."""
    try:
        decode_all(data, decode_known_event)
    except UNDECODABLE:
        return decode_event
    return decode_known_event


def _policy_for(chunks: Sequence[bytes]) -> SequencePolicy:
    """Strict, except for the few recordings whose source left events out."""
    try:
        read_states(chunks)
    except SequenceGap:
        return SequencePolicy.RENUMBER
    return SequencePolicy.STRICT


def _refusal(chunks: Sequence[bytes], policy: SequencePolicy, peer: Peer) -> str:
    """Why the peer cannot be timed on this stream; empty if it can."""
    try:
        text = peer.text(chunks)
    except Exception as error:  # whatever it raises is the answer that is asked for, and is told
        return f"{type(error).__name__}: {error}".splitlines()[0][:80]
    return "" if text == read_states(chunks, policy).output_text else "another text than ours"


def _rows(recorded: _Recorded, timings: Timings, peer: Peer) -> list[Row]:
    about = {"benchmark": "recording", "name": recorded.name, "events": len(recorded.data)}
    rows = [ratio_row(timings, subject, FLOOR, **about) for subject in (EVENTS, STATES)]
    return rows if recorded.refusal else [*rows, ratio_row(timings, STATES, peer.name, is_faster=True, **about)]


def _totals(timings: Mapping[_Recorded, Timings], peer: Peer) -> list[Row]:
    read_by_peer = {each: found for each, found in timings.items() if not each.refusal}
    rows = []
    for subject in (EVENTS, STATES):
        name = f"all {len(timings)} recordings together, bytes → {'events' if subject == EVENTS else 'states'}"
        total, events = _sum(timings, (subject, FLOOR)), sum(len(each.data) for each in timings)
        rows.append(ratio_row(total, subject, FLOOR, benchmark="recordings", name=name, events=events))
        rows.append(_each(timings, subject, FLOOR))
    if read_by_peer:
        name = f"the {len(read_by_peer)} that the peer reads, bytes → states"
        total, events = _sum(read_by_peer, (STATES, peer.name)), sum(len(each.data) for each in read_by_peer)
        rows.append(
            ratio_row(total, STATES, peer.name, benchmark="recordings", name=name, events=events, is_faster=True)
        )
        rows.append(_each(read_by_peer, STATES, peer.name, is_faster=True))
    return rows


def _sum(timings: Mapping[_Recorded, Timings], names: Iterable[str]) -> Timings:
    """Round by round, the time of all recordings."""
    return Timings(
        {name: tuple(map(sum, zip(*(each.samples[name] for each in timings.values()), strict=True))) for name in names}
    )


def _each(timings: Mapping[_Recorded, Timings], subject: str, reference: str, *, is_faster: bool = False) -> Row:
    """The spread over recordings, each counted once by its median."""
    rows = [
        ratio_row(found, subject, reference, benchmark="", name="", events=len(each.data), is_faster=is_faster)
        for each, found in timings.items()
    ]
    return Row(
        benchmark="recordings",
        name="the same, each recording once",
        subject=subject,
        ours=Spread.of([row.ours.median for row in rows]),
        unit="µs/event",
        reference=reference,
        theirs=Spread.of([row.theirs.median for row in rows if row.theirs]),
        ratio=Spread.of([row.judged.median for row in rows]),
        is_faster=is_faster,
    )


def _notes(recorded: Sequence[_Recorded], peer: Peer) -> list[str]:
    refusals = Counter(each.refusal for each in recorded if each.refusal)
    renumbered = sum(each.policy is SequencePolicy.RENUMBER for each in recorded)
    notes = (
        [f"{sum(refusals.values())} of {len(recorded)} recordings are not timed with {peer.name}:"] if refusals else []
    )
    notes += [f"  {count} × {reason}" for reason, count in refusals.most_common()]
    return [*notes, f"{renumbered} recordings leave numbers out and are folded under the policy `renumber`"]
