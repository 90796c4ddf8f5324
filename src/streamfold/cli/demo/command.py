"""`streamfold demo`: break streams, cancel answers and kill a relay, and check each claim about them.

Everything is real and on this machine: an emulator as the gateway, sockets, a relay in a process of its own.
"""

import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree, which
from time import monotonic
from typing import TYPE_CHECKING, cast

import anyio

from streamfold.cli.demo.client import show_cancels, show_stream
from streamfold.cli.demo.page import DemoPage
from streamfold.cli.demo.relay import RelayProcess, relay_process, show_kill, show_retries
from streamfold.cli.response.gateway import run
from streamfold.cli.terminal import ERROR, one_line, quoted

if TYPE_CHECKING:
    from streamfold.emulator import Emulator

WORDS_PER_SECOND = 150.0
PART_SECONDS = 60.0  # on a machine that is very busy
PROXY_VARIABLES = ("no_proxy", "NO_PROXY")
PROGRAM = "streamfold"


def demo() -> int:
    """Break streams, cancel answers and kill a relay on this machine, and check that nothing is lost."""
    return show(DemoPage())


def show(page: DemoPage) -> int:
    """Show the whole demo on this page. Returns the exit code."""
    begun = monotonic()
    with _without_proxy(), _temporary_folder() as folder:
        run(lambda: tell(page, folder))
    failed = page.checks.count(False)
    if failed:
        page.summary(f"{failed} of {len(page.checks)} checks failed: see above.", is_good=False)
        return ERROR
    seconds = monotonic() - begun
    page.summary(f"All {len(page.checks)} checks passed in {seconds:.0f} seconds: nothing was lost.", is_good=True)
    program = program_name(sys.argv[0])
    page.command(f"Try next: {program} relay --upstream https://api.openai.com/v1")
    page.command(f"          {program} emulator")
    page.command("          docs/tutorial/your-first-resumable-stream.md")
    return 0


def program_name(called: str) -> str:
    """How a user calls this program: the path by which it was called, unless a shell finds it by its name."""
    is_path = Path(called).name == PROGRAM and which(PROGRAM) is None
    return quoted(called) if is_path else PROGRAM


@contextmanager
def _temporary_folder() -> Generator[Path]:
    """A folder that is gone at the end, also if Ctrl-C comes again and again."""
    folder = tempfile.mkdtemp(prefix=f"{PROGRAM}-demo-")
    try:
        yield Path(folder)
    finally:
        try:
            rmtree(folder, ignore_errors=True)
        except KeyboardInterrupt:
            rmtree(folder, ignore_errors=True)
            raise


@contextmanager
def _without_proxy() -> Generator[None]:
    """Keep what the demo asks on this machine, whatever proxy the environment names. Child processes too."""
    before = {name: os.environ.get(name) for name in PROXY_VARIABLES}
    os.environ.update(dict.fromkeys(PROXY_VARIABLES, "127.0.0.1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


async def tell(page: DemoPage, folder: Path) -> None:
    """Run the demo's parts on an emulator and a relay, which keeps its log in this folder."""
    from streamfold.emulator import Emulator, Options, emulate

    emulator = Emulator(Options(tokens_per_second=WORDS_PER_SECOND))
    async with emulate(emulator) as url, relay_process(url, folder) as relay:
        page.plain("A local gateway with a toy model, and a relay. Nothing leaves this machine.")
        await _play(page, lambda: show_stream(page, url))
        await _play(page, lambda: show_cancels(page, url))
        await _play(page, lambda: _show_relay(page, emulator, url, relay))


async def _show_relay(page: DemoPage, emulator: "Emulator", url: str, relay: RelayProcess) -> None:
    await show_retries(page, emulator, url, relay)
    await show_kill(page, url, relay)


async def _play(page: DemoPage, part: Callable[[], Awaitable[None]]) -> None:
    """Show a part. If it fails, that is a check that does not hold, and the next part is still shown."""
    try:
        with anyio.fail_after(PART_SECONDS):
            await part()
    except Exception as error:
        if page.unwritten is not None:
            raise page.unwritten from None
        cause = _first_cause(error)
        what = f"no end within {PART_SECONDS:g} seconds" if isinstance(cause, TimeoutError) else str(cause)
        page.check(one_line(f"this could not be shown: {type(cause).__name__}: {what}"), holds=False)


def _first_cause(error: Exception) -> Exception:
    """The first error in groups of errors."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error
