"""Decision 0003, measured: what an event that carries an object costs, as bytes, as dicts and as types.

In      `PYTHONPATH=. python docs/decisions/0003-measure.py`, from the root of the tree, with streamfold installed
Out     two tables on stdout: all events of a generated stream, and its terminal event alone
Units   microseconds of CPU time
"""

from collections.abc import Callable

from msgspec import Raw
from msgspec.json import Decoder

from benchmarks.stream.workload import Shape, make_stream, payloads
from streamfold.bench.measure import Variant, measure
from streamfold.schema import decode_event, decode_known_event, decode_response

ROUNDS = 15
BYTES, DICTS, TYPED = "bytes (msgspec.Raw)", "dicts", "types (Response, with its items)"

as_dict = Decoder().decode


def as_types(data: bytes) -> object:
    event = decode_event(data)
    response = getattr(event, "response", None)
    return decode_response(response) if isinstance(response, Raw) else event


def compare(title: str, data: list[bytes], *names: str) -> None:
    variants = {name: WAYS[name] for name in names}
    timings = measure(
        [Variant(name, lambda decode=decode: [decode(one) for one in data]) for name, decode in variants.items()],
        rounds=ROUNDS,
    )
    print(f"\n{title}: median of {ROUNDS} rounds, and how many times as long as bytes")
    for name in variants:
        print(f"  {name:34} {1e6 * timings.seconds(name).median:10.1f} us   {timings.ratio(name, BYTES).median:6.2f} x")


WAYS: dict[str, Callable[[bytes], object]] = {BYTES: decode_known_event, DICTS: as_dict, TYPED: as_types}


def main() -> None:
    data = payloads(make_stream(Shape(deltas=10_000)))
    compare(f"{len(data):,} events", data, BYTES, DICTS)
    compare(f"the terminal event, {len(data[-1]):,} bytes", data[-1:], BYTES, DICTS, TYPED)


if __name__ == "__main__":
    main()
