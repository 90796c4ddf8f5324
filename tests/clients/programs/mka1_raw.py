"""meetkai-mka1: the events of `llm.responses.create(stream=True)`."""

from mka1 import SDK
from report import MODEL, Ending, Job, Show, run


def stream(job: Job, show: Show) -> Ending:
    finished = True
    with SDK(bearer_auth=job.key, server_url=job.url) as sdk:
        with sdk.llm.responses.create(model=MODEL, input=job.input, stream=True) as events:
            for event in events:
                if event.data.type == "response.output_text.delta":
                    show(event.data.delta)
                elif event.data.type in {"response.failed", "response.incomplete", "error"}:
                    finished = False
    return Ending(finished=finished)


if __name__ == "__main__":
    run(stream)
