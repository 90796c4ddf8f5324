"""The client without an event loop: every call, in scripts, threads and notebooks; leaving is safe, Ctrl-C too."""

import inspect
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from streamfold.client import Batches, FollowedBatch, FollowedResponse
from streamfold.client import Gateway as AsyncGateway
from streamfold.client.blocking import BlockingBatch, BlockingBatches, BlockingResponse, Gateway
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.emulator import Emulator, Options
from streamfold.errors import Disconnected, InvalidArgument, LogUnusable, RequestRefused, UsageError
from streamfold.log.sqlite import SqliteLog
from streamfold.session import CancelResult, OutcomeStatus
from tests.client.stub import Stub, Told, forever, stream
from tests.session.made import added, created, delta, ended

WHOLE = [created(0), added(1), delta(2, "Hel"), delta(3, "lo"), ended(4, text="Hello")]


def gateway(*parts: Any, **settings: Any) -> tuple[Gateway, Stub]:
    stub = Stub(lambda request: stream(*parts))
    return Gateway("http://stub", api_key="key", dialect="openai", http=stub, **settings), stub


def toy(**options: Any) -> Gateway:
    """A gateway of the emulator, in this process."""
    emulator = Emulator(Options(**{"tokens_per_second": None} | options))
    return Gateway("http://emulator/v1", api_key="key", http=AsgiTransport(emulator))


PAIRS = [
    (Gateway, AsyncGateway, {"aclose": "close"}),
    (BlockingResponse, FollowedResponse, {}),
    (BlockingBatches, Batches, {}),
    (BlockingBatch, FollowedBatch, {}),
]


@pytest.mark.parametrize(("blocking", "original", "renamed"), PAIRS, ids=[pair[0].__name__ for pair in PAIRS])
def test_whatever_the_async_one_has_this_one_has_with_the_same_arguments(
    blocking: type, original: type, renamed: dict[str, str]
) -> None:
    wanted = {"text", "states", "outcome", "cancel", "notice", "state", "id", "cursor", "repairs"}
    for name, member in inspect.getmembers(original):
        if name.startswith("_") or (original is FollowedResponse and name not in wanted):
            continue
        if original is FollowedBatch and name == "notice":
            continue
        mine = getattr(blocking, renamed.get(name, name))
        if callable(member):
            assert list(inspect.signature(mine).parameters) == list(inspect.signature(member).parameters), name


def test_the_settings_are_those_of_the_async_one() -> None:
    assert inspect.signature(Gateway).parameters == inspect.signature(AsyncGateway).parameters


def test_every_call_is_waited_for() -> None:
    with toy() as here:
        made = here.create(model="toy", input="echo hi", metadata={"k": "1"})
        assert made.status == "completed"
        assert made.id
        assert here.retrieve(made.id).id == made.id
        assert len(here.list(limit=1).data) == 1
        assert len(here.input_items(made.id).data) == 1
        assert here.update(made.id, metadata={"k": "2"}).metadata == {"k": "2"}
        with pytest.raises(RequestRefused, match="synchronous"):
            here.cancel(made.id)
        assert here.delete(made.id).deleted
        batch = here.batches.create(input_file_id="file_1", endpoint="/v1/responses", completion_window="24h")
        assert batch.id
        assert here.batches.retrieve(batch.id).status == "validating"
        assert len(here.batches.list().data) == 1
        assert here.batches.cancel(batch.id).status == "cancelling"


def test_a_streamed_response_gives_events_states_text_and_an_outcome() -> None:
    with toy() as here:
        with here.stream(model="toy", input="count to 3", background=True) as response:
            assert "".join(response.text()) == "1, 2, 3"
            assert response.outcome().status is OutcomeStatus.COMPLETED
        assert response.id
        with here.follow(response.id) as again:
            numbers = [event.sequence_number for event in again]
            assert numbers == list(range(len(numbers)))
            assert again.cursor == numbers[-1]
        with here.follow(response.id, starting_after=numbers[-3]) as rest:
            assert [state.cursor for state in rest.states()][:2] == numbers[-2:]


def test_a_batch_is_followed() -> None:
    with toy() as here:
        batch_id = here.batches.create(input_file_id="file_1", endpoint="/v1/responses").id or ""
        with here.batches.follow(batch_id) as batch:
            first = next(iter(batch))
            assert first.id == batch_id
            assert batch.batch is not None


def test_a_cancel_comes_from_another_thread_while_one_reads() -> None:
    results: list[CancelResult] = []
    with toy(tokens_per_second=20.0) as here:
        with here.stream(model="toy", input="count to 500", background=True) as response:
            for count, _ in enumerate(response.text(strict=False)):
                if count == 2:
                    other = threading.Thread(target=lambda: results.append(response.cancel()))
                    other.start()
            other.join()
            assert response.outcome().status is OutcomeStatus.CANCELLED
    assert results == [CancelResult.CANCEL_WON]


