"""`streamfold demo`: a stream that we make ourselves, folded before your eyes, and what a State is good for.

In      how many text deltas, the seed of the words, and how fast
Out     a live picture on a terminal, plain lines at once in a pipe; then what was proven about the states
Units   events a second; seconds
Errors  none: a claim that does not hold is shown as such, and is exit code 1
Source  docs/reference/cli.md
"""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from streamfold.cli.claim import Claim, examine
from streamfold.cli.failure import ERROR, INTERRUPTED, say
from streamfold.cli.output import Output
from streamfold.cli.pace import Pace
from streamfold.cli.plain import show_plainly
from streamfold.cli.rate import Rate, measure
from streamfold.fold import State

__all__ = ["demo"]

SHOW_SECONDS = 9.0


def demo(
    *,
    deltas: Annotated[int, Parameter(help="How many pieces the text comes in.", validator=Number(gte=1))] = 600,
    seed: Annotated[int, Parameter(help="Another seed, other words.")] = 0,
    speed: Annotated[
        float | None,
        Parameter(help="Events a second; by default the whole takes nine seconds.", validator=Number(gt=0)),
    ] = None,
) -> int:
    """Fold a made stream live, and show what its states are good for."""
    from streamfold.bench import Shape, make_stream
    from streamfold.cli.picture import Picture

    frames = make_stream(Shape(deltas=deltas, seed=seed))
    rate = measure(frames)
    output = Output()
    states: list[State] = []
    try:
        if output.is_terminal and Picture.fits():
            pace = Pace(speed or len(frames) / SHOW_SECONDS)
            Picture(rate, total=len(frames)).show(frames, states, pace=pace)
        else:
            show_plainly(frames, states, output=output, pace=Pace(speed))
    except KeyboardInterrupt:
        say(f"stopped after event {states[-1].cursor}" if states else "stopped before the first event")
        return INTERRUPTED
    claims = examine(frames, states)
    _tell(rate, claims, output)
    return 0 if all(claim.holds for claim in claims) else ERROR


def _tell(rate: Rate, claims: list[Claim], output: Output) -> None:
    output.write(f"\n{rate}\n")
    for claim in claims:
        output.write(f"  {'✓' if claim.holds else '✗'} {claim.sentence}\n")
