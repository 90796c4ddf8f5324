"""What a server can do, measured over plain HTTP: streamfold can only be as good as that."""

from enum import StrEnum
from typing import Any

import anyio
from attrs import frozen

from tests.servers.apps.prompt import Prompt
from tests.servers.wire import Said, Wire, events, is_stream


class Background(StrEnum):
    """How a response is made that continues without its reader."""

    STREAMED = "streamed"
    ANSWERED = "polled"  # a POST for a stream is answered with a JSON Response
    CREATED = "polled, by create"  # a POST for a stream is refused
    NO = "no"


@frozen(kw_only=True)
class Support:
    """What a server can do.

    Attributes:
        background: How background responses are made.
        retrieves: Whether a GET gives a finished Response.
        resumes: Whether a GET gives the events after a number again.
        cancels: Whether a running background response can be cancelled.
    """

    background: Background
    retrieves: bool
    resumes: bool
    cancels: bool


async def measure(wire: Wire, prompt: Prompt) -> Support:
    """Find out what a server can do. prompt: For responses that take a second."""
    background, response_id = await _find_background(wire, prompt)
    if background is Background.NO:
        response_id = await _finished(wire, prompt)
    said = await wire.retrieve(response_id)
    return Support(
        background=background,
        retrieves=said == Said("completed", prompt.answer),
        resumes=await wire.first_number_after(response_id, 5) == 6,
        cancels=background is not Background.NO and await _cancels(wire, prompt),
    )


async def _find_background(wire: Wire, prompt: Prompt) -> tuple[Background, str]:
    """How it makes them, and the id of one that has ended."""
    async with wire.stream(str(prompt), background=True) as answer:
        if is_stream(answer):
            kind, body = Background.STREAMED, await _first_response(answer)
        elif answer.status_code == 200:
            await answer.aread()
            kind, body = Background.ANSWERED, answer.json()
        else:
            made = await wire.create(str(prompt), background=True)
            kind, body = Background.CREATED, made.json()
    return (kind, body["id"]) if await _ends_alone(wire, body["id"], prompt) else (Background.NO, "")


async def _first_response(answer: Any) -> dict[str, Any]:
    async for event in events(answer):
        if "response" in event:
            return event["response"]
    raise AssertionError("a stream without a Response")


async def _ends_alone(wire: Wire, response_id: str, prompt: Prompt) -> bool:
    """Whether a response that nobody reads any more comes to its whole answer."""
    with anyio.move_on_after(prompt.words * prompt.pace + 5):
        while said := await wire.retrieve(response_id):
            if said.is_terminal:
                return said == Said("completed", prompt.answer)
            await anyio.sleep(0.1)
    return False


async def _finished(wire: Wire, prompt: Prompt) -> str:
    """The id of a response of the foreground that was read to its end."""
    async with wire.stream(str(prompt)) as answer:
        found = [event["response"]["id"] async for event in events(answer) if "response" in event]
    return found[-1]


async def _cancels(wire: Wire, prompt: Prompt) -> bool:
    made = await wire.create(str(prompt), background=True)
    response_id = made.json()["id"]
    answer = await wire.cancel(response_id)
    return answer.status_code == 200 and answer.json()["status"] in {"cancelled", "in_progress", "queued"}
