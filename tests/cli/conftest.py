"""The command, run inside this process: its exit code, stdout and stderr."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streamfold.cli import main


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


class Terminal(io.TextIOWrapper):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(*arguments: str | Path, stdin: bytes = b"", terminal: bool = False) -> Ran:
        out, err = io.BytesIO(), io.StringIO()
        kind = Terminal if terminal else io.TextIOWrapper
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        monkeypatch.setattr(sys, "stdout", kind(out, encoding="utf-8"))
        monkeypatch.setattr(sys, "stderr", err)
        code = main([str(each) for each in arguments])
        return Ran(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def save(data: bytes | list[bytes], name: str = "stream.sse") -> Path:
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else b"".join(data))
        return path

    return save
