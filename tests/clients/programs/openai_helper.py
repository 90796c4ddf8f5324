"""openai: the helper `responses.stream()`, which builds the Response."""

from openai import OpenAI
from report import MODEL, Ending, Job, Show, run


def stream(job: Job, show: Show) -> Ending:
    with OpenAI(base_url=f"{job.url}/v1", api_key=job.key, http_client=job.http_client()) as client:
        with client.responses.stream(model=MODEL, input=job.input) as events:
            for event in events:
                if event.type == "response.output_text.delta":
                    show(event.delta)
            response = events.get_final_response()
    return Ending(response.output_text, response.status == "completed")


if __name__ == "__main__":
    run(stream)
