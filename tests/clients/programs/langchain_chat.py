"""langchain-openai: the chunks of `ChatOpenAI.stream()`, on the Responses API."""

from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from report import MODEL, Ending, Job, Show, run


def stream(job: Job, show: Show) -> Ending:
    chat = ChatOpenAI(
        model=MODEL,
        base_url=f"{job.url}/v1",
        api_key=SecretStr(job.key),
        use_responses_api=True,
        http_client=job.http_client(),
    )
    status = "completed"  # only the last chunk names it
    for chunk in chat.stream(job.input):
        show(str(chunk.text))
        status = chunk.response_metadata.get("status", status)
    return Ending(finished=status == "completed")


if __name__ == "__main__":
    run(stream)
