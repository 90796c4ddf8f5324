"""openai: the events of `responses.create(stream=True)`."""

from openai import OpenAI
from report import MODEL, Ending, Job, Show, run


def stream(job: Job, show: Show) -> Ending:
    finished = True
    with OpenAI(base_url=f"{job.url}/v1", api_key=job.key, http_client=job.http_client()) as client:
        for event in client.responses.create(model=MODEL, input=job.input, stream=True):
            if event.type == "response.output_text.delta":
                show(event.delta)
            elif event.type in {"response.failed", "response.incomplete", "error"}:
                finished = False
    return Ending(finished=finished)


if __name__ == "__main__":
    run(stream)
