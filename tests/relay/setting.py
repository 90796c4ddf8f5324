"""An emulator, a gateway, a log and a relay, open for one test."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from streamfold.client import Gateway
from streamfold.emulator import Emulator, Options, emulate
from streamfold.log import EventLog, MemoryLog
from streamfold.relay import Frames, Relay, RelayOptions
from streamfold.session import Backoff, Patience
from streamfold.sse import Frame

KEY = "a-key-of-nobody"
PATIENCE = Patience(cancel_check_seconds=0.05, backoff=Backoff(first_seconds=0.01))


class Setting:
    """What is open. creates: how many responses the upstream was asked for."""

    def __init__(self, relay: Relay, gateway: Gateway, log: EventLog, emulator: Emulator, url: str) -> None:
        self.relay = relay
        self.gateway = gateway
        self.log = log
        self.emulator = emulator
        self.url = url

    @property
    def creates(self) -> int:
        visits = self.emulator.journal.visits
        return sum(visit.method == "POST" and visit.path.endswith("/responses") for visit in visits)


@asynccontextmanager
async def open_setting(
    behaviour: Options | None = None, options: RelayOptions | None = None, log: EventLog | None = None
) -> AsyncGenerator[Setting]:
    emulator = Emulator(behaviour or Options(tokens_per_second=None))
    async with (
        emulate(emulator) as url,
        log or MemoryLog() as kept,
        Gateway(f"{url}/v1", api_key=KEY, patience=PATIENCE) as gateway,
        Relay(gateway, kept, options=options) as relay,
    ):
        yield Setting(relay, gateway, kept, emulator, url)


async def read_all(frames: Frames) -> Sequence[Frame]:
    return [frame async for frame in frames]


def names(frames: Sequence[Frame]) -> list[str]:
    return [frame.event.decode() for frame in frames]
