"""Time travel over a log on many machines: the same as over a file."""

from collections.abc import Iterator

import pytest

from streamfold import fold
from streamfold.history import export, fork, replay, states, verify
from streamfold.log import StreamKey, open_log
from tests.history.made import KEY, all_records, begin, body, events_of, facts, imported, records_of, said, save
from tests.log.valkeys import Valkey, running

pytestmark = pytest.mark.anyio

DATA = said("a", "b", "c")


@pytest.fixture
def anyio_backend() -> str:
    """Redis clients know no other loop."""
    return "asyncio"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running(tmp_path_factory.mktemp("valkey")) as server:
        yield server


async def test_a_stream_goes_in_and_comes_out_and_is_whole(valkey: Valkey) -> None:
    async with open_log(valkey.url) as log:
        assert await imported(log, DATA) == await imported(log, DATA) == KEY
        assert b"".join([chunk async for chunk in export(log, KEY)]) == body(DATA)
        other = StreamKey("two", "resp_2")
        assert await fork(log, KEY, at=3, to=other) == 4
        assert await all_records(log, other) == records_of(DATA)[:4]
        assert [(verdict.key, verdict.is_whole) async for verdict in verify(log)] == [(KEY, True), (other, True)]
        assert await log.drop(KEY)


async def test_every_number_with_and_without_checkpoints(valkey: Valkey) -> None:
    async with open_log(valkey.url) as log:
        lease = await begin(log, records_of(DATA))
        for at in (0, 3):
            for number in range(len(DATA)):
                assert facts(await replay(log, KEY, at=number)) == facts(fold(events_of(DATA[: number + 1])))
            await save(log, lease, DATA, at=at)
        assert [step.record.sequence_number async for step in states(log, KEY, after=2)] == [3, 4, 5]
