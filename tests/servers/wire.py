"""What a server itself says, over plain HTTP: the witness against which streamfold's outcomes are judged."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from urllib.parse import quote

import anyio
import httpx
from attrs import frozen

TERMINAL = {"completed", "failed", "incomplete", "cancelled"}


@frozen
class Said:
    """A Response as a GET shows it: its status, and its text."""

    status: str
    text: str

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @classmethod
    def of(cls, body: dict[str, Any]) -> "Said":
        parts = [part for item in body.get("output") or [] for part in item.get("content") or []]
        return cls(body["status"], "".join(part.get("text", "") for part in parts if part["type"] == "output_text"))


@frozen
class Wire:
    """Calls of one server, without streamfold."""

    client: httpx.AsyncClient
    model: str

    async def retrieve(self, response_id: str | None) -> Said | None:
        """What a GET says; None if it does not give the response."""
        if response_id is None:
            return None
        answer = await self.client.get(_path(response_id))
        return Said.of(answer.json()) if answer.status_code == 200 else None

    async def settled(self, response_id: str | None, *, seconds: float) -> Said | None:
        """What a GET says, once two of them say the same with this many seconds between."""
        said = await self.retrieve(response_id)
        while True:
            await anyio.sleep(seconds)
            before, said = said, await self.retrieve(response_id)
            if said == before:
                return said

    async def create(self, prompt: str, **parameters: Any) -> httpx.Response:
        return await self.client.post("/responses", json={"model": self.model, "input": prompt, **parameters})

    async def cancel(self, response_id: str) -> httpx.Response:
        return await self.client.post(f"{_path(response_id)}/cancel")

    @asynccontextmanager
    async def stream(self, prompt: str, **parameters: Any) -> AsyncIterator[httpx.Response]:
        body = {"model": self.model, "input": prompt, "stream": True, **parameters}
        async with self.client.stream("POST", "/responses", json=body) as answer:
            yield answer

    async def first_number_after(self, response_id: str, after: int) -> int | None:
        """The number of the first event that a resume brings; None if it brings no stream."""
        query = {"stream": "true", "starting_after": str(after)}
        async with self.client.stream("GET", _path(response_id), params=query) as answer:
            if not is_stream(answer):
                return None
            async with aclosing(events(answer)) as found:
                async for event in found:
                    return event.get("sequence_number")
        return None


@asynccontextmanager
async def wire(base_url: str, model: str) -> AsyncIterator[Wire]:
    async with httpx.AsyncClient(base_url=base_url, headers={"authorization": "Bearer any"}, timeout=30) as client:
        yield Wire(client, model)


def is_stream(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.headers.get("content-type", "").startswith("text/event-stream")


async def events(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream, each a JSON object on a line of its own."""
    async with aclosing(answer.aiter_lines()) as lines:
        async for line in lines:
            if line.startswith("data: {"):
                yield json.loads(line.removeprefix("data: "))


def _path(response_id: str) -> str:
    return f"/responses/{quote(response_id, safe='')}"
