"""pydantic-ai: an agent without tools, streamed."""

import asyncio

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider
from report import MODEL, Ending, Job, Show, run

SETTINGS = OpenAIResponsesModelSettings()


def stream(job: Job, show: Show) -> Ending:
    return asyncio.run(stream_with(job, show, SETTINGS))


async def stream_with(job: Job, show: Show, settings: OpenAIResponsesModelSettings) -> Ending:
    provider = OpenAIProvider(base_url=f"{job.url}/v1", api_key=job.key, http_client=job.async_http_client())
    agent = Agent(OpenAIResponsesModel(MODEL, provider=provider))
    async with agent.run_stream(job.input, model_settings=settings) as result:
        async for piece in result.stream_text(delta=True, debounce_by=None):
            show(piece)
        return Ending(await result.get_output(), result.is_complete)


if __name__ == "__main__":
    run(stream)
