"""Interleaved, paired timings: what a busy machine does to one variant, it does to the others of the same round.

In      variants, each a callable; how many rounds; how long one sample should last; a clock
Out     Timings: the samples of each variant, round by round, and ratios computed within each round
Units   seconds of the clock, which is the CPU time of this process unless another is given
Source  docs/reference/benchmarks.md

A round runs every variant once, in turn; the next round in the opposite order, so that none always follows the same
one. A sample is as many runs as fill `sample_seconds`, and counts as one run's mean. Before each sample garbage is
collected, and while the clock runs the collector is off: nobody pays for what another left behind.
"""

import gc
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import quantiles
from time import process_time

from attrs import frozen

__all__ = ["Clock", "Sampler", "Spread", "Timings", "Variant", "measure", "sample", "take_turns"]

Clock = Callable[[], float]
Sampler = Callable[[int], float]  # the seconds that one of so many runs took


@frozen
class Variant:
    """One way to do the work, under the name that results carry."""

    name: str
    run: Callable[[], object]


@frozen
class Spread:
    """What samples of one quantity showed: the middle, the quartiles around it, and the ends."""

    least: float
    low: float
    median: float
    high: float
    most: float
    count: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Spread":
        """The spread of one sample or more."""
        low, median, high = quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else [samples[0]] * 3
        return cls(min(samples), low, median, high, max(samples), len(samples))

    def scaled(self, factor: float) -> "Spread":
        """The same samples in another unit; the factor is above zero."""
        least, low, median, high, most = (
            value * factor for value in (self.least, self.low, self.median, self.high, self.most)
        )
        return Spread(least, low, median, high, most, self.count)


@frozen
class Timings:
    """The samples of each variant, in seconds a run; those at the same place are of the same round."""

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

    Each is run once before, which warms it up and tells how many runs make a sample. The collector is left as it was.
    Returns: `rounds` samples of each variant.
    """
    was_enabled = gc.isenabled()
    gc.freeze()  # so that collecting before each sample does not walk what the libraries made when they were imported
    samplers = {variant.name: partial(sample, variant.run, clock=clock) for variant in variants}
    try:
        return take_turns(samplers, rounds=rounds, sample_seconds=sample_seconds)
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def take_turns(samplers: Mapping[str, Sampler], *, rounds: int, sample_seconds: float) -> Timings:
    """Ask each sampler once how many runs it needs, then in every round once for a sample."""
    samples: dict[str, list[float]] = {name: [] for name in samplers}
    runs = {name: _runs(sampler(1), sample_seconds) for name, sampler in samplers.items()}
    names = list(samplers)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            samples[name].append(samplers[name](runs[name]))
    return Timings({name: tuple(values) for name, values in samples.items()})


def _runs(once: float, sample_seconds: float) -> int:
    """How many runs fill a sample, when one takes so long. A clock too coarse to see one run gives a thousand."""
    return max(1, min(1000, math.ceil(sample_seconds / once))) if once > 0 else 1000


def sample(run: Callable[[], object], runs: int, clock: Clock = process_time) -> float:
    """The seconds that one run takes, of so many: the collector has run before, and is off from then on."""
    gc.collect()
    gc.disable()
    start = clock()
    for _ in range(runs):
        run()
    return (clock() - start) / runs
