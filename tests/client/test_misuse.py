"""An async object in a plain `with` or `for`, and a blocking one in `async with`: the error says what to write."""

from typing import Any

import pytest

from streamfold.client import blocking
from streamfold.errors import UsageError
from tests.client.follow.test_follow import WHOLE, gateway, in_turn
from tests.client.stub import Stub, stream

pytestmark = pytest.mark.anyio


def everything() -> dict[str, Any]:
    here, _ = gateway(in_turn(stream(*WHOLE)))
    return {
        "Gateway": here,
        "stream": here.stream(model="toy", input="hi"),
        "follow": here.follow("resp_1"),
        "batches.follow": here.batches.follow("batch_1"),
    }


NAMES = list(everything())


@pytest.mark.parametrize("name", NAMES)
async def test_awaiting_says_to_use_async_with(name: str) -> None:
    with pytest.raises(UsageError, match=r"use `async with .*streamfold\.client.blocking"):
        await everything()[name]


@pytest.mark.parametrize("name", NAMES)
async def test_a_plain_with_says_to_use_async_with(name: str) -> None:
    with pytest.raises(UsageError, match="use `async with "), everything()[name]:
        pass


@pytest.mark.parametrize("name", NAMES)
async def test_a_plain_for_says_to_use_async(name: str) -> None:
    with pytest.raises(UsageError, match="use `async with "):
        for _ in everything()[name]:
            pass


@pytest.mark.parametrize("how", ["states", "text"])
async def test_a_plain_for_over_what_is_read_says_to_use_async_for(how: str) -> None:
    here, _ = gateway(in_turn(stream(*WHOLE)))
    async with here.stream(model="toy", input="hi") as response:
        with pytest.raises(UsageError, match="use `async for "):
            list(getattr(response, how)())


def blocking_ones() -> dict[str, Any]:
    here = blocking.Gateway("http://stub", api_key="key", http=Stub(in_turn(stream(*WHOLE))))
    return {
        "Gateway": here,
        "stream": here.stream(model="toy", input="hi"),
        "batches.follow": here.batches.follow("batch_1"),
    }


@pytest.mark.parametrize("name", list(blocking_ones()))
async def test_async_with_on_a_blocking_one_says_to_use_with(name: str) -> None:
    with pytest.raises(UsageError, match=r"with` and `for`|use `with .*streamfold\.client for code with async"):
        async with blocking_ones()[name]:
            pass


async def test_async_for_over_a_blocking_response_says_to_use_for() -> None:
    with pytest.raises(UsageError, match="use a plain `with` and `for`"):
        async for _ in blocking_ones()["stream"]:
            pass
