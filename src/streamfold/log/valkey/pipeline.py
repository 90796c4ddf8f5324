"""One connection to a server, over which the commands of many tasks travel as pipelines."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast

import hiredis
from attrs import frozen
from redis.exceptions import ResponseError

from streamfold.errors import LogUnusable
from streamfold.log.log import CLOSED
from streamfold.log.valkey.script import Answer, Command

# Theory of operation. Two tasks share the connection: `_send` writes what is waiting, `_read` reads answers in order and
# gives each to its caller. Commands that arrive while others are being sent are the next pipeline.
#
# Without a wait command, `_send` does not wait for answers: the server works on one pipeline while we prepare the next,
# and `_sent` holds the pipelines whose answers are outstanding, oldest first.
#
# With one (WAIT for a replica, WAITAOF for disks), each pipeline ends with that command, and it speaks for all of the
# pipeline: the server answers it once everything this connection wrote has arrived there. So a pipeline should hold as
# many writes as possible, and the next one is not sent before the last is answered. That is group commit by another name:
# the wait for the replica is shared, as the wait for the disk is in the SQLite writer.
#
# A failure ends the connection, and every command whose answer is outstanding gets the error as its answer: nobody can
# know which of them the server has done. `Servers` decides whether to send them again, and all of them may be repeated.

pack: Callable[[Command], bytes] = cast(Any, hiredis).pack_command  # its stub allows commands of one word only

ASKING = pack(("ASKING",))
MAX_COMMANDS = 256  # in one pipeline
AT_ONCE = 32  # answers that are delivered before their callers run; they ask for more while we read on
ANSWER_SECONDS = 10.0  # for all answers to a pipeline; more than a server waits for its replicas

Connect = Callable[[], Any]  # returns a Connection of redis-py that is not connected yet


@frozen
class PipelineAnswer:
    """The answer to a command, an exception if it failed; and the answer to the wait command that followed it."""

    answer: Answer
    waited: Answer = None


Asked: TypeAlias = tuple[bytes, bool, asyncio.Future[PipelineAnswer]]  # packed; the flag: whether ASKING precedes it


class Pipeline:
    """A connection, opened when it is first needed. `wait_command` ends each pipeline."""

    def __init__(self, connect: Connect, *, wait_command: Command | None = None) -> None:
        self._connection = connect()
        self._wait_command = wait_command
        self._waiting: deque[Asked] = deque()
        self._sent: deque[list[Asked]] = deque()  # pipelines that are not answered yet
        self._sending: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None  # runs as long as answers are outstanding
        self._is_closed = False

    async def execute(self, command: Command, *, is_asking: bool = False) -> PipelineAnswer:
        """Send a command and wait for its answer. Cancelling the waiter does not stop the command.

        With `is_asking`, ASKING goes first, so that a server which is just importing the key's slot accepts it.
        """
        if self._is_closed:
            return PipelineAnswer(LogUnusable("the server", CLOSED))
        packed = pack(command)  # here, so that a command that cannot be packed fails alone
        done: asyncio.Future[PipelineAnswer] = asyncio.get_running_loop().create_future()
        self._waiting.append((packed, is_asking, done))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await done

    async def reset(self) -> None:
        """Connect again for the next pipeline: another server may have the name now."""
        if self._sending is None and self._reading is None:
            await self._connection.disconnect(nowait=True)

    async def aclose(self) -> None:
        self._is_closed = True
        if self._sending is not None:
            await self._sending
        await self._until_answered()
        await self._connection.disconnect()

    async def _send(self) -> None:
        while self._waiting:
            if self._wait_command is not None:
                await self._until_answered()
            asked = [self._waiting.popleft() for _ in range(min(MAX_COMMANDS, len(self._waiting)))]
            try:
                await self._send_together(asked)
            except Exception as error:  # whatever it is, every caller must get an answer
                await self._connection.disconnect(nowait=True)
                await self._until_answered()
                _answer(asked, error)
        self._sending = None

    async def _send_together(self, asked: list[Asked]) -> None:
        packed: list[bytes] = []
        for command, is_asking, _ in asked:
            packed += [ASKING, command] if is_asking else [command]
        if self._wait_command is not None:
            packed.append(pack(self._wait_command))
        if not self._connection.is_connected:
            await self._until_answered()  # `_read` disconnects on an error, and must not close the new connection
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._connection.connect()
        # Before the bytes leave: an answer may arrive while `send_packed_command` is still waiting for the socket.
        self._sent.append(asked)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        await self._connection.send_packed_command(packed)

    async def _until_answered(self) -> None:
        if self._reading is not None:
            await self._reading

    async def _read(self) -> None:
        while self._sent:
            try:
                # One timeout for the whole pipeline: redis-py's own, per answer, costs more than reading the answer.
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._read_answers(self._sent[0])
                self._sent.popleft()
            except Exception as error:  # whatever it is, every caller must get an answer
                await self._connection.disconnect(nowait=True)
                while self._sent:
                    _answer(self._sent.popleft(), error)
        self._reading = None

    async def _read_answers(self, asked: Sequence[Asked]) -> None:
        if self._wait_command is not None:
            answers = [await self._answer_to(each) for each in asked]
            waited = await _response(self._connection)
            for each, answer in zip(asked, answers, strict=True):
                _answer([each], answer, waited)
            return
        for count, each in enumerate(asked, start=1):
            _answer([each], await self._answer_to(each))
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _answer_to(self, asked: Asked) -> Answer:
        _, is_asking, _ = asked
        if is_asking:
            await _response(self._connection)
        return await _response(self._connection)


def _answer(asked: Iterable[Asked], answer: Answer, waited: Answer = None) -> None:
    for _, _, done in asked:
        if not done.done():  # else it is answered already, or its caller was cancelled
            done.set_result(PipelineAnswer(answer, waited))


async def _response(connection: Any) -> Answer:
    try:
        return await connection.read_response()
    except ResponseError as refused:
        return refused
