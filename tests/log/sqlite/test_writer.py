"""Worker: jobs in their order, in groups; who is refused, who fails with the group, and who is no longer there."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from threading import Event

import anyio
import pytest

from streamfold.errors import LogGap, LogUnusable
from streamfold.log.sqlite.writer import Worker

pytestmark = pytest.mark.anyio


class Groups:
    """Counts the groups, and can fail their end."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.done: list[int] = []
        self.error: Exception | None = None

    @contextmanager
    def around(self) -> Generator[None]:
        before = len(self.done)
        yield
        self.sizes.append(len(self.done) - before)
        if self.error is not None:
            raise self.error

    def job(self, result: int) -> int:
        self.done.append(result)
        return result


async def test_jobs_that_come_while_it_is_busy_are_one_group() -> None:
    groups, begun, go = Groups(), Event(), Event()
    worker = Worker("test", around=groups.around, max_jobs=5)
    results: list[int] = []

    def keep_busy() -> None:
        begun.set()
        go.wait()

    async def ask(number: int) -> None:
        results.append(await worker.run(lambda: groups.job(number)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run, keep_busy)
        await anyio.to_thread.run_sync(begun.wait)
        for number in range(12):
            tasks.start_soon(ask, number)
            await anyio.wait_all_tasks_blocked()
        go.set()
    worker.close()
    assert groups.done == sorted(results) == list(range(12))
    assert groups.sizes == [0, 5, 5, 2]


async def test_what_is_asked_for_many_times_before_it_begins_is_done_once() -> None:
    groups, begun, go = Groups(), Event(), Event()
    worker = Worker("test", around=groups.around, max_jobs=1)
    results: list[int] = []

    def keep_busy() -> int:
        begun.set()
        go.wait()
        return groups.job(0)

    async def ask(number: int, dedupe_key: str | None) -> None:
        results.append(await worker.run(lambda: groups.job(number), dedupe_key=dedupe_key))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(worker.run, keep_busy, dedupe_key="one"))
        await anyio.to_thread.run_sync(begun.wait)
        for number, dedupe_key in enumerate(("one", "one", "other", "one", None, None), 1):
            tasks.start_soon(ask, number, dedupe_key)
            await anyio.wait_all_tasks_blocked()
        go.set()
    worker.close()
    assert groups.done == [0, 1, 3, 5, 6]  # not with the one that had begun: it may have looked before
    assert sorted(results) == [1, 1, 1, 3, 5, 6]
    assert worker._shared == {}


async def test_a_job_of_ours_that_is_refused_refuses_itself_alone() -> None:
    groups = Groups()
    worker = Worker("test", around=groups.around, max_jobs=256)

    def refuse() -> None:
        raise LogGap(3, 5)

    with pytest.raises(LogGap):
        await worker.run(refuse)
    assert await worker.run(lambda: groups.job(1)) == 1
    worker.close()


async def test_a_job_that_fails_otherwise_fails_alone_too_and_the_others_are_done_apart() -> None:
    groups, gate = Groups(), Event()
    worker = Worker("the file", around=groups.around, max_jobs=10)
    caught: list[BaseException] = []

    async def run(job: object) -> None:
        try:
            await worker.run(job)  # type: ignore[arg-type]
        except OverflowError as error:
            caught.append(error)

    def overflow() -> None:
        raise OverflowError("an int that does not fit")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, gate.wait)
        await anyio.wait_all_tasks_blocked()
        for number in range(3):
            tasks.start_soon(run, partial(groups.done.append, number))
        tasks.start_soon(run, overflow)
        await anyio.wait_all_tasks_blocked()
        gate.set()
    worker.close()
    assert [str(each) for each in caught] == ["an int that does not fit"]
    assert sorted(groups.done[-3:]) == [0, 1, 2], "apart, after the group was rolled back"
    assert groups.sizes == [0, 1, 1, 1]


async def test_the_end_of_a_group_is_the_end_of_each_of_its_jobs() -> None:
    groups = Groups()
    groups.error = LogUnusable("here", "the disk is full")
    worker = Worker("test", around=groups.around, max_jobs=256)
    errors: list[str] = []

    async def ask() -> None:
        with pytest.raises(LogUnusable) as caught:
            await worker.run(lambda: groups.job(1))
        errors.append(str(caught.value))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
    groups.error = None
    assert await worker.run(lambda: groups.job(2)) == 2
    worker.close()
    assert errors == ["here: the disk is full"] * 3


async def test_whatever_a_job_raises_reaches_who_asked() -> None:
    worker = Worker("test", around=Groups().around, max_jobs=256)
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    worker.close()


async def test_after_its_end_it_takes_nothing() -> None:
    groups = Groups()
    worker = Worker("the log", around=groups.around, max_jobs=256)
    worker.close()
    worker.close()
    with pytest.raises(LogUnusable, match="the log: it was closed before"):
        await worker.run(lambda: groups.job(1))


def test_a_loop_that_is_gone_is_not_told() -> None:
    go, groups = Event(), Groups()

    async def ask_and_leave() -> Worker:
        worker = Worker("test", around=groups.around, max_jobs=256)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await worker.run(go.wait)
        return worker

    worker = anyio.run(ask_and_leave)
    go.set()
    worker.close()
    assert groups.sizes == [0]
