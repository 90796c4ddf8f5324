"""`streamfold demo`: a made stream folded before your eyes; then a gateway of its own, faults, cancels, and proofs.

In      how many text deltas, the seed of the words, and how fast
Out     live pictures on a terminal, plain lines in a pipe; at the end what was claimed, each tried
Units   events a second; tokens a second; seconds
Errors  none: a claim that does not hold is shown as such, and is exit code 1
Source  docs/reference/cli.md
"""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from streamfold.cli.claim import Claim, examine
from streamfold.cli.failure import ERROR, INTERRUPTED, say
from streamfold.cli.fold.pace import Pace
from streamfold.cli.plain import show_plainly
from streamfold.cli.rate import Rate, measure
from streamfold.cli.terminal import Output
from streamfold.fold import State

__all__ = ["demo"]

SHOW_SECONDS = 3.0
WATCHED_TOKENS_PER_SECOND, UNWATCHED_TOKENS_PER_SECOND = 75.0, 400.0


def demo(
    *,
    deltas: Annotated[int, Parameter(help="How many pieces the folded text comes in.", validator=Number(gte=1))] = 600,
    seed: Annotated[int, Parameter(help="Another seed, other words.")] = 0,
    speed: Annotated[
        float | None,
        Parameter(help="Folded events a second; by default that takes three seconds.", validator=Number(gt=0)),
    ] = None,
) -> int:
    """Fold a stream, follow one through faults, cancel others, and prove what became of each."""
    output = Output()
    states: list[State] = []
    try:
        is_live = _is_live(output)
        rate, claims = _fold(output, states, deltas=deltas, seed=seed, speed=speed, is_live=is_live)
        _tell(claims, output, heading=str(rate))
    except KeyboardInterrupt:
        say(f"stopped after event {states[-1].cursor}" if states else "stopped before the first event")
        return INTERRUPTED
    told = _follow(output, seed=seed, is_live=is_live)
    _tell(told, output, heading="What it came to, by the gateway's own word")
    return 0 if all(claim.holds for claim in (*claims, *told)) else ERROR


def _is_live(output: Output) -> bool:
    if not output.is_terminal:
        return False
    from streamfold.cli.picture import Picture

    return Picture.fits()


def _fold(
    output: Output, states: list[State], *, deltas: int, seed: int, speed: float | None, is_live: bool
) -> tuple[Rate, list[Claim]]:
    """The first part: a stream that is made here, folded. states: gets the State after each event."""
    from streamfold.bench import Shape, make_stream

    frames = make_stream(Shape(deltas=deltas, seed=seed))
    rate = measure(frames)
    output.write("A made stream, folded\n")
    if is_live:
        from streamfold.cli.picture import Picture

        Picture(rate, total=len(frames)).show(frames, states, pace=Pace(speed or len(frames) / SHOW_SECONDS))
    else:
        show_plainly(frames, states, output=output, pace=Pace(speed))
    return rate, examine(frames, states)


def _follow(output: Output, *, seed: int, is_live: bool) -> list[Claim]:
    """The second part: a gateway in this process, and what is followed and cancelled there."""
    from streamfold.cli.response.gateway import run
    from streamfold.cli.stage import LiveStage, PlainStage
    from streamfold.cli.story import tell

    async def main() -> list[Claim]:
        stage = LiveStage(output) if is_live else PlainStage(output)
        speed = WATCHED_TOKENS_PER_SECOND if is_live else UNWATCHED_TOKENS_PER_SECOND
        return await tell(stage, tokens_per_second=speed, seed=seed)

    return run(main)


def _tell(claims: list[Claim], output: Output, *, heading: str) -> None:
    output.write(f"\n{heading}\n")
    for claim in claims:
        output.write(f"  {'✓' if claim.holds else '✗'} {claim.sentence}\n")
