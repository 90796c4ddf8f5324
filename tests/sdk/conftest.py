"""Both real SDKs and streamfold read the same responses of an emulator, over TCP. Streams are short: the MKA1 SDK takes 5 ms an event."""

from collections.abc import AsyncGenerator

import pytest

from streamfold.emulator import Options, emulate


@pytest.fixture
def anyio_backend() -> str:
    """The asynchronous halves of both SDKs are written for asyncio."""
    return "asyncio"


@pytest.fixture
async def url() -> AsyncGenerator[str, None]:
    """An emulator's address, before both dialects' own paths."""
    async with emulate(Options(tokens_per_second=None, batch_stage_seconds=60.0)) as url:
        yield url
