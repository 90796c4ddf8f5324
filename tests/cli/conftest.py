"""The command, run inside this process: its exit code, stdout and stderr."""

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from streamfold.chaos import parse_faults
from streamfold.cli import main
from streamfold.emulator import Options, emulate


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: bytes
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line on stdout as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def outcome(self) -> dict[str, Any]:
        """The last line's outcome."""
        return self.lines[-1]["outcome"]


class Terminal(io.TextIOWrapper):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(
        *arguments: str | Path,
        stdin: bytes = b"",
        terminal: bool = False,
        ctrl_c_when: Callable[[bytes, str], bool] | None = None,
        number: signal.Signals = signal.SIGINT,
    ) -> Ran:
        out, err = io.BytesIO(), io.StringIO()
        kind = Terminal if terminal else io.TextIOWrapper
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        monkeypatch.setattr(sys, "stdout", kind(out, encoding="utf-8"))
        monkeypatch.setattr(sys, "stderr", err)
        with ctrl_c(lambda: ctrl_c_when is not None and ctrl_c_when(out.getvalue(), err.getvalue()), number):
            code = main([str(each) for each in arguments])
        return Ran(code, out.getvalue(), err.getvalue())

    return run


@contextmanager
def ctrl_c(when: Callable[[], bool], number: signal.Signals) -> Iterator[None]:
    """Press Ctrl-C once, or send another signal, as soon as this holds."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.005):
            if when():
                signal.pthread_kill(threading.main_thread().ident or 0, number)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def save(data: bytes | list[bytes], name: str = "stream.sse") -> Path:
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else b"".join(data))
        return path

    return save


class Gateways:
    """Emulators, each started with its own options and ended with the test."""

    def __init__(self, portal: BlockingPortal, stack: ExitStack) -> None:
        self._portal = portal
        self._stack = stack

    def __call__(self, faults: str = "", **options: Any) -> str:
        """A new one, as fast as it can be unless it is told otherwise. Returns: its URL."""
        settings = Options(**{"tokens_per_second": 0, "faults": parse_faults(faults)} | options)
        return self._stack.enter_context(self._portal.wrap_async_context_manager(emulate(settings)))


@pytest.fixture
def gateways() -> Iterator[Gateways]:
    with start_blocking_portal() as portal, ExitStack() as stack:
        yield Gateways(portal, stack)


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user who runs the tests comes in."""
    for name in [each for each in os.environ if each.startswith(("STREAMFOLD_", "OPENAI_"))]:
        if name not in {"STREAMFOLD_CORPUS", "STREAMFOLD_REQUIRE_CORPUS", "STREAMFOLD_HYPOTHESIS"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


KEY = "sk-0123456789-secret"


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets a gateway by the environment."""

    def use(url: str) -> None:
        monkeypatch.setenv("STREAMFOLD_BASE_URL", url)
        monkeypatch.setenv("STREAMFOLD_API_KEY", KEY)

    return use
