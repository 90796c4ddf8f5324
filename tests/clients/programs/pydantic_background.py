"""pydantic-ai: the same agent with background mode, in which it resumes by itself."""

import asyncio

from pydantic_agent import stream_with
from pydantic_ai.models.openai import OpenAIResponsesModelSettings
from report import Ending, Job, Show, run

SETTINGS = OpenAIResponsesModelSettings(openai_background=True)


def stream(job: Job, show: Show) -> Ending:
    return asyncio.run(stream_with(job, show, SETTINGS))


if __name__ == "__main__":
    run(stream)
