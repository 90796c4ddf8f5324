"""What every program does but for its client: read jobs, stream each, and print one JSON line about it.

`python openai_raw.py URL [INPUT]` streams one answer of the server at that URL, which has no path. Without arguments the
jobs are JSON lines on stdin. A line that is printed has

    shown     the text, as it was shown piece by piece
    final     the text that the client gives at the end; null if it gives none
    error     the error's class and message; null if nothing was raised
    finished  whether the answer is finished, as the client sees it
    attempts  how often it was asked for: an error is followed by another request, as often as the job says
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

MODEL = "toy-1"
MOST_SHOWN = 300  # characters of a message


class Job(NamedTuple):
    """One answer to stream. resumes: Whether the client's requests go through streamfold's ResumingTransport."""

    url: str
    input: str = "count to 9"
    key: str = "any"
    attempts: int = 1
    resumes: bool = False

    def http_client(self) -> Any:
        """For the client's `http_client=`; None for its own."""
        return self._http("Client")

    def async_http_client(self) -> Any:
        """The same for an async client."""
        return self._http("AsyncClient")

    def _http(self, kind: str) -> Any:
        if not self.resumes:
            return None
        from streamfold.client import ResumingTransport

        return getattr(import_module("httpx2"), kind)(transport=ResumingTransport())


class Ending(NamedTuple):
    """What the client gives at the end of an answer."""

    final: str | None = None
    finished: bool = True


Show = Callable[[str], None]
Stream = Callable[[Job, Show], Ending]


def run(stream: Stream) -> None:
    """Do all jobs. Nothing else reaches stdout."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for job in _jobs():
        print(json.dumps(_done(stream, job)), file=out, flush=True)


def _jobs() -> Iterator[Job]:
    if sys.argv[1:]:
        yield Job(sys.argv[1], sys.argv[2] if sys.argv[2:] else "count to 9")
        return
    for line in sys.stdin:
        yield Job(**json.loads(line))


def _done(stream: Stream, job: Job) -> dict[str, object]:
    attempts = 0
    while True:
        attempts += 1
        shown: list[str] = []  # what an earlier attempt showed is wiped away
        ending, error = Ending(finished=False), None
        try:
            ending = stream(job, shown.append)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"[:MOST_SHOWN]
        if error is None or attempts >= job.attempts:
            return {"shown": "".join(shown), **ending._asdict(), "error": error, "attempts": attempts}
