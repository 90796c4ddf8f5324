"""Decision 0004, measured: five ways to keep a growing text in immutable states, interleaved in one run.

In      `python docs/decisions/0004-measure.py`, from the root of the tree, with streamfold installed
Out     tables on stdout: time to fold at two lengths, time to read, memory to keep every state
Units   milliseconds of CPU time; bytes
"""

import tracemalloc
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from streamfold import State, decode_event, fold, states
from streamfold.bench.measure import Variant, measure
from streamfold.fold.reduce import FRAGMENTS_PER_BLOCK
from streamfold.fold.text import Text

DELTAS = 60_000
KEPT = 6_000  # kept states of the copying way are quadratic in memory too
DELTA = " word"


class Whole(Struct, frozen=True, gc=False):
    """Each state holds the whole text."""

    cursor: int
    text: str

    def grow(self, delta: str) -> "Whole":
        return Whole(self.cursor + 1, self.text + delta)

    def read(self) -> str:
        return self.text


class Listed(Struct, frozen=True, gc=False):
    """All states share one list, and each knows how much of it is its own. Not safe to fold on twice from one state."""

    cursor: int
    fragments: list[str]

    def grow(self, delta: str) -> "Listed":
        self.fragments.append(delta)
        return Listed(self.cursor + 1, self.fragments)

    def read(self) -> str:
        return "".join(self.fragments[: self.cursor])


class Linked(Struct, frozen=True, gc=False):
    """Each state holds its fragment and the state before it, all the way down."""

    cursor: int
    before: "Linked | None"
    fragment: str

    def grow(self, delta: str) -> "Linked":
        return Linked(self.cursor + 1, self, delta)

    def read(self) -> str:
        return joined(self)


class Paged(Struct, frozen=True, gc=False):
    """Each state holds the pages and blocks of the text; every delta is a block."""

    cursor: int
    text: Text

    def grow(self, delta: str) -> "Paged":
        return Paged(self.cursor + 1, self.text.push(delta))

    def read(self) -> str:
        return str(self.text)


def shared_fragments(fragments_per_block: int) -> Callable[[], Any]:
    """The decision: fragment and state before it, joined into a block at every so many. Returns: how to begin."""

    class Shared(Struct, frozen=True, gc=False):
        cursor: int
        text: Text
        before: Any = None
        fragment: str = ""

        def grow(self, delta: str) -> "Shared":
            after = Shared(self.cursor + 1, self.text, self, delta)
            if after.cursor % fragments_per_block:
                return after
            return Shared(after.cursor, self.text.push(joined(after)))

        def read(self) -> str:
            return str(self.text.push(joined(self)))

    return lambda: Shared(0, Text())


def joined(state: Any) -> str:
    """The fragments of a chain of states, from its beginning."""
    fragments: list[str] = []
    while state.before is not None:
        fragments.append(state.fragment)
        state = state.before
    fragments.reverse()
    return "".join(fragments)


STARTS: dict[str, Callable[[], Any]] = {
    "whole text in each state": lambda: Whole(0, ""),
    "one shared list": lambda: Listed(0, []),
    "chain without joining": lambda: Linked(0, None, ""),
    "pages and blocks": lambda: Paged(0, Text()),
    "shared fragments": shared_fragments(FRAGMENTS_PER_BLOCK),
}
BLOCKS = {f"joined every {size}": shared_fragments(size) for size in (16, 32, 64, 128, 256, 512)}


def grown(start: Callable[[], Any], deltas: int) -> Any:
    state = start()
    for _ in range(deltas):
        state = state.grow(DELTA)
    return state


def bytes_per_kept_state(start: Callable[[], Any]) -> float:
    tracemalloc.start()
    state = start()
    kept = [state]
    for _ in range(KEPT):
        state = state.grow(DELTA)
        kept.append(state)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / KEPT


def table(title: str, variants: dict[str, Callable[[], object]], rounds: int) -> None:
    timings = measure([Variant(name, run) for name, run in variants.items()], rounds=rounds)
    print(f"\n{title}: median of {rounds} rounds, and how many times as long as `shared fragments`")
    for name in variants:
        ratio = timings.ratio(name, "shared fragments")
        milliseconds = timings.seconds(name).scaled(1000)
        print(
            f"  {name:26} {milliseconds.median:9.3f} ms   {ratio.median:7.2f} x  ({ratio.low:.2f} to {ratio.high:.2f})"
        )


def events(deltas: int) -> list[Any]:
    data = (
        b'{"type":"response.output_text.delta","sequence_number":%d,"output_index":0,"content_index":0,"delta":" word"}'
    )
    return [decode_event(data % number) for number in range(deltas)]


def main() -> None:
    made = events(DELTAS)
    folds: dict[str, Callable[[], object]] = {
        name: (lambda start=start: grown(start, DELTAS)) for name, start in STARTS.items()
    }
    table(f"{DELTAS:,} deltas", folds | {"streamfold.fold": lambda: fold(made)}, rounds=15)
    sizes: dict[str, Callable[[], object]] = {
        name: (lambda start=start: grown(start, DELTAS)) for name, start in (STARTS | BLOCKS).items()
    }
    table(f"{DELTAS:,} deltas, by size of a block", {name: sizes[name] for name in ("shared fragments", *BLOCKS)}, 15)
    # One delta short of a block is where a read walks most fragments.
    walks: dict[str, Callable[[], object]] = {
        name: grown(start, 60_415).read
        for name, start in (BLOCKS | {"shared fragments": STARTS["shared fragments"]}).items()
    }
    table("reading after 60,415 deltas, by size of a block", walks, 15)
    longer: dict[str, Callable[[], object]] = {
        name: (lambda start=start: grown(start, 4 * DELTAS))
        for name, start in STARTS.items()
        if start is not STARTS["chain without joining"]  # a chain this deep ends the interpreter when it is freed
    }
    table(f"{4 * DELTAS:,} deltas", longer, rounds=3)
    ends = {name: grown(start, DELTAS) for name, start in STARTS.items()}
    last: State = fold(made)
    reads: dict[str, Callable[[], object]] = {name: end.read for name, end in ends.items()}
    table(f"reading after {DELTAS:,}", reads | {"State.output_text": lambda: last.output_text}, rounds=15)
    print(f"\nbytes to keep one state more, of {KEPT:,} deltas of {len(DELTA)} characters")
    for name, start in STARTS.items():
        print(f"  {name:26} {bytes_per_kept_state(start):9.0f}")
    some = made[:KEPT]
    tracemalloc.start()
    kept = list(states(some))
    print(f"  {'streamfold.states':26} {tracemalloc.get_traced_memory()[0] / len(kept):9.0f}")


if __name__ == "__main__":
    main()
