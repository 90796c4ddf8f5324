"""Interleaved, paired timings: what a busy machine does to one variant, it does to the others of the same round.

A round runs every variant once, and the next round runs them in the opposite order, so that no variant always follows
the same other one. A sample is as many runs as fill `sample_seconds`, and counts as their mean. Garbage is collected
before each sample and the collector is off during it, so that no variant pays for what another one left. Times are in
seconds of the clock: the CPU time of this process, unless you pass another clock.
"""

import gc
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import quantiles
from time import process_time

from attrs import frozen

Clock = Callable[[], float]
Sampler = Callable[[int], float]  # from a number of runs to the seconds that one of them took


@frozen
class Variant:
    """One way to do the work, and its name in the results."""

    name: str
    run: Callable[[], object]


@frozen
class Spread:
    """The median, the quartiles and the extremes of some samples."""

    least: float
    low: float
    median: float
    high: float
    most: float
    count: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Spread":
        """The spread of at least one sample."""
        low, median, high = quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else [samples[0]] * 3
        return cls(min(samples), low, median, high, max(samples), len(samples))

    def scaled(self, factor: float) -> "Spread":
        """The same samples in another unit. The factor must be positive."""
        least, low, median, high, most = (
            value * factor for value in (self.least, self.low, self.median, self.high, self.most)
        )
        return Spread(least, low, median, high, most, self.count)


@frozen
class Timings:
    """The samples of each variant, in seconds per run. Samples at the same index come from the same round."""

    samples: Mapping[str, tuple[float, ...]]

    def seconds(self, name: str) -> Spread:
        """How long one run of the variant took."""
        return Spread.of(self.samples[name])

    def ratio(self, name: str, reference: str) -> Spread:
        """How many times as long as the reference the variant took, round by round."""
        return Spread.of([one / other for one, other in zip(self.samples[name], self.samples[reference], strict=True)])


def measure(
    variants: Sequence[Variant], *, rounds: int, sample_seconds: float = 0.05, clock: Clock = process_time
) -> Timings:
    """Time the variants, interleaved, in this process.

    Each variant runs once first, which warms it up and shows how many runs make a sample. The garbage collector is left
    as it was.

    Args:
        variants: What to compare.
        rounds: How many samples of each variant to take.
        sample_seconds: How long one sample lasts at least.
        clock: Returns the time in seconds.

    Returns:
        `rounds` samples of each variant.

    Example:
        timings = measure([Variant("ours", ours), Variant("theirs", theirs)], rounds=11)
        print(timings.ratio("ours", "theirs").median)
    """
    was_enabled = gc.isenabled()
    gc.freeze()  # collecting before each sample must not walk what imports created
    samplers = {variant.name: partial(sample, variant.run, clock=clock) for variant in variants}
    try:
        return take_turns(samplers, rounds=rounds, sample_seconds=sample_seconds)
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def take_turns(samplers: Mapping[str, Sampler], *, rounds: int, sample_seconds: float) -> Timings:
    """Ask each sampler once to find the number of runs, then once per round for a sample."""
    samples: dict[str, list[float]] = {name: [] for name in samplers}
    runs = {name: _runs(sampler(1), sample_seconds) for name, sampler in samplers.items()}
    names = list(samplers)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            samples[name].append(samplers[name](runs[name]))
    return Timings({name: tuple(values) for name, values in samples.items()})


def _runs(once: float, sample_seconds: float) -> int:
    """How many runs fill a sample. If the clock is too coarse to see one run, a thousand."""
    return max(1, min(1000, math.ceil(sample_seconds / once))) if once > 0 else 1000


def sample(run: Callable[[], object], runs: int, clock: Clock = process_time) -> float:
    """The seconds that one of so many runs takes. Collects garbage first and leaves the collector off."""
    gc.collect()
    gc.disable()
    start = clock()
    for _ in range(runs):
        run()
    return (clock() - start) / runs
