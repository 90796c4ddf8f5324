"""One running server as a case sees it, and whether an outcome is true there."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
from attrs import frozen

from streamfold.client import FollowedResponse, Gateway
from streamfold.session import Backoff, Outcome, OutcomeStatus, Patience
from tests.servers.apps.prompt import Prompt
from tests.servers.program import Program
from tests.servers.support import Background
from tests.servers.table import Server
from tests.servers.wire import Said, wire

PATIENCE = Patience(
    backoff=Backoff(first_seconds=0.2, max_seconds=1.0),
    stalled_seconds=8.0,
    idle_seconds=15.0,
    poll_seconds=0.3,
    cancel_seconds=10.0,
    cancel_grace_seconds=1.0,
    total_seconds=60.0,
)
NO_END = {OutcomeStatus.LOST, OutcomeStatus.ABANDONED}


@frozen
class Site:
    """One server, its program, and a folder for what a case writes."""

    server: Server
    program: Program
    folder: Path

    def gateway(self, *, url: str | None = None, http: str | None = None) -> Gateway:
        return Gateway(url or self.program.url, api_key="any", dialect="openai", http=http, patience=PATIENCE)

    async def parameters(self, prompt: Prompt, gateway: Gateway, *, is_background: bool) -> dict[str, Any]:
        """What starts a response: arguments of `stream`, or of `follow` where a plain create has to make it."""
        given: dict[str, Any] = {"model": self.server.model, "input": str(prompt._replace(nonce=uuid4().hex))}
        if is_background and self.server.support.background is Background.CREATED:
            return {"response_id": (await gateway.create(**given, background=True)).id}
        return {**given, "background": True} if is_background else given

    async def begin(self, prompt: Prompt, gateway: Gateway, *, is_background: bool) -> FollowedResponse:
        """A response that has not been entered yet."""
        given = await self.parameters(prompt, gateway, is_background=is_background)
        return gateway.follow(**given) if "response_id" in given else gateway.stream(**given)

    async def settled(self, response_id: str | None) -> Said | None:
        """What the server says of it in the end."""
        async with wire(self.program.url, self.server.model) as server:
            return await server.settled(response_id, seconds=self.server.settles_in)

    async def judge(self, outcome: Outcome, prompt: Prompt) -> str:
        """Check an outcome against what the server says, and against the answer. Returns the outcome in words."""
        if outcome.status is OutcomeStatus.LOST:  # a server may go on without its reader, and know an end later
            await anyio.sleep(prompt.words * prompt.pace)
        said = await self.settled(outcome.response_id)
        if problem := untruth(outcome, said, prompt.answer, self.server):
            raise AssertionError(
                f"{problem}\n{described(outcome)}\nthe server: {said and (said.status, len(said.text))}"
            )
        return in_words(outcome)


def untruth(outcome: Outcome, said: Said | None, answer: str, server: Server) -> str | None:
    """What is false about an outcome; None if it is true. said: What the server says itself, if it says anything."""
    text, status = outcome.state.output_text, str(outcome.status)
    if not answer.startswith(text):
        return "the text is not what was sent"
    if status == "completed" and text != answer:
        return "it is called completed, and is not whole"
    if outcome.is_compacted and server.support.resumes:
        return "it is compacted, although the server gives events again"
    if said is None:
        # A server that forgets a response cannot confirm its end: then only the stream, or a cancel, can have.
        return None if outcome.status in NO_END or outcome.proof is not None else "nothing proves this end"
    if not text.startswith(said.text):
        return "the server has more text"
    if outcome.status in NO_END:
        is_left = outcome.status is OutcomeStatus.ABANDONED
        return None if is_left or not said.is_terminal else "it has no end, and the server knows one"
    if status != said.status and not outcome.conflicts:
        return "the server says otherwise, and no conflict is reported"
    return None


def in_words(outcome: Outcome) -> str:
    """The outcome as a cell of the table."""
    words = [str(outcome.status)]
    if outcome.is_compacted:
        words.append("compacted")
    if outcome.cancel is not None:
        words.append(str(outcome.cancel))
    if outcome.conflicts:
        words.append("conflict")
    return ", ".join(words)


def described(outcome: Outcome) -> str:
    text = outcome.state.output_text
    return (
        f"{in_words(outcome)}; proof {outcome.proof}; {len(text)} characters, the last {text[-20:]!r}; {outcome.reason!r}; "
        f"conflicts {[str(each) for each in outcome.conflicts]}; "
        f"repairs {[(str(each.kind), each.after, each.reason[:80]) for each in outcome.repairs]}; "
        f"anomalies {[(str(each.kind), each.count) for each in outcome.anomalies]}"
    )
