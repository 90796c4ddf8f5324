"""curl: the lines that `curl --no-buffer` prints, read as a shell script would."""

import json
import subprocess

from report import MODEL, Ending, Job, Show, run

DATA = "data: "


class CurlError(Exception):
    """curl's exit code is not 0."""


def stream(job: Job, show: Show) -> Ending:
    finished = True
    body = json.dumps({"model": MODEL, "input": job.input, "stream": True})
    command = ["curl", "--no-buffer", "--silent", "--show-error", "--fail", f"{job.url}/v1/responses"]
    headers = ["--header", f"Authorization: Bearer {job.key}", "--header", "Content-Type: application/json"]
    with subprocess.Popen([*command, *headers, "--data", body], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not (line.startswith(DATA) and line.endswith("}\n")):  # not the line that was cut
                continue
            event = json.loads(line.removeprefix(DATA))
            if event["type"] == "response.output_text.delta":
                show(event["delta"])
            elif event["type"] in {"response.failed", "response.incomplete", "error"}:
                finished = False
    if process.returncode:
        raise CurlError(f"curl ended with {process.returncode}")
    return Ending(finished=finished)


if __name__ == "__main__":
    run(stream)
