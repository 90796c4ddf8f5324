"""Feed rubbish to the core until the time is up, and print how much it took.

    python -m tests.fuzz.run --minutes 10 [--inputs N] [--seed S]

Inputs grow from generated streams by cutting, repeating, flipping, splicing and inventing; one is at most 64 KiB. What
must hold: FrameDecoder, EventReader, decode_event and reduce raise nothing but their own errors; frames and events are
the same however the input is cut; a state that was reached has a snapshot and a checkpoint; and no input takes longer
than a fixed processor time for each of its bytes. The first failure prints its input, in base64, with exit status 1.
"""

import argparse
import base64
import random
import sys
import time

from benchmarks.stream.workload import Shape, make_stream
from streamfold import (
    EventReader,
    FrameDecoder,
    FrameTooLarge,
    SequenceGap,
    SequencePolicy,
    State,
    checkpoint,
    decode_event,
    reduce,
    restore,
    snapshot,
    snapshot_json,
)

MAX_BYTES = 1 << 16
# One input may take this long, and as much again for each byte: ten times what the slowest took when this was written.
ALLOWED_SECONDS, ALLOWED_SECONDS_PER_BYTE = 0.05, 40e-6
TOKENS = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b": c\n", b"data: ", b"data:", b"event: x\n", b"id: 1\n", b"retry: 9\n"),
    *(b"\xef\xbb\xbf", b"\xff", b"\x00", b"\\ud83d", b"\\ude00", b"1e400", b"null", b"[DONE]", b"{}", b"[", b"{", b'"'),
    *(b'"sequence_number":0', b'"output_index":-1', b'"output_index":9999', b'"content_index":1', b'"delta":5'),
    *(b'"type":"response.completed"', b'"response":{"status":"x"}', b'"item":null', b"[" * 2000, b'{"a":' * 500),
]


def corpus(chance: random.Random) -> list[bytes]:
    """Streams to start from."""
    shapes = [Shape(deltas=chance.randrange(1, 30), seed=chance.randrange(1 << 30)) for _ in range(40)]
    return [b"".join(make_stream(shape))[:MAX_BYTES] for shape in shapes]


def mutated(chance: random.Random, streams: list[bytes]) -> bytes:
    """One input: a piece of a stream, or of none, with a few things done to it."""
    source = chance.choice(streams)
    begin = chance.randrange(len(source))
    data = bytearray(source[begin : begin + int(chance.paretovariate(0.5) * 40)] if chance.random() < 0.9 else b"")
    for _ in range(chance.randrange(6)):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[place:place] = chance.choice(TOKENS)
            case 1:
                data[place : place + chance.randrange(1, 20)] = b""
            case 2:
                data[place : place + 1] = bytes([chance.randrange(256)])
            case 3:
                data[place:place] = data[place : place + chance.randrange(1, 400)]
            case 4:
                other = chance.choice(streams)
                cut = chance.randrange(len(other))
                data[place:] = other[cut : cut + 600]
            case _:
                data[place:place] = chance.randbytes(chance.randrange(1, 9))
    return bytes(data[:MAX_BYTES])


def cut(chance: random.Random, data: bytes) -> list[bytes]:
    """The input in chunks."""
    if chance.random() < 0.1:
        return [data[place : place + 1] for place in range(len(data))]
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(5)))
    return [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]


def check(chance: random.Random, data: bytes) -> int:
    """Put one input through the core. Returns: how many events it held. Raises: whatever should not have been."""
    limit = chance.choice([50, 5_000, MAX_BYTES])
    options = {"max_frame_bytes": limit, "tolerant": chance.random() < 0.5}
    whole, pieces = (_events(EventReader(**options), chunks) for chunks in ([data], cut(chance, data)))
    assert whole == pieces, "cutting the bytes elsewhere gave other events"
    frames = _frames(FrameDecoder(**options), cut(chance, data))
    assert [decode_event(each) for each in frames if each != b"[DONE]"] == whole, (
        "the fast ways differ from the decoder"
    )
    state = State.under(chance.choice([*SequencePolicy]))
    for event in whole:
        try:
            state = reduce(state, event)
        except SequenceGap:
            continue
    snapshot_json(state)
    snapshot(state)
    assert restore(checkpoint(state)) == state
    return len(whole)


def _events(reader: EventReader, chunks: list[bytes]) -> list[object]:
    events: list[object] = []
    try:
        for chunk in chunks:
            events += reader.feed(chunk)
        events += reader.close()
    except FrameTooLarge:
        return events
    return events


def _frames(decoder: FrameDecoder, chunks: list[bytes]) -> list[bytes]:
    data: list[bytes] = []
    try:
        for chunk in chunks:
            data += [frame.data for frame in decoder.feed(chunk)]
        data += [frame.data for frame in decoder.close()]
    except FrameTooLarge:
        return data
    return data


def run(*, minutes: float, inputs: int, seed: int) -> int:
    """Check inputs until the minutes or the inputs are up. Returns: the exit code."""
    chance = random.Random(seed)
    streams = corpus(chance)
    began = told = time.monotonic()
    count = events = size = 0
    slowest = 0.0
    while count < inputs and time.monotonic() - began < minutes * 60:
        data, turn = mutated(chance, streams), chance.randrange(1 << 60)
        started = time.process_time()
        try:
            events += check(random.Random(turn), data)
            took = time.process_time() - started
            assert took < ALLOWED_SECONDS + ALLOWED_SECONDS_PER_BYTE * len(data), f"{took:.3f} s for {len(data)} bytes"
        except BaseException:
            print(f"failed: seed {seed}, input {count}, turn {turn}\n{base64.b64encode(data).decode()}", flush=True)
            raise
        count, size, slowest = count + 1, size + len(data), max(slowest, took)
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{count:,} inputs, {events:,} events, no failure", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{count:,} inputs, {events:,} events, {size:,} bytes in {seconds:.0f} s, seed {seed}: no failure", flush=True
    )
    print(f"the slowest input took {slowest * 1e3:.1f} ms of processor time", flush=True)
    return 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long at the most")
    parser.add_argument("--inputs", type=int, default=sys.maxsize, help="how many inputs at the most")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30), help="to run it again")
    return run(**vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
