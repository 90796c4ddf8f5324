"""Pipeline: which commands go together, when the next ones are sent, and who is told what when the connection breaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import hiredis
import pytest
from redis.asyncio import Connection

from streamfold.errors import LogUnusable
from streamfold.log.valkey.pipeline import AT_ONCE, Pipeline, PipelineAnswer
from streamfold.log.valkey.script import Command

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

WAIT: Command = ("WAIT", 1, 2_000)


class Server:
    """It reads what a test then answers. got: the commands of which no answer was asked yet, one after the other."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[bytes, ...]] = asyncio.Queue()
        self.port = 0
        self.left: list[asyncio.Event] = []  # set once a connection is closed
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        left = asyncio.Event()
        self.left.append(left)
        with suppress(ConnectionError):
            await self._read(reader, writer)
            writer.close()
            await writer.wait_closed()
        left.set()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = hiredis.Reader()
        while said := await reader.read(65_536):
            parser.feed(said)
            while (command := parser.gets()) is not False:
                if command[0] == b"CLIENT":  # redis-py tells its name
                    writer.write(b"+OK\r\n")
                else:
                    self.got.put_nowait(tuple(command))

    async def commands(self, count: int) -> list[bytes]:
        """The first words of the next so many."""
        with anyio.fail_after(5):
            return [(await self.got.get())[0] for _ in range(count)]

    def answer(self, *numbers: int) -> None:
        assert self._writer is not None
        self._writer.write(b"".join(b":%d\r\n" % number for number in numbers))

    def hang_up(self) -> None:
        assert self._writer is not None
        self._writer.close()


@asynccontextmanager
async def grouped(*, wait_command: Command | None = None) -> AsyncIterator[tuple[Server, Pipeline]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    pipeline = Pipeline(lambda: Connection(host="127.0.0.1", port=server.port, protocol=2), wait_command=wait_command)
    try:
        yield server, pipeline
    finally:
        await pipeline.aclose()
        listening.close()
        for left in server.left:
            await left.wait()


def asked(pipeline: Pipeline, *words: str) -> list[asyncio.Task[PipelineAnswer]]:
    return [asyncio.create_task(pipeline.execute((word,))) for word in words]


async def answers(tasks: list[asyncio.Task[PipelineAnswer]]) -> list[object]:
    with anyio.fail_after(5):
        return [each.answer for each in await asyncio.gather(*tasks)]


async def test_what_is_asked_later_is_sent_before_the_first_is_answered() -> None:
    async with grouped() as (server, pipeline):
        first = asked(pipeline, "A", "B")
        assert await server.commands(2) == [b"A", b"B"]
        second = asked(pipeline, "C")
        assert await server.commands(1) == [b"C"]
        server.answer(1, 2, 3)
        assert await answers(first + second) == [1, 2, 3]


async def test_each_has_its_answer_as_it_comes() -> None:
    async with grouped() as (server, pipeline):
        [first, second] = asked(pipeline, "A", "B")
        await server.commands(2)
        server.answer(1)
        assert await answers([first]) == [1]
        assert not second.done()
        server.answer(2)
        assert await answers([second]) == [2]


async def test_who_is_answered_goes_on_before_all_are_read() -> None:
    async with grouped() as (server, pipeline):
        order: list[int] = []

        async def note(number: int) -> None:
            order.append((await pipeline.execute((f"C{number}",))).answer)

        reading = [asyncio.create_task(note(number)) for number in range(2 * AT_ONCE)]
        await server.commands(2 * AT_ONCE)
        connection = pipeline._connection
        read, turns = connection.read_response, []

        async def counted() -> object:
            turns.append(len(order))
            return await read()

        connection.read_response = counted
        server.answer(*range(2 * AT_ONCE))
        await asyncio.gather(*reading)
        assert order == list(range(2 * AT_ONCE))
        assert turns[-1] >= AT_ONCE


async def test_behind_a_wait_the_next_pipeline_waits_for_the_answers() -> None:
    async with grouped(wait_command=WAIT) as (server, pipeline):
        first = asked(pipeline, "A", "B")
        assert await server.commands(3) == [b"A", b"B", b"WAIT"]
        second = asked(pipeline, "C", "D")
        await anyio.wait_all_tasks_blocked()
        assert server.got.empty()
        server.answer(1, 2)
        await anyio.wait_all_tasks_blocked()
        assert not any(each.done() for each in first), "what the WAIT said belongs to the answer"
        server.answer(7)
        assert [(each.answer, each.waited) for each in await asyncio.gather(*first)] == [(1, 7), (2, 7)]
        assert await server.commands(3) == [b"C", b"D", b"WAIT"]
        server.answer(3, 4, 8)
        assert [each.waited for each in await asyncio.gather(*second)] == [8, 8]


async def test_when_the_connection_breaks_what_is_answered_stays_and_the_rest_is_told() -> None:
    async with grouped() as (server, pipeline):
        first, second = asked(pipeline, "A", "B"), asked(pipeline, "C")
        await server.commands(3)
        third = asked(pipeline, "D")
        await server.commands(1)
        server.answer(1)
        assert await answers(first[:1]) == [1]
        server.hang_up()
        assert all(isinstance(each, Exception) for each in await answers(first[1:] + second + third))
        again = asked(pipeline, "E")
        assert await server.commands(1) == [b"E"]
        server.answer(5)
        assert await answers(again) == [5]
        assert len(server.left) == 2


async def test_where_nobody_listens_each_is_told_and_the_next_is_tried_anew() -> None:
    async with grouped() as (server, pipeline):
        pipeline._connection.port = 1
        assert all(isinstance(each, Exception) for each in await answers(asked(pipeline, "A", "B")))
        pipeline._connection.port = server.port
        again = asked(pipeline, "C")
        assert await server.commands(1) == [b"C"]
        server.answer(3)
        assert await answers(again) == [3]


async def test_a_refusal_is_the_answer_of_one_alone() -> None:
    async with grouped() as (server, pipeline):
        tasks = asked(pipeline, "A", "B", "C")
        await server.commands(3)
        server.answer(1)
        assert server._writer is not None
        server._writer.write(b"-ERR no\r\n")
        server.answer(3)
        one, refused, three = await answers(tasks)
        assert (one, str(refused), three) == (1, "no", 3)


async def test_a_group_that_is_closed_does_first_what_was_asked() -> None:
    async with grouped() as (server, pipeline):
        tasks = asked(pipeline, "A")
        await server.commands(1)
        closing = asyncio.create_task(pipeline.aclose())
        await anyio.wait_all_tasks_blocked()
        assert isinstance((await pipeline.execute(("B",))).answer, LogUnusable)
        server.answer(1)
        assert await answers(tasks) == [1]
        await closing
