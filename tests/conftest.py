"""Fixtures for every test: the corpus of recorded streams, and how many examples hypothesis tries.

The corpus is not part of the repository. It is a folder beside it, `../shared`, or the one that STREAMFOLD_CORPUS
names. Without it, the tests that need it are skipped with a reason; with STREAMFOLD_REQUIRE_CORPUS=1 they fail.
"""

import functools
import gc
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
RECORDED_STREAMS = 212

# quick   for `make test`: a few new examples in every run (in CI, the same ones)
# dev     for `make test-all`: new examples in every run, found failures kept in .hypothesis/
# ci      for `make test-all` in CI: the same examples in every run, so that a failure is repeatable on any machine
# cover   for the coverage gate: few, and always the same, so that no line is reached by luck
SLOW_IS_FINE = [HealthCheck.too_slow]  # a busy machine is not a bug
settings.register_profile(
    "quick",
    deadline=None,
    print_blob=True,
    derandomize=bool(os.environ.get("CI")),
    max_examples=30,
    suppress_health_check=SLOW_IS_FINE,
)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile(
    "ci", deadline=None, print_blob=True, derandomize=True, max_examples=60, suppress_health_check=SLOW_IS_FINE
)
settings.register_profile(
    "cover", deadline=None, print_blob=True, derandomize=True, max_examples=20, suppress_health_check=SLOW_IS_FINE
)
settings.load_profile(os.environ.get("STREAMFOLD_HYPOTHESIS") or "quick")


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of every later collection of garbage: the SDKs' classes alone cost seconds."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Recording:
    """One recorded stream: `name` is its path in the corpus's recordings, as in "openai/text-1.sse"."""

    name: str
    path: Path

    @functools.cached_property
    def data(self) -> bytes:
        """The whole body, read once."""
        return self.path.read_bytes()

    def __str__(self) -> str:
        return self.name


def corpus_folder() -> Path:
    """Where the corpus is looked for, there or not."""
    return Path(os.environ.get("STREAMFOLD_CORPUS") or ROOT.parent / "shared").resolve()


def find_corpus() -> Path:
    """The corpus folder. Skips the test where it is missing, or fails it where the corpus is required."""
    folder = corpus_folder()
    missing = [part for part in ("recordings", "protocol/events.json", "conformance") if not (folder / part).exists()]
    if not missing:
        return folder
    reason = (
        f"the corpus of recorded streams is not at {os.path.relpath(folder, ROOT)} (no {', '.join(missing)}): "
        "put it beside the repository as `shared`, or name its folder in STREAMFOLD_CORPUS"
    )
    if os.environ.get("STREAMFOLD_REQUIRE_CORPUS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def read_recordings(corpus: Path) -> list[Recording]:
    """Every recorded stream of a corpus, sorted by name."""
    folder = corpus / "recordings"
    found = [Recording(path.relative_to(folder).as_posix(), path) for path in folder.rglob("*.sse")]
    return sorted(found, key=lambda recording: recording.name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `recording` runs once for each recorded stream, under the stream's name."""
    if "recording" in metafunc.fixturenames:
        names = [recording.name for recording in read_recordings(corpus_folder())]
        metafunc.parametrize("recording", names or ["no corpus"], indirect=True)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The corpus folder: `recordings/`, `protocol/`, `conformance/`."""
    return find_corpus()


@pytest.fixture(scope="session")
def recordings(corpus: Path) -> list[Recording]:
    """Every recorded stream, sorted by name; never fewer than there are, so no law passes on half of them."""
    found = read_recordings(corpus)
    assert len(found) >= RECORDED_STREAMS, f"{len(found)} recorded streams, expected {RECORDED_STREAMS}"
    return found


@pytest.fixture
def recording(request: pytest.FixtureRequest, recordings: list[Recording]) -> Recording:
    """One recorded stream; the test runs for each."""
    return next(each for each in recordings if each.name == request.param)


@pytest.fixture(scope="session")
def protocol_events(corpus: Path) -> list[dict[str, Any]]:
    """The wire's event types: one object each with its fields, scope and effect."""
    return json.loads((corpus / "protocol" / "events.json").read_text(encoding="utf-8"))
