"""A small program that follows responses as a user would write it, async and blocking.

It is checked by mypy --strict and pyright strict (tests/typing/test_narrowing.py), and it runs.
"""

# pyright: strict

from typing import assert_type

from streamfold import Response, State, snapshot
from streamfold.client import FollowedResponse, Gateway, Page
from streamfold.client.blocking import BlockingResponse
from streamfold.client.blocking import Gateway as BlockingGateway
from streamfold.errors import ConnectFailed, GatewayError, RequestRefused
from streamfold.schema import Batch, OutputTextDelta
from streamfold.session import CancelResult, Outcome, OutcomeStatus, Repair


def on_repair(repair: Repair) -> None:
    """Called for each repair."""
    assert_type(repair.reason, str)


async def ask(url: str, question: str) -> tuple[str, str, OutcomeStatus]:
    """The answer in two ways, and how it ended."""
    async with Gateway(url, api_key="any", dialect="openai", timeout=30, max_retries=1, on_repair=on_repair) as gateway:
        made = await gateway.create(model="toy-1", input=question, temperature=0.5, extra_body={"user": "me"})
        assert_type(made, Response)
        pieces: list[str] = []
        async with gateway.stream(model="toy-1", input=question, background=True, on_exit="cancel") as response:
            assert_type(response, FollowedResponse)
            async for event in response:
                if event.type == "response.output_text.delta":
                    assert_type(event, OutputTextDelta)
                    pieces.append(event.delta)
            outcome = await response.outcome()
            assert_type(outcome, Outcome)
        assert_type(snapshot(outcome.state).output_text, str)
        assert_type(await gateway.list(limit=1, extra_query={"a": 1}), Page[Response])
        return made.output_text, "".join(pieces), outcome.status


async def stop(url: str, response_id: str) -> CancelResult | str:
    """Cancel a response, or say what the gateway answered."""
    try:
        async with Gateway(url, api_key="any") as gateway, gateway.follow(response_id, starting_after=3) as response:
            async for state in response.states(coalesced=True):
                assert_type(state, State)
                break
            return await response.cancel()
    except RequestRefused as refused:
        return f"{refused.status} {refused.code}"
    except ConnectFailed as failure:
        return failure.reason
    except GatewayError as error:
        assert_type(error.url, str | None)
        return str(error)


def ask_blocking(url: str, question: str) -> tuple[str, str, OutcomeStatus]:
    """The same as `ask`, without a loop."""
    with BlockingGateway(url, api_key="any", headers={"x-team": "search"}) as gateway:
        made = gateway.create(model="toy-1", input=question, reasoning={"effort": "low"}, timeout=30)
        assert_type(made, Response)
        with gateway.stream(model="toy-1", input=question, background=True) as response:
            assert_type(response, BlockingResponse)
            pieces = list(response.text())
            assert_type(pieces, list[str])
            outcome = response.outcome()
            assert_type(outcome, Outcome)
        assert_type(gateway.batches.create(input_file_id="file_1", endpoint="/v1/responses"), Batch)
        return made.output_text, "".join(pieces), outcome.status
