"""A client's program, running: give it a job, and get its report or, after a deadline, none."""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.clients.judge import Report

LAST = 2000  # characters of a log that are shown


class Died(Exception):
    """A program ended without a report; the message has the end of what it printed."""


@define
class Worker:
    """A program that reads jobs from stdin: see programs/report.py. It is started by its first job.

    Attributes:
        command: What to run.
        folder: Its working folder and its home; `log` in it is what it prints on stderr.
        environment: Added to ours.
    """

    command: list[str]
    folder: Path
    environment: Mapping[str, str] = field(factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def ask(self, job: Mapping[str, Any], *, seconds: float) -> Report | None:
        """The report about one answer; None if there is none in time, and then the program is killed.

        Raises:
            Died: The program ended.
        """
        if self._process is None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):  # it ended: reading says so too
                process.stdin.write(json.dumps(job).encode() + b"\n")
                process.stdin.flush()
            line = self._read_line(process.stdout.fileno(), time.monotonic() + seconds)
        except BaseException:
            self.kill()
            raise
        if line is None:
            self.kill()
            return None
        return Report.of(json.loads(line))

    def _start(self) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder), **self.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # a group of its own, which dies as one
            )

    def _read_line(self, source: int, deadline: float) -> bytes | None:
        data = b""
        with selectors.DefaultSelector() as selector:
            selector.register(source, selectors.EVENT_READ)
            while not data.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                if not (chunk := os.read(source, 65536)):
                    last = (self.folder / "log").read_text("utf-8", "replace")[-LAST:]
                    raise Died(f"`{' '.join(self.command)}` ended:\n{last}")
                data += chunk
        return data

    def kill(self) -> None:
        """Kill it and all that it started. It does not matter whether it runs."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not flushed
                    pipe.close()
        self._process.wait()
        self._process = None
