"""Real servers: what streamfold says of a response is true on each of them, and none of it hangs.

`make test-servers` runs them; tests/servers/table.py has what is expected.
"""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from tests.servers.cases import CASES
from tests.servers.program import Program
from tests.servers.site import Site
from tests.servers.table import SERVERS, Server

# An install may take minutes, so only the case itself is bounded.
pytestmark = [pytest.mark.servers, pytest.mark.timeout(120, func_only=True)]

DEADLINE_SECONDS = 90.0
LOOPS = ("asyncio", "trio")  # one after the other


@pytest.mark.parametrize(
    ("server", "case", "loop"),
    [
        pytest.param(server, case, LOOPS[number % 2], id=f"{server.name}-{case}")
        for server in SERVERS
        for number, case in enumerate(server.cases)
    ],
)
def test_what_is_said_of_a_response_is_true(
    server: Server,
    case: str,
    loop: str,
    running: Callable[[Server, str], Program],
    results: dict[str, dict[str, str]],
    tmp_path: Path,
) -> None:
    program = running(server, server.program_of(case))

    async def within_the_deadline() -> str:
        with anyio.fail_after(DEADLINE_SECONDS):
            return await CASES[case](Site(server, program, tmp_path))

    words = anyio.run(within_the_deadline, backend=loop)
    assert words == server.outcomes.get(case, "")
    results.setdefault(server.name, {})[case] = words
