"""An app on azure-ai-agentserver-responses: `azure_app.py PORT`.

With RESILIENT=1 in its environment, its background responses continue after a kill -9, once it is started again.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

from azure.ai.agentserver.responses import (
    CreateResponse,
    ResponseContext,
    ResponseEventStream,
    ResponsesAgentServerHost,
    ResponsesServerOptions,
)
from prompt import Prompt

options = {"resilient_background": True} if os.environ.get("RESILIENT") else {}
app = ResponsesAgentServerHost(prefix="/v1", options=ResponsesServerOptions(**options))


@app.response_handler
async def respond(request: CreateResponse, context: ResponseContext, is_cancelled: asyncio.Event) -> AsyncIterator:
    prompt = Prompt.read(await context.get_input_text())
    return events(prompt, ResponseEventStream(response_id=context.response_id, request=request), is_cancelled)


async def events(prompt: Prompt, stream: ResponseEventStream, is_cancelled: asyncio.Event) -> AsyncIterator:
    yield stream.emit_created()
    yield stream.emit_in_progress()
    message = stream.add_output_item_message()
    yield message.emit_added()
    text = message.add_text_content()
    yield text.emit_added()
    for piece in prompt.pieces:
        if is_cancelled.is_set():
            return
        yield text.emit_delta(piece)
        await asyncio.sleep(prompt.pace)
    yield text.emit_text_done(prompt.answer)
    yield text.emit_done()
    yield message.emit_done()
    yield stream.emit_completed()


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]))
