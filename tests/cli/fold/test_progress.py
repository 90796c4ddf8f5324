"""The bar: on stderr, on a terminal, for a large file, and nowhere else."""

import io
import sys

import pytest

from streamfold.cli.fold import source as module
from streamfold.cli.fold.source import ByteSource

CHUNKS = [b"x" * 1000] * 5


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(
    monkeypatch: pytest.MonkeyPatch, *, size: int | None = 5000, at_least: int = 5000, stderr: io.StringIO
) -> str:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(module, "MIN_BAR_BYTES", at_least)
    monkeypatch.setattr(sys, "stderr", stderr)
    read = iter([*CHUNKS, b""])
    source = ByteSource(lambda _: next(read), size=size)
    assert b"".join(source.chunks_with_bar()) == b"".join(CHUNKS)
    return stderr.getvalue()


def test_a_large_file_gets_a_bar_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    out = shown(monkeypatch, stderr=Terminal())
    assert "4.9/4.9 KiB" in out
    assert out.endswith("\x1b[2K")  # the line is erased


def test_a_small_file_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, at_least=5001, stderr=Terminal()) == ""


def test_a_pipe_of_unknown_size_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, size=None, stderr=Terminal()) == ""


def test_stderr_that_is_no_terminal_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, stderr=io.StringIO()) == ""
