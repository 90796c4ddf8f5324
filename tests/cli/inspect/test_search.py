"""The search: in types, in data, and in a text that came in pieces."""

import pytest

from streamfold.cli.inspect.scan import PAGE, find, first_look
from streamfold.log import EventLog, MemoryLog
from tests.cli.inspect.made import put
from tests.history.made import KEY, records_of, said

pytestmark = pytest.mark.anyio


async def found(words: str, *, after: int | None = None, log: EventLog | None = None) -> int | None:
    if log is None:
        log = MemoryLog()
        await put(log)
    return await find(log, KEY, await first_look(log, KEY), words, after=after)


@pytest.mark.parametrize(
    ("words", "after", "number"),
    [
        pytest.param("CREATED", None, 0, id="a type, in any case"),
        pytest.param("delta", 2, 3, id="the next one"),
        pytest.param("delta", 5, 2, id="round the end"),
        pytest.param("msg_1", None, 1, id="an id in the data"),
        pytest.param("lo w", None, 4, id="over two events"),
        pytest.param("hello world", None, 5, id="over four events"),
        pytest.param("o", None, 0, id="one letter"),
        pytest.param("nowhere", 3, None, id="nothing"),
    ],
)
async def test_where_it_is(words: str, after: int | None, number: int | None) -> None:
    assert await found(words, after=after) == number


async def test_behind_many_events() -> None:
    log = MemoryLog()
    data = said(*["x "] * (2 * PAGE), "needle")
    await put(log, records_of(data))
    assert await found("needle", log=log) == 2 * PAGE + 2


async def test_an_event_whose_delta_is_no_text() -> None:
    log = MemoryLog()
    await put(log, records_of([b'{"type":"response.created","sequence_number":0,"delta":7}']))
    assert await found("7", log=log) == 0