def test_several_threads_use_one_gateway() -> None:
    texts: list[str] = []

    def read(here: Gateway) -> None:
        with here.stream(model="toy", input="count to 9") as response:
            texts.append("".join(response.text()))

    with toy() as here:
        threads = [threading.Thread(target=read, args=(here,)) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert texts == ["1, 2, 3, 4, 5, 6, 7, 8, 9"] * 8


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_works_where_another_loop_runs_in_the_same_thread(backend: str) -> None:
    async def cell() -> str:
        with toy() as here:
            with here.stream(model="toy", input="count to 3") as response:
                return "".join(response.text())

    assert anyio.run(cell, backend=backend) == "1, 2, 3"


def test_what_is_recorded_is_in_the_log_that_was_opened_on_its_loop(tmp_path: Any) -> None:
    with toy() as here, here.opened(SqliteLog(tmp_path / "log.db")) as log:
        with here.stream(model="toy", input="count to 3", log=log) as response:
            response.outcome()
        with here.follow(response.id or "", log=log) as again:
            assert again.outcome().state.output_text == "1, 2, 3"


def test_leaving_early_closes_the_stream_and_the_gateway_works_on() -> None:
    here, stub = gateway(*WHOLE[:3], forever())
    with here:
        for _ in range(2):
            with here.stream(model="toy", input="hi") as response:
                for _ in response:
                    break
            assert stub.is_open == 0


def test_an_error_of_the_block_is_its_own() -> None:
    here, stub = gateway(*WHOLE[:3], forever())
    with here:
        for mine in (LookupError("mine"), LogUnusable("log", "mine"), StopIteration("mine")):
            with pytest.raises(type(mine)) as caught:
                with here.stream(model="toy", input="hi"):
                    raise mine
            assert caught.value is mine
            assert stub.is_open == 0


def test_a_response_that_cannot_be_entered_raises_why() -> None:
    stub = Stub(lambda request: Told(opening=Disconnected("gone")))
    with Gateway("http://stub", api_key="key", http=stub) as here:
        with pytest.raises(Disconnected, match="POST http://stub"):
            here.stream(model="toy", input="hi").__enter__()
        with pytest.raises(InvalidArgument):
            here.create(model="toy", input=7)  # type: ignore[arg-type]


def test_a_gateway_that_was_closed_says_so_and_closes_again() -> None:
    here, _ = gateway(*WHOLE)
    here.close()
    here.close()
    with pytest.raises(UsageError, match="closed"):
        here.retrieve("resp_1")


def test_a_gateway_may_be_closed_before_its_response_is_left() -> None:
    here, stub = gateway(*WHOLE[:3], forever())
    with here.stream(model="toy", input="hi") as response:
        next(iter(response))
        here.close()
        assert stub.is_open == 0
    here, _ = gateway(*WHOLE[:3], forever())
    with pytest.raises(LookupError, match="mine"):
        with here.stream(model="toy", input="hi"):
            here.close()
            raise LookupError("mine")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_that_was_forked_is_refused() -> None:
    script = f"{SCRIPT}{FORK}"
    # Python 3.12 and later warn of what is tried here: a fork of a process that has threads.
    python = [sys.executable, "-W", "ignore:This process:DeprecationWarning"]
    done = subprocess.run([*python, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("completed\nUsageError\n", "", 0)


def test_no_thread_is_started_before_it_is_needed_and_none_is_left() -> None:
    before = threading.active_count()
    here, _ = gateway(*WHOLE)
    assert threading.active_count() == before
    with here:
        here.stream(model="toy", input="hi").__enter__()  # never left
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


@pytest.fixture
def interrupt() -> Iterator[threading.Timer]:
    """Ctrl-C for this thread, soon after it is started."""
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield timer
    timer.cancel()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_reading_ends_the_read_and_closes_the_stream(interrupt: threading.Timer) -> None:
    here, stub = gateway(*WHOLE[:3], forever())
    with here:
        with pytest.raises(KeyboardInterrupt):
            with here.stream(model="toy", input="hi") as response:
                interrupt.start()
                for _ in response:
                    pass
        assert stub.is_open == 0


def test_ctrl_c_while_it_connects_leaves_nothing_open(interrupt: threading.Timer) -> None:
    stub = Stub(lambda request: Told(opening=forever()))
    with Gateway("http://stub", api_key="key", http=stub) as here:
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            here.stream(model="toy", input="hi").__enter__()
        assert stub.is_open == 0


SCRIPT = """
from streamfold.client.blocking import Gateway
from streamfold.client.transport.asgi import AsgiTransport
from streamfold.emulator import Emulator, Options

gateway = Gateway("http://emulator/v1", api_key="key", http=AsgiTransport(Emulator(Options(tokens_per_second=None))))
print(gateway.create(model="toy", input="echo hi").status)
"""

FORK = """
import os, sys
from streamfold.errors import UsageError

sys.stdout.flush()
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    gateway.retrieve("resp_1")
except UsageError as error:
    print("UsageError" if "forked" in str(error) else error, flush=True)
os._exit(0)  # as multiprocessing and web servers end their children
"""


def test_a_script_that_never_closes_its_gateway_ends() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("completed\n", "", 0)
