"""openai-agents: an agent without tools, run and streamed."""

import asyncio

from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI
from report import MODEL, Ending, Job, Show, run


def stream(job: Job, show: Show) -> Ending:
    return asyncio.run(_stream(job, show))


async def _stream(job: Job, show: Show) -> Ending:
    http = job.async_http_client()
    async with AsyncOpenAI(base_url=f"{job.url}/v1", api_key=job.key, http_client=http) as client:
        agent = Agent(name="counter", model=OpenAIResponsesModel(model=MODEL, openai_client=client))
        result = Runner.run_streamed(agent, job.input)
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                show(event.data.delta)
        return Ending(result.final_output, result.is_complete)


if __name__ == "__main__":
    set_tracing_disabled(True)
    run(stream)
