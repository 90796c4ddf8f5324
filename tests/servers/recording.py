"""Record one response until this process is killed; it prints the id, and the text after each event.

`python -m tests.servers.recording BASE_URL LOG PARAMETERS`: with a `response_id` in the parameters it follows that
response, else it creates one with them.
"""

import json
import sys

import anyio

from streamfold.client import Gateway, record
from streamfold.log import SqliteLog


async def main(base_url: str, path: str, given: str) -> None:
    parameters = json.loads(given)
    async with SqliteLog(path) as log, Gateway(base_url, api_key="any", dialect="openai") as gateway:
        followed = gateway.follow(**parameters) if "response_id" in parameters else gateway.stream(**parameters)
        async with record(followed, log, owner="one") as response:
            if response.id is not None:
                print(json.dumps([response.id, None]), flush=True)
            async for _ in response:
                print(json.dumps([response.id, response.state.output_text]), flush=True)
        await anyio.sleep_forever()  # it ends by being killed alone


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
