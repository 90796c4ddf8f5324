"""The demo's second act: what is counted, what is read, and each check fails if its claim is false."""

import io
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from rich.console import Console

from streamfold.cli.demo import relay as module
from streamfold.cli.demo.page import DemoPage
from streamfold.cli.demo.relay import CUT_AFTER, ReconnectingReader, RelayProcess, relay_process, retry
from streamfold.emulator import Emulator, Options, emulate
from streamfold.sse import Frame

FAST = Options(tokens_per_second=400)


@pytest.fixture
def page() -> DemoPage:
    return DemoPage(Console(file=io.StringIO(), width=80))


def shown(page: DemoPage) -> str:
    return page._console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answers", "cuts", "holds"),
    [
        pytest.param(4, CUT_AFTER, True, id="as it is"),
        pytest.param(1, CUT_AFTER, False, id="too many answers"),
        pytest.param(3, CUT_AFTER[:2], False, id="too few cuts"),
    ],
)
def test_the_claim_about_the_requests_is_checked(
    answers: int, cuts: tuple[int, ...], holds: bool, page: DemoPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        real = module.open_link
        monkeypatch.setattr(module, "open_link", lambda target, _: real(target, cuts))
        emulator = Emulator(FAST)
        async with emulate(emulator) as url:
            await retry(page, emulator, url, way="straight", target=url, answers=answers)

    anyio.run(main)
    assert page.checks == [holds]


def test_a_link_that_never_holds_is_given_up(page: DemoPage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        real = module.open_link
        monkeypatch.setattr(module, "open_link", lambda target, _: real(target, [1] * 20))
        emulator = Emulator(FAST)
        async with emulate(emulator) as url:
            with pytest.raises(ExceptionGroup) as caught:
                await retry(page, emulator, url, way="straight", target=url, answers=1)
            assert "no whole answer after 10 requests" in str(caught.value.exceptions[0])

    anyio.run(main)


def test_a_relay_that_does_not_start_reports_why(tmp_path: Path) -> None:
    async def main() -> None:
        async with relay_process("ftp://nobody", tmp_path) as relay:
            await relay.serves()

    with pytest.raises(RuntimeError, match="the relay did not start: streamfold: --upstream"):
        anyio.run(main)


def test_a_relay_that_was_never_started_needs_no_kill(tmp_path: Path) -> None:
    anyio.run(RelayProcess("http://127.0.0.1:1", tmp_path).kill)


def delta(number: int, text: str) -> Frame:
    data = f'{{"type":"response.output_text.delta","delta":"{text}"}}'.encode()
    return Frame(event=b"response.output_text.delta", data=data, id=b"%d" % number)


def whole() -> list[Frame]:
    end = Frame(event=b"response.completed", data=b"{}", id=b"3")
    return [delta(0, "a"), delta(1, "b"), delta(2, "c"), end]


def without(number: int) -> Callable[[list[Frame]], list[Frame]]:
    return lambda frames: frames[:number] + frames[number + 1 :]


@pytest.mark.parametrize(
    ("change", "holds", "words"),
    [
        pytest.param(list, True, "4 events, none lost, none twice, the text is whole", id="whole"),
        pytest.param(without(1), False, "3 events, 1 lost, none twice, the text is not whole", id="one lost"),
        pytest.param(without(3), False, "3 events, none lost, none twice, the text is not whole", id="no end"),
        pytest.param(lambda frames: [*frames[:1], *frames], False, "none lost, 1 twice", id="one twice"),
        pytest.param(lambda frames: [frames[1], frames[0], *frames[2:]], False, "none lost", id="swapped"),
    ],
)
def test_the_claim_about_a_reader_is_checked(
    change: Callable[[list[Frame]], list[Frame]], holds: bool, words: str, page: DemoPage
) -> None:
    reader = ReconnectingReader("http://127.0.0.1:1")
    reader.frames, reader.reconnects = change(whole()), 1
    reader.check(page, "reader", "abc")
    assert page.checks == [holds]
    assert words in shown(page)


def test_a_reader_that_was_never_cut_off_proves_nothing(page: DemoPage) -> None:
    reader = ReconnectingReader("http://127.0.0.1:1")
    reader.frames = whole()
    reader.check(page, "reader", "abc")
    assert page.checks == [False]


def test_a_reader_whose_request_is_not_answered_gives_up() -> None:
    with pytest.raises(RuntimeError, match="no answer to POST /v1/responses"):
        anyio.run(ReconnectingReader("http://127.0.0.1:1").create)
