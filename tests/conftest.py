"""Fixtures for every test: the corpus of recorded streams, and how many examples hypothesis tries.

The corpus is not part of the repository. It is a folder beside it, `../shared`, or the one that STREAMFOLD_CORPUS
names. Without it, the tests that need it are skipped with a reason; with STREAMFOLD_REQUIRE_CORPUS=1 they fail.
"""

import functools
import gc
import inspect
import itertools
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
RECORDED_STREAMS = 212
FAILURES = (Exception, pytest.fail.Exception)

# For an async test that takes long and differs little from one event loop to the other.
trio_is_thorough = pytest.mark.parametrize(
    "anyio_backend", ["asyncio", pytest.param("trio", marks=pytest.mark.thorough)]
)


def sampled_product(names: str, every: int, *values: Iterable[Any]) -> pytest.MarkDecorator:
    """Each combination of these values, as `parametrize` makes them; `make test` runs about one of `every` so many.

    The sample runs along the diagonals, so each value is in it as long as the other lists are not shorter than `every`.
    """
    lists = [list(each) for each in values]
    cases = []
    for places in itertools.product(*(range(len(each)) for each in lists)):
        chosen = [each[place] for each, place in zip(lists, places, strict=True)]
        marks = () if sum(places) % every == 0 else pytest.mark.thorough
        cases.append(pytest.param(*chosen, id="-".join(map(_name_of, chosen)), marks=marks))
    return pytest.mark.parametrize(names.split(","), cases)


def _name_of(value: object) -> str:
    return str(getattr(value, "__name__", value))


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
    max_examples=20,
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


# Between them they hold every event type that any recording holds (no fewer do), and every oddity of a recording.
SAMPLE = """
azure/reqllm-codex-mini-object-streaming.sse
bedrock-mantle/ruby_llm-providers-bedrock-mantle-responses-chat-streams-8c122b.sse
chatgpt-codex/rig-tool-call-completed-response-without-output.sse
openai/ai-openai-error-1.sse
openai/ai-openai-phase-1.sse
openai/ai-openai-shell-skills-1.sse
openai/dotnet-filesearchcallstreaming-2.sse
openai/dotnet-mcptoolstreamingworksasync.sse
openai/langchain-apply-patch-1.sse
openai/langchain-image-generation-streaming.sse
openai/lingua-complexreasoningrequest-streaming.sse
openai/mirascope-openai-gpt-4o-responses-async-stream-6c3ee.sse
openai/pydantic-ai-background-mode-streaming-starting-after-vcr-1.sse
openai/pydantic-ai-openai-responses-stream.sse
openai/pydantic-ai-openai-responses-thinking-with-code-execution-tool-stream.sse
xai/ai-xai-x-search-tool.sse
""".split()


@pytest.fixture(scope="session")
def recordings_sample(recordings: list[Recording]) -> list[Recording]:
    """Sixteen recorded streams that stand for all."""
    return [recording for recording in recordings if recording.name in SAMPLE]


@pytest.fixture(params=["a sample", pytest.param("all", marks=pytest.mark.thorough)])
def sampled_recordings(
    request: pytest.FixtureRequest, recordings: list[Recording], recordings_sample: list[Recording]
) -> list[Recording]:
    """The sample; in `make test-all`, all recorded streams too."""
    return recordings if request.param == "all" else recordings_sample


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Let Ctrl-C reach the programs that tests start: under `nohup`, or in the background, they inherit that it is ignored."""
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if is_ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if is_ignored:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture(scope="session")
def protocol_events(corpus: Path) -> list[dict[str, Any]]:
    """The wire's event types: one object each with its fields, scope and effect."""
    return json.loads((corpus / "protocol" / "events.json").read_text(encoding="utf-8"))


def on_every_recording(test: Callable[..., Any]) -> Callable[..., Any]:
    """Run a test that takes `recording` for each recorded stream, as one case; see `for_every`."""

    return on_recordings(test, fixture="recordings")


def on_sampled_recordings(test: Callable[..., Any]) -> Callable[..., Any]:
    """Run a test that takes `recording` for each stream of the sample, and in `make test-all` for every one."""
    return on_recordings(test, fixture="sampled_recordings")


def on_recordings(test: Callable[..., Any], *, fixture: str) -> Callable[..., Any]:
    def cases(given: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for recording in given.pop(fixture):
            yield recording.name, {"recording": recording}

    return in_one_case(test, cases, replaced={"recording": fixture})


def for_every(names: str, values: Iterable[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a test for each value, as one case that fails for all values that it fails for, and names them.

    For hundreds of values this takes the place of `parametrize`: to collect so many cases takes longer than to run them.

    Args:
        names: The argument that the test takes, or several, separated by commas; then each value is a tuple.
        values: What to run it for.
    """
    split = names.split(",")

    def cases(_: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for value in values:
            arguments = dict(zip(split, value if len(split) > 1 else [value], strict=True))
            yield str(arguments[split[0]]), arguments

    return lambda test: in_one_case(test, cases, replaced=dict.fromkeys(split))


def in_one_case(
    test: Callable[..., Any],
    cases: Callable[[dict[str, Any]], Iterable[tuple[str, dict[str, Any]]]],
    *,
    replaced: dict[str, str | None],
) -> Callable[..., Any]:
    """A test that runs another for each of the cases, each a name and arguments.

    Args:
        test: The test for one case.
        cases: Makes the cases from what pytest gives; takes out what the test does not take.
        replaced: The arguments that pytest does not give, with the fixture to ask for instead, or None.
    """

    @functools.wraps(test)
    def run(**given: Any) -> None:
        failures = []
        for name, arguments in cases(given):
            try:
                test(**arguments, **given)
            except FAILURES as error:
                failures.append((name, error))
        raise_first(failures)

    @functools.wraps(test)
    async def run_async(**given: Any) -> None:
        failures = []
        for name, arguments in cases(given):
            try:
                await test(**arguments, **given)
            except FAILURES as error:
                failures.append((name, error))
        raise_first(failures)

    wrapper = run_async if inspect.iscoroutinefunction(test) else run
    asked = inspect.signature(test).parameters.values()
    names = [each.replace(name=name) for each in asked if (name := replaced.get(each.name, each.name))]
    vars(wrapper)["__signature__"] = inspect.Signature(names)
    return wrapper


def raise_first(failures: list[tuple[str, BaseException]]) -> None:
    if failures:
        error = failures[0][1]
        error.add_note(f"It fails for {len(failures)}: " + ", ".join(name for name, _ in failures))
        raise error
