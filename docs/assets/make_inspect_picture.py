"""Draw docs/assets/inspect.svg: `streamfold inspect` on a response that was recorded through faults.

python docs/assets/make_inspect_picture.py
"""

import re
from pathlib import Path

import anyio

from streamfold.chaos import parse_faults
from streamfold.cli.inspect.program import Inspector
from streamfold.cli.inspect.scan import first_look
from streamfold.cli.inspect.widgets import Pane
from streamfold.client import Gateway, record
from streamfold.emulator import Options, emulate
from streamfold.log import MemoryLog, StreamKey
from streamfold.schema import OPENAI
from streamfold.session import Backoff, Patience

SIZE = (116, 32)
# The first connection breaks, the second is refused, the third leaves events out.
FAULTS = (
    "drop:on=create,after_events=70,how=rst,times=1;"
    "refuse:on=resume,status=503,retry_after=0.1,times=1;"
    "gap:on=resume,after_events=40,count=2,times=2"
)
PROMPT = "120 words, and think first"
SHOWN = 78  # a number behind the first repairs


async def recorded(log: MemoryLog) -> StreamKey:
    """Follow a response through its faults, and record it."""
    options = Options(tokens_per_second=200.0, seed=3, faults=parse_faults(FAULTS))
    patience = Patience(backoff=Backoff(first_seconds=0.1), idle_seconds=2.0)
    async with emulate(options) as url, Gateway(url, api_key="any", dialect=OPENAI, patience=patience) as gateway:
        made = gateway.stream(model="toy", input=PROMPT, background=True, stream_options={"include_obfuscation": False})
        async with record(made, log) as response:
            await response.outcome()
    return StreamKey("", response.id or "")


async def main() -> None:
    """Record, open, and draw."""
    log = MemoryLog()
    key = await recorded(log)
    program = Inspector(log, key, await first_look(log, key), at=SHOWN)
    async with program.run_test(size=SIZE) as pilot:
        while not program.query_one(Pane).lines:
            await pilot.pause()
        await pilot.pause()
        drawing = program.export_screenshot()
    # Without the fonts that it would fetch: a page that shows the picture opens no other connection.
    drawing = re.sub(r"@font-face \{.*?\}", "", drawing, flags=re.DOTALL)
    Path(__file__).with_name("inspect.svg").write_text(drawing, encoding="utf-8")


anyio.run(main)
