"""An app on fastresponses: `fastresponses_app.py PORT`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastresponses.adapter import AgentAdapter, TextDelta
from fastresponses.server import create_app
from prompt import Prompt


class Words(AgentAdapter):
    name = "words"

    async def run(self, run: Any) -> AsyncIterator[TextDelta]:
        prompt = Prompt.read(str(run.new_items))
        for piece in prompt.pieces:
            yield TextDelta(delta=piece)
            await asyncio.sleep(prompt.pace)


if __name__ == "__main__":
    uvicorn.run(create_app(Words()), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
