"""What is done with each server: every case follows one response, and returns its outcome in words once it is true."""

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import anyio
from anyio.to_thread import run_sync

from streamfold.client import FollowedResponse
from streamfold.history import verify
from streamfold.log import SqliteLog
from streamfold.session import Outcome
from tests.servers.apps.prompt import Prompt
from tests.servers.cutting import choose_cuts, cutting
from tests.servers.installs import ROOT
from tests.servers.site import Site, described
from tests.servers.support import Background, measure
from tests.servers.table import CUTS, FOREGROUND_CUTS
from tests.servers.wire import wire

Case = Callable[[Site], Awaitable[str]]

TEXT_DELTA = "response.output_text.delta"
SHORT = Prompt(12)
LONG = Prompt(200, 0.01)
SLOW = Prompt(300, 0.02)
STREAMED_SIZES = range(3_000, 9_000)  # after the first events, in a stream of 40,000 bytes or more
POLLED_SIZES = range(2_500, 4_000)  # after the create, in a series of GETs
TRANSPORTS = (None, "direct", "httpx")  # one after the other, by the seed


async def supports(site: Site) -> str:
    async with wire(site.program.url, site.server.model) as server:
        found = await measure(server, LONG)
    assert found == site.server.support
    return ""


async def create(site: Site) -> str:
    async with site.gateway() as gateway:
        made = await gateway.create(model=site.server.model, input=str(SHORT))
    assert made.output_text == SHORT.answer
    return str(made.status)


async def stream(site: Site, *, is_background: bool) -> str:
    async with site.gateway() as gateway:
        async with await site.begin(LONG, gateway, is_background=is_background) as response:
            outcome = await _read_all(response)
    assert not outcome.repairs or is_background, described(outcome)
    return await site.judge(outcome, LONG)


async def cut(site: Site, *, seed: int, is_background: bool) -> str:
    polled = is_background and site.server.support.background is not Background.STREAMED
    sizes = POLLED_SIZES if polled else STREAMED_SIZES
    async with cutting(site.program.port, choose_cuts(seed, sizes)) as proxy:
        async with site.gateway(url=proxy.url, http=TRANSPORTS[seed % len(TRANSPORTS)]) as gateway:
            async with await site.begin(LONG, gateway, is_background=is_background) as response:
                outcome = await _read_all(response)
    assert proxy.made, "nothing was cut"
    return await site.judge(outcome, LONG)


async def _read_all(response: FollowedResponse) -> Outcome:
    """Its outcome, and every word was delivered once: all of them, unless the outcome says that events are missing."""
    pieces = [event.delta async for event in response if event.wire_type == TEXT_DELTA]
    outcome = await response.outcome()
    text = outcome.state.output_text
    assert text.startswith("".join(pieces)), (pieces, described(outcome))
    assert outcome.is_compacted or text == "".join(pieces), (pieces, described(outcome))
    return outcome


async def cancel(site: Site, *, is_background: bool) -> str:
    """Cancel it in the middle: where it has a stream, after its first words."""
    async with site.gateway() as gateway:
        async with await site.begin(SLOW, gateway, is_background=is_background) as response:
            await _read_some(site, response, is_background=is_background)
            result = await response.cancel()
            outcome = await response.outcome()
    assert result is outcome.cancel or outcome.cancel is not None, described(outcome)
    return await site.judge(outcome, SLOW)


async def _read_some(site: Site, response: FollowedResponse, *, is_background: bool) -> None:
    if not is_background or site.server.support.background is Background.STREAMED:
        async for _ in response:
            if response.state.output_text:
                return
    async with wire(site.program.url, site.server.model) as server:
        while (said := await server.retrieve(response.id)) is None or said.status == "queued":
            await anyio.sleep(0.1)


async def cancel_after_end(site: Site) -> str:
    """Cancel it when it has ended: by the object that followed it, then by another."""
    is_background = site.server.support.background is not Background.NO
    async with site.gateway() as gateway:
        async with await site.begin(SHORT, gateway, is_background=is_background) as response:
            ended = await response.outcome()
            assert await response.cancel() == "already_terminal"
        await site.judge(ended, SHORT)
        async with gateway.follow(response.id or "") as again:
            await again.cancel()
            outcome = await again.outcome()
    return await site.judge(outcome, SHORT)


async def kill(site: Site, *, is_background: bool) -> str:
    """Kill a process that records the response, and continue from its log."""
    path = site.folder / "log.db"
    async with site.gateway() as gateway, SqliteLog(path) as log:
        given = await site.parameters(LONG, gateway, is_background=is_background)
        response_id, seen = await run_sync(_record_and_die, site.program.url, str(path), json.dumps(given))
        async with gateway.follow(response_id, log=log) as response:
            assert response.state.output_text.startswith(seen), "the log lost what was read"
            outcome = await response.outcome()
        assert outcome.state.output_text.startswith(seen), described(outcome)
        reports = [report async for report in verify(log)]
        assert [report.is_whole for report in reports] == [True], reports
    return await site.judge(outcome, LONG)


def _record_and_die(*arguments: str) -> tuple[str, str]:
    """The response's id, and the text that the process had read when it was killed."""
    command = [sys.executable, "-m", "tests.servers.recording", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            response_id, text = "", ""
            for line in process.stdout:
                response_id, text = json.loads(line)
                if text is None or len(text) > 100:
                    break
        finally:
            process.kill()
        for line in process.stdout:  # what it had printed meanwhile
            if line.endswith("\n"):
                response_id, text = json.loads(line)
    assert response_id, "the process that records ended before it read anything"
    return response_id, text or ""


async def crash(site: Site) -> str:
    """Kill the server itself in the middle, and start it again."""
    async with site.gateway() as gateway:
        async with await site.begin(SLOW, gateway, is_background=True) as response:
            async for _ in response:
                if len(response.state.output_text) > 100:
                    break
            async with anyio.create_task_group() as group:
                group.start_soon(_restart, site)
                outcome: Outcome = await response.outcome()
    return await site.judge(outcome, SLOW)


async def _restart(site: Site) -> None:
    await run_sync(site.program.kill)
    await run_sync(site.program.start)


CASES: Mapping[str, Case] = {
    "supports": supports,
    "create": create,
    "stream": partial(stream, is_background=False),
    "background": partial(stream, is_background=True),
    **{name: partial(cut, seed=seed, is_background=True) for seed, name in enumerate(CUTS, 1)},
    **{name: partial(cut, seed=seed, is_background=False) for seed, name in enumerate(FOREGROUND_CUTS, 1)},
    "cancel": partial(cancel, is_background=True),
    "cancel-after-end": cancel_after_end,
    "cancel-foreground": partial(cancel, is_background=False),
    "kill": partial(kill, is_background=True),
    "kill-foreground": partial(kill, is_background=False),
    "crash": crash,
}
