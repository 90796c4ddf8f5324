"""The threads of a SQLite log, and the writer, which makes all waiting writes one transaction."""

import sqlite3
from collections.abc import Awaitable, Callable, Generator, Hashable
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import anyio
from anyio.lowlevel import current_token

from streamfold.errors import LogUnusable, StreamfoldError
from streamfold.log.log import CLOSED
from streamfold.log.sqlite.file import FAILURES, Files, Lock, connect, explain
from streamfold.log.sqlite.notify import Notification, Notifier
from streamfold.log.sqlite.queries import Transaction
from streamfold.log.sqlite.schema import require_version

# Theory of operation. A commit waits for the disk, milliseconds during which nothing can be written, and the wait does
# not grow with what is committed. So the writer never commits one append: while a commit waits, other appends queue up,
# and the next transaction takes all of them. A thousand streams that grow at once share one wait.
#
#     task          ── run(job) ──▶ queue        the event loop never touches the file
#     writer thread lock the file · BEGIN · job, job, job … · COMMIT · tidy up · unlock · notify
#     event loop    ◀── results, all jobs of a loop in one call
#
# - A job that raises an error of ours has not written anything yet (queries check first), so it fails alone and the rest
#   of its transaction is committed. Any other error of a job rolls the transaction back, and each job then has a transaction
#   of its own: only the one that fails again fails. An error of the transaction itself fails every job in it.
# - Nothing is acknowledged before COMMIT has returned and the files are still those at the log's path. Other processes are notified after the lock is free: a reader
#   that wakes up finds the records, and finds the file unlocked.
# - A waiter that is cancelled does not stop its job. It cannot know whether the append happened, and may send it again.
# - The file lock orders processes, not SQLite's own busy handler, which polls and lets one of many writers starve.
#
# The reader is a second thread with its own connection: in WAL mode it never waits for the writer.

MAX_JOBS = 256  # in one transaction
WAL_BYTES = 8 * 1024 * 1024  # above this size the write-ahead log is moved into the file

CallSoon = Callable[[Callable[[], object]], object]
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def current_call_soon() -> CallSoon:
    """A function that calls another one in the event loop that runs now. It may be used from any thread."""
    token: Any = current_token()
    loop: Any = getattr(token, "native_token", token)  # anyio wraps it since 4.11
    call_soon: CallSoon = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon  # asyncio's, or trio's
    return call_soon


class _Job:
    def __init__(self, run: Callable[[], Any], dedupe_key: Hashable) -> None:
        self.run = run
        self.dedupe_key = dedupe_key
        self.has_begun = False  # set by the thread before the job runs: no later caller may share its result
        self.call_soon = current_call_soon()
        self.is_done = anyio.Event()  # belongs to the caller's loop, so only that loop sets it
        self.result: Any = None
        self.error: BaseException | None = None


class Worker:
    """A thread that runs jobs in groups: those that arrived while it was busy are the next group.

    It enters `around` for each group, and delivers results once that has exited. Errors have its name.
    """

    def __init__(self, name: str, *, around: Callable[[], AbstractContextManager[None]], max_jobs: int) -> None:
        self._name = name
        self._around = around
        self._max_jobs = max_jobs
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._shared: dict[Hashable, _Job] = {}
        self._is_closed = False
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, run: Callable[[], Result], *, dedupe_key: Hashable = None) -> Result:
        """Run a job in the thread and wait for its result. Jobs with the same key that have not begun share one run.

        Cancelling the waiter does not cancel the job. Raises LogUnusable if the worker is closed.
        """
        if self._is_closed:
            raise LogUnusable(self._name, CLOSED)
        # A job that has begun may have read already: its result could be older than this call, so it is not shared.
        job = self._shared.get(dedupe_key)
        if job is None or job.has_begun:
            job = _Job(run, dedupe_key)
            if dedupe_key is not None:
                self._shared[dedupe_key] = job
            self._jobs.put(job)
        await job.is_done.wait()
        if job.error is not None:
            raise job.error
        return cast(Result, job.result)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        is_over = False
        while not is_over:
            group: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                job.has_begun = True
                group.append(job)
                if self._jobs.empty() or len(group) >= self._max_jobs:
                    break
                job = self._jobs.get()
            is_over = job is None
            if group:
                self._run_group(group)
                self._deliver(group)

    def _run_group(self, group: list[_Job]) -> None:
        running: _Job | None = None
        try:
            with self._around():
                for job in group:
                    running = job
                    try:
                        job.result = job.run()
                    except StreamfoldError as refused:
                        job.error = refused
                running = None
        except BaseException as error:  # the thread must live on, and every waiter must be woken
            if running is not None and len(group) > 1:
                for job in group:
                    job.error = None
                    self._run_group([job])
            else:
                for job in group:
                    job.error = job.error or error

    def _deliver(self, group: list[_Job]) -> None:
        # Waking a loop from another thread writes to a socket: once per loop, not once per job.
        by_loop: dict[CallSoon, list[_Job]] = {}
        for job in group:
            by_loop.setdefault(job.call_soon, []).append(job)
        for call_soon, jobs in by_loop.items():
            with suppress(RuntimeError):  # that loop is closed, and its waiters are gone
                call_soon(partial(self._set_done, jobs))

    def _set_done(self, jobs: list[_Job]) -> None:
        for job in jobs:
            if self._shared.get(job.dedupe_key) is job:
                del self._shared[job.dedupe_key]
            job.is_done.set()


