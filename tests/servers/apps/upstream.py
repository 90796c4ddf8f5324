"""A chat completions server, the model of the servers that need one: `upstream.py PORT`."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from prompt import Prompt

app = FastAPI()


@app.get("/v1/models")
async def models() -> Response:
    return JSONResponse({"object": "list", "data": [{"id": "tiny", "object": "model", "created": 1, "owned_by": "us"}]})


@app.post("/v1/chat/completions")
async def complete(request: Request) -> Response:
    body = await request.json()
    prompt = Prompt.read(json.dumps(body["messages"]))
    tokens = {"prompt_tokens": 7, "completion_tokens": prompt.words, "total_tokens": 7 + prompt.words}
    base = {"id": f"chatcmpl-{id(body):x}", "created": 1, "model": body["model"]}
    if body.get("stream"):
        has_usage = (body.get("stream_options") or {}).get("include_usage", False)
        return StreamingResponse(chunks(prompt, base, tokens if has_usage else None), media_type="text/event-stream")
    await asyncio.sleep(prompt.pace * prompt.words)
    message = {"role": "assistant", "content": prompt.answer}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return JSONResponse({**base, "object": "chat.completion", "choices": [choice], "usage": tokens})


async def chunks(prompt: Prompt, base: dict[str, Any], usage: dict[str, int] | None) -> AsyncIterator[str]:
    def chunk(delta: dict[str, str], finish_reason: str | None = None) -> str:
        return frame([{"index": 0, "delta": delta, "finish_reason": finish_reason}])

    def frame(choices: list[dict[str, Any]], **rest: Any) -> str:
        return f"data: {json.dumps({**base, 'object': 'chat.completion.chunk', 'choices': choices, **rest})}\n\n"

    yield chunk({"role": "assistant", "content": ""})
    for piece in prompt.pieces:
        yield chunk({"content": piece})
        await asyncio.sleep(prompt.pace)
    yield chunk({}, "stop")
    if usage:
        yield frame([], usage=usage)
    yield "data: [DONE]\n\n"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
