"""One connection to a server, and the commands that go over it together.

In      commands, of many tasks at once
Out     an Answered for each
Units   seconds
Errors  none are raised: what went wrong is the answer
Source  decision 0014

What is asked while a pipeline is on its way is the next pipeline. Where an append must reach a replica, one WAIT at
the end of it is for all: it waits for what this connection wrote.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast

import hiredis
from attrs import frozen
from redis.exceptions import ResponseError

from streamfold.errors import LogUnusable
from streamfold.log.valkey.script import Answer, Command
from streamfold.log.worker import CLOSED

__all__ = ["ANSWER_SECONDS", "Answered", "Connect", "Group"]

pack: Callable[[Command], bytes] = cast(Any, hiredis).pack_command  # whose stub knows commands of one word alone

MOST = 256  # calls in a pipeline
ANSWER_SECONDS = 10.0  # for all answers to a pipeline; more than a server waits for its replicas

Connect = Callable[[], Any]  # a Connection of redis-py, not connected yet


@frozen
class Answered:
    """What came of a command. answer: an exception where it failed. kept: what the WAIT behind it said."""

    answer: Answer
    kept: Answer = None


class Group:
    """A connection, opened when it is needed. behind: the command that ends each pipeline, if any."""

    def __init__(self, connect: Connect, *, behind: Command | None = None) -> None:
        self._connection = connect()
        self._behind = behind
        self._waiting: deque[tuple[Command, bool, asyncio.Future[Answered]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    async def do(self, command: Command, *, is_asking: bool = False) -> Answered:
        """Have it done. is_asking: also by a server that the command's keys are just moved to.

        Who is cancelled while it waits does not stop it.
        """
        if self._is_closed:
            return Answered(LogUnusable("the server", CLOSED))
        done: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, is_asking, done))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await done

    async def reset(self) -> None:
        """Connect anew for the next pipeline, as to another server of the same name."""
        if self._task is None:
            await self._connection.disconnect(nowait=True)

    async def aclose(self) -> None:
        """Do what was asked for, and end."""
        self._is_closed = True
        if self._task is not None:
            await self._task
        await self._connection.disconnect()

    async def _work(self) -> None:
        while self._waiting:
            calls = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
            commands: list[Command] = []
            for command, is_asking, _ in calls:
                commands += [("ASKING",), command] if is_asking else [command]
            if self._behind is not None:
                commands.append(self._behind)
            answers = iter(await self._pipeline(commands))
            answered = [(done, [next(answers) for _ in range(1 + is_asking)][-1]) for _, is_asking, done in calls]
            kept = next(answers, None)
            for done, answer in answered:
                if not done.done():  # else nobody waits any longer
                    done.set_result(Answered(answer, kept))
        self._task = None

    async def _pipeline(self, commands: list[Command]) -> Iterable[Answer]:
        connection = self._connection
        answers: list[Answer] = []
        try:
            # One clock for all of it: redis-py's own, for each answer, costs more than reading that.
            async with asyncio.timeout(ANSWER_SECONDS):
                if not connection.is_connected:
                    await connection.connect()
                await connection.send_packed_command([pack(command) for command in commands])
                for _ in commands:
                    answers.append(await _answer(connection))
        except Exception as error:  # whatever it is, somebody waits to be told; what was answered before stays so
            await connection.disconnect(nowait=True)
            answers += [error] * (len(commands) - len(answers))
        return answers


async def _answer(connection: Any) -> Answer:
    try:
        return await connection.read_response()
    except ResponseError as refused:
        return refused