class Writer:
    """The one writer of a log in this process. Raises LogUnusable if the file cannot be opened for writing."""

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._path = path
        self._wal = Path(f"{path}-wal")
        self._connection = connect(path, may_write=True)
        self.files: Files = Files(path)
        self._lock = Lock(path)
        self._transaction = Transaction(self._connection, clock)
        self._worker = Worker(f"{path}", around=self._commit, max_jobs=MAX_JOBS)
        self.notifier: Notifier = Notifier(path)

    def write(
        self,
        query: Callable[Concatenate[Transaction, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Awaitable[Result]:
        """Run a query of `queries` in the next transaction, and return once that is on the disk."""
        return self._worker.run(partial(query, self._transaction, *args, **kwargs))

    def close(self) -> None:
        if self.files.lost():
            # SQLite deletes the -wal by its name when it closes the last connection, and another log may have that name now.
            # So this connection stays open for as long as its thread, which nothing ends before the process.
            self.notifier.close()
            return
        self._worker.close()
        with self._lock.held():  # closing the last connection moves the write-ahead log into the file
            self._connection.close()
            self._note_size()
        self.notifier.close()
        self._lock.close()

    @contextmanager
    def _commit(self) -> Generator[None]:
        transaction = self._transaction
        transaction.notification = Notification.NOTHING
        try:
            with self._lock.held():
                self._require_whole()
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    require_version(self._path, self._connection)
                    yield
                    self._connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):  # some failures have ended the transaction
                        self._connection.execute("ROLLBACK")
                    raise
                self.files.require()
                # The commit stands whatever happens here: tidying is tried again after the next commit, and a disk
                # that fails for good fails that one.
                with suppress(sqlite3.Error, OSError):
                    self._tidy()
        except FAILURES as error:
            raise LogUnusable(str(self._path), explain(error)) from error
        except OSError as error:  # for example a network file system without locks
            reason = self.files.lost() or f"its lock cannot be held: {error.strerror}"
            raise LogUnusable(str(self._path), reason) from error
        self.notifier.notify(transaction.notification)

    def _require_whole(self) -> None:
        """Check that the files are those that were opened, and that nobody has truncated the first."""
        self.files.require()
        least, size = self._lock.file_bytes, self._path.stat().st_size
        if least is not None and size < least:
            # Another program may have made it smaller in a proper way, as VACUUM does.
            if self._connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                reason = f"the file is cut short: it has {size:,} of {least:,} bytes; restore it from a copy"
                raise LogUnusable(str(self._path), reason)
            self._lock.note_file_bytes(size)

    def _note_size(self) -> None:
        """Only moving the write-ahead log into the file changes the file's size, and only a holder of the lock does that."""
        self._lock.note_file_bytes(self._path.stat().st_size)

    def _tidy(self) -> None:
        if self._transaction.has_dropped:
            # As a script it runs to its end; as a statement it would free one page.
            self._connection.executescript("PRAGMA incremental_vacuum;")
            self._transaction.has_dropped = False
        if self._wal.exists() and self._wal.stat().st_size > WAL_BYTES:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._note_size()
