"""A gateway on this machine that is really gone for ten seconds. Longer outages are the simulation's, in virtual time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, TaskStatus

from streamfold.client import Gateway, Request
from streamfold.client.conformance import FaultyServer, Story, Wire
from streamfold.session import OutcomeStatus, Patience
from tests.client.served import KEY, client, json_told, story
from tests.client.stub import Told, query_of, stream
from tests.session.made import added, created, delta, ended

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

GONE_SECONDS = 10.0
WORDS = [f"word{number} " for number in range(20)]
EVENTS = [created(0), added(1), *(delta(number, word) for number, word in enumerate(WORDS, 2))]
END = ended(len(EVENTS), text="".join(WORDS))
PATIENCE = Patience(idle_seconds=2.0)  # how long a gateway that takes connections and says nothing is waited for


def first_half(request: Request) -> Told:
    return stream(*EVENTS[:9], ConnectionError("gone"))


def the_rest(request: Request) -> Told:
    assert request.method == "GET", "one response, created once"
    return stream(*EVENTS[int(query_of(request)["starting_after"]) + 1 :], END)


async def nothing(wire: Wire) -> None:
    await wire.gone()


OUTAGES: dict[str, Story | None] = {
    "refused": None,
    "a black hole": nothing,
    "503": story(lambda *_: json_told({"error": "down"}, 503)),
}


@asynccontextmanager
async def listening(run: Story, port: int = 0) -> AsyncGenerator[int, None]:
    """A server on this port, until the context is left."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, FaultyServer("", run).handle)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


def answering(answer: object) -> Story:
    return story(lambda method, target, headers, body: answer(Request(method=method, url=f"http://{target}")))  # type: ignore[operator]


async def be_gone_for_a_while(outage: str, gone: anyio.Event, *, task_status: TaskStatus[int]) -> None:
    """A gateway that answers, then is gone, then is back."""
    during = OUTAGES[outage]
    async with listening(answering(first_half)) as port:
        task_status.started(port)
        await gone.wait()
    if during is None:
        await anyio.sleep(GONE_SECONDS)
    else:
        async with listening(during, port):
            await anyio.sleep(GONE_SECONDS)
    async with listening(answering(the_rest), port):
        await anyio.sleep_forever()


@pytest.mark.parametrize("kind", ["httpx2", "direct"])
@pytest.mark.parametrize("outage", OUTAGES)
async def test_a_response_outlasts_an_outage_of_ten_seconds(kind: str, outage: str) -> None:
    gone = anyio.Event()
    async with client(kind) as http, anyio.create_task_group() as tasks:
        port = await tasks.start(be_gone_for_a_while, outage, gone)
        here = Gateway(f"http://127.0.0.1:{port}/v1", api_key=KEY, http=http, patience=PATIENCE)
        async with here.stream(model="toy", input="hi", background=True) as response:
            events = [await anext(response) for _ in range(9)]
            began = anyio.current_time()
            gone.set()
            events += [event async for event in response]
            outcome = await response.outcome()
        took = anyio.current_time() - began
        tasks.cancel_scope.cancel()
    assert (outcome.status, outcome.state.output_text) == (OutcomeStatus.COMPLETED, "".join(WORDS))
    assert [event.sequence_number for event in events] == list(range(len(EVENTS) + 1))
    assert not outcome.is_compacted
    assert took >= GONE_SECONDS
