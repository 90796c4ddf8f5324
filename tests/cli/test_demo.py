"""`streamfold demo`, its first part: lines in a pipe, a picture on a terminal, and claims that are tried."""

import io
from typing import Any

import pytest
from rich.console import Console

from streamfold.bench import Shape, make_stream
from streamfold.cli import demo as command
from streamfold.cli.claim import Claim, examine
from streamfold.cli.fold.pace import Pace
from streamfold.cli.picture import Picture
from streamfold.cli.rate import Rate, measure
from streamfold.fold import State, states
from streamfold.reader import EventReader
from tests.cli.conftest import Run

FRAMES = make_stream(Shape(deltas=20))
RATE = Rate(events=1000, bytes=9, seconds=0.5, passes=3)


@pytest.fixture
def first_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The story, which takes seconds, is left out: see test_story.py."""
    monkeypatch.setattr(command, "_follow", lambda *_, **__: [])


pytestmark = pytest.mark.usefixtures("first_part")


def test_in_a_pipe_it_is_plain_lines_and_the_claims(run: Run) -> None:
    ran = run("demo", "--deltas", "50")
    out = ran.out.decode()
    assert (ran.code, ran.err) == (0, "")
    assert "\x1b" not in out
    assert "output[2] closed: message completed" in out
    assert "events/s" in out
    assert out.count("✓") == 5


def test_the_same_seed_tells_the_same(run: Run) -> None:
    lines = [run("demo", "--deltas", "50", "--seed", seed).out.splitlines()[:10] for seed in ("3", "3", "4")]
    assert lines[0] == lines[1] != lines[2]


@pytest.mark.parametrize("deltas", ["1", "2", "300"])
def test_any_number_of_deltas_holds_the_claims(deltas: str, run: Run) -> None:
    assert run("demo", "--deltas", deltas).code == 0


def test_a_claim_that_fails_is_shown_and_is_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "examine", lambda *_: [Claim("all is well", False)])
    ran = run("demo", "--deltas", "5")
    assert (ran.code, ran.out.decode().splitlines()[-3]) == (1, "  ✗ all is well")


def test_claims_are_tried_on_the_states() -> None:
    events = EventReader().feed(b"".join(FRAMES))
    kept = list(states(events))
    assert all(claim.holds for claim in examine(FRAMES, kept))
    wrong = kept.copy()
    wrong[len(kept) // 2] = State()
    assert not all(claim.holds for claim in examine(FRAMES, wrong))


def test_a_stream_with_a_hole_holds_not_the_claim_about_gaps() -> None:
    kept = list(states(EventReader().feed(b"".join(FRAMES))))
    repeated = [*FRAMES[: len(FRAMES) // 2 + 1], *FRAMES[len(FRAMES) // 2 : -1]]
    assert [claim.holds for claim in examine(repeated, kept)][-1] is False


def console(width: int, height: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, legacy_windows=False)


@pytest.mark.parametrize(("width", "height"), [(40, 14), (80, 24), (200, 60)])
def test_the_picture_fits_the_terminal_at_every_event(width: int, height: int) -> None:
    frames = make_stream(Shape(deltas=120, seed=2))
    screen = console(width, height)
    picture = Picture(RATE, total=len(frames), console=screen)
    kept: list[State] = []
    ticks = iter(range(10**6))
    picture.show(frames, kept, pace=Pace(None), clock=lambda: float(next(ticks)))
    assert len(kept) == len(frames)
    assert len(screen.render_lines(picture.draw(), screen.options, pad=False)) < height


def test_the_picture_says_what_is_open_and_how_far_it_is() -> None:
    picture = Picture(RATE, total=len(FRAMES), console=console(80, 24))
    picture.show(FRAMES, [], pace=Pace(None))
    screen = console(80, 24)
    screen.print(picture.draw())
    file: Any = screen.file
    shown = file.getvalue()
    for words in ("completed", "● closed", "function_call", f"{len(FRAMES):,}/{len(FRAMES):,}", "2,000 events/s"):
        assert words in shown


def test_on_a_terminal_the_picture_is_paced(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(Pace.__init__, "__kwdefaults__", {"clock": lambda: sum(slept), "sleep": slept.append})
    ran = run("demo", "--deltas", "30", terminal=True)
    assert ran.code == 0
    assert 2.5 < sum(slept) < 3.5
    assert "✓" in ran.out.decode()


def interrupt(*_: float) -> float:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("clock", "told"), [(lambda: 0.0, "after event 0"), (interrupt, "before the first event")], ids=["later", "at once"]
)
def test_ctrl_c_tells_where_it_stopped(clock: Any, told: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace.__init__, "__kwdefaults__", {"clock": clock, "sleep": interrupt})
    ran = run("demo", "--speed", "5")
    assert (ran.code, ran.err) == (130, f"streamfold: stopped {told}\n")


def test_the_figure_is_the_median_of_whole_passes() -> None:
    ticks = iter([0.0, 1.0, 1.0, 1.2, 2.0, 2.3])
    rate = measure(FRAMES, clock=lambda: next(ticks))
    assert (rate.events, rate.passes) == (len(FRAMES), 3)
    assert rate.seconds == pytest.approx(0.3)
    assert rate.events_per_second == pytest.approx(len(FRAMES) / 0.3)
