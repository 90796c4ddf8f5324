"""One connection to a server, and the commands that go over it together.

In      commands, of many tasks at once
Out     an Answered for each
Units   seconds
Errors  none are raised: what went wrong is the answer
Source  decision 0014

What is asked while others are sent is the next pipeline, which does not wait for the answers to the last: so the server
works while we do. Where an append must reach a replica, one WAIT at the end of a pipeline is for all: it waits for what
this connection wrote. There the next pipeline waits for the answers, so that one WAIT is for as many as can be.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast

import hiredis
from attrs import frozen
from redis.exceptions import ResponseError

from streamfold.errors import LogUnusable
from streamfold.log.valkey.script import Answer, Command
from streamfold.log.worker import CLOSED

__all__ = ["ANSWER_SECONDS", "Answered", "Connect", "Group"]

pack: Callable[[Command], bytes] = cast(Any, hiredis).pack_command  # whose stub knows commands of one word alone

MOST = 256  # calls in a pipeline
AT_ONCE = 32  # answers that are given out together: who got them asks for the next, while we read on
ANSWER_SECONDS = 10.0  # for all answers to a pipeline; more than a server waits for its replicas

Connect = Callable[[], Any]  # a Connection of redis-py, not connected yet


@frozen
class Answered:
    """What came of a command. answer: an exception where it failed. kept: what the WAIT behind it said."""

    answer: Answer
    kept: Answer = None


Asked: TypeAlias = tuple[Command, bool, asyncio.Future[Answered]]  # the second: whether ASKING goes before it


class Group:
    """A connection, opened when it is needed. behind: the command that ends each pipeline, if any."""

    def __init__(self, connect: Connect, *, behind: Command | None = None) -> None:
        self._connection = connect()
        self._behind = behind
        self._waiting: deque[Asked] = deque()
        self._sent: deque[list[Asked]] = deque()  # pipelines that are not answered yet
        self._sending: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None  # as long as anything is sent
        self._is_closed = False

    async def do(self, command: Command, *, is_asking: bool = False) -> Answered:
        """Have it done. is_asking: also by a server that the command's keys are just moved to.

        Who is cancelled while it waits does not stop it.
        """
        if self._is_closed:
            return Answered(LogUnusable("the server", CLOSED))
        done: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, is_asking, done))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await done

    async def reset(self) -> None:
        """Connect anew for the next pipeline, as to another server of the same name."""
        if self._sending is None and self._reading is None:
            await self._connection.disconnect(nowait=True)

    async def aclose(self) -> None:
        """Do what was asked for, and end."""
        self._is_closed = True
        if self._sending is not None:
            await self._sending
        await self._until_answered()
        await self._connection.disconnect()

    async def _send(self) -> None:
        while self._waiting:
            if self._behind is not None:
                await self._until_answered()
            asked = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
            try:
                await self._send_together(asked)
            except Exception as error:  # whatever it is, somebody waits to be told
                await self._connection.disconnect(nowait=True)
                await self._until_answered()
                _answer(asked, error)
        self._sending = None

    async def _send_together(self, asked: list[Asked]) -> None:
        commands: list[Command] = []
        for command, is_asking, _ in asked:
            commands += [("ASKING",), command] if is_asking else [command]
        if self._behind is not None:
            commands.append(self._behind)
        packed = [pack(command) for command in commands]
        if not self._connection.is_connected:
            await self._until_answered()  # else who reads could let go of the new connection
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._connection.connect()
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
                # One clock for all of it: redis-py's own, for each answer, costs more than reading that.
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._read_answers(self._sent[0])
                self._sent.popleft()
            except Exception as error:  # whatever it is, somebody waits to be told
                await self._connection.disconnect(nowait=True)
                while self._sent:
                    _answer(self._sent.popleft(), error)
        self._reading = None

    async def _read_answers(self, asked: Sequence[Asked]) -> None:
        if self._behind is not None:
            answers = [await self._answer_to(each) for each in asked]
            kept = await _response(self._connection)
            for each, answer in zip(asked, answers, strict=True):
                _answer([each], answer, kept)
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


def _answer(asked: Iterable[Asked], answer: Answer, kept: Answer = None) -> None:
    for _, _, done in asked:
        if not done.done():  # else it is answered, or nobody waits any longer
            done.set_result(Answered(answer, kept))


async def _response(connection: Any) -> Answer:
    try:
        return await connection.read_response()
    except ResponseError as refused:
        return refused
