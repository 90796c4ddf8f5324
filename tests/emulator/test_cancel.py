"""Cancels, in each of the dialects: the answer, the stream, and what a retrieve says afterwards."""

import pytest
from anyio.lowlevel import checkpoint

from streamfold.emulator import CANCEL_RULES, Emulator, Options
from streamfold.errors import InvalidArgument
from tests.emulator.inprocess import BOTH, MKA1, OPENAI, Answer, HandClock, ask, begin, create, start

pytestmark = pytest.mark.anyio

DEFAULT = {MKA1: "mka1", OPENAI: "openai"}
ASKED = {"model": "toy", "input": "echo: one two three four", "stream": True, "background": True}


class Race:
    """A background stream that is cancelled once all events before its first delta were sent, read to its end."""

    def __init__(self, cancel: str | None, prefix: str = MKA1, **options: object) -> None:
        self.clock = HandClock()
        self.app = Emulator(Options(tokens_per_second=1, cancel=cancel, **options), clock=self.clock)
        self.path = f"{prefix}/responses"
        self.id = ""
        self.answer = Answer()
        self.stream = Answer()

    async def run(self) -> "Race":
        async with begin(self.app, "POST", self.path, ASKED) as exchange:
            await exchange.until(3)
            await checkpoints()
            self.id = exchange.answer.events[0]["response"]["id"]
            self.answer = await self.cancel()
            for _ in range(20):
                self.clock.advance(1)
                await checkpoints()
        self.stream = exchange.answer
        return self

    async def cancel(self) -> Answer:
        return await ask(self.app, "POST", f"{self.path}/{self.id}/cancel")

    async def retrieve(self) -> dict[str, object]:
        return (await ask(self.app, "GET", f"{self.path}/{self.id}")).json

    async def resume(self) -> Answer:
        return await ask(self.app, "GET", f"{self.path}/{self.id}?stream=true")


async def checkpoints() -> None:
    for _ in range(20):
        await checkpoint()


STORIES = [
    pytest.param("mka1", ["cancelled"], "cancelled", id="mka1: a terminal event of its own"),
    pytest.param("openai", [], "cancelled", id="openai: the stream just ends"),
    pytest.param("conflict409", ["cancelled"], "cancelled", id="conflict409: the same, at first"),
    pytest.param("ends-silently", [], "cancelled", id="ends-silently: the stream just ends"),
    pytest.param("failed-holding-cancelled", ["failed"], "cancelled", id="failed-holding-cancelled"),
    pytest.param("completes-anyway", ["completed"], "completed", id="completes-anyway: the cancel is forgotten"),
    pytest.param("finished200", ["cancelled"], "cancelled", id="finished200: as mka1"),
]


@pytest.mark.parametrize(("dialect", "last", "status"), STORIES)
async def test_a_cancel_of_what_is_running(dialect: str, last: list[str], status: str) -> None:
    race = await Race(dialect).run()
    assert (race.answer.status, race.answer.json["status"]) == (200, "cancelled")
    terminal = [each for each in race.stream.types if each in ("cancelled", "failed", "completed", "incomplete")]
    assert terminal == last
    assert (await race.retrieve())["status"] == status
    assert race.stream.numbers == list(range(len(race.stream.numbers)))


def test_every_dialect_has_a_story() -> None:
    assert {story.values[0] for story in STORIES} == set(CANCEL_RULES)


async def test_the_cancelled_response_is_as_the_api_shows_it() -> None:
    cancelled = (await Race("mka1").run()).answer.json
    assert (cancelled["output"], cancelled["output_text"], cancelled["error"]) == ([], "", None)
    assert cancelled["completed_at"] == 1_700_000_000
    assert cancelled["usage"]["total_tokens"] == 0


async def test_the_terminal_event_holds_the_same_response() -> None:
    race = await Race("failed-holding-cancelled").run()
    assert race.stream.events[-1]["type"] == "response.failed"
    assert race.stream.events[-1]["response"] == race.answer.json


@pytest.mark.parametrize("prefix", BOTH)
async def test_the_dialect_of_the_path_is_the_default(prefix: str) -> None:
    ours, named = await Race(None, prefix).run(), await Race(DEFAULT[prefix], prefix).run()
    assert ours.stream.types == named.stream.types


@pytest.mark.parametrize(
    ("dialect", "status"), [(name, 409 if name == "conflict409" else 200) for name in CANCEL_RULES if "any" not in name]
)
async def test_a_second_cancel(dialect: str, status: int) -> None:
    race = await Race(dialect).run()
    again = await race.cancel()
    assert again.status == status
    if status == 200:
        assert again.json == race.answer.json


async def test_a_cancel_that_was_forgotten_is_refused_the_second_time() -> None:
    race = await Race("completes-anyway").run()
    assert (await race.cancel()).error["message"] == "Cannot cancel a completed response."


async def test_until_it_completes_a_forgotten_cancel_is_shown_and_answered_again() -> None:
    app = Emulator(Options(tokens_per_second=1, cancel="completes-anyway"), clock=(clock := HandClock()))
    id = await start(app)
    answers = [(await ask(app, "POST", f"{MKA1}/responses/{id}/cancel")).json["status"] for _ in range(2)]
    clock.advance(1000)
    answers.append((await ask(app, "GET", f"{MKA1}/responses/{id}")).json["status"])
    assert answers == ["cancelled", "cancelled", "completed"]


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize(
    ("dialect", "status"),
    [(name, {"conflict409": 409, "finished200": 200}.get(name, 400)) for name in CANCEL_RULES],
)
async def test_a_cancel_of_what_is_over(prefix: str, dialect: str, status: int) -> None:
    app = Emulator(Options(tokens_per_second=None, cancel=dialect), clock=HandClock())
    id = await start(app, prefix)
    answer = await ask(app, "POST", f"{prefix}/responses/{id}/cancel")
    assert answer.status == status
    if status == 200:
        assert answer.json["status"] == "completed"
    else:
        assert answer.error["message"] == "Cannot cancel a completed response."
        assert answer.error["param"] == "response_id"


@pytest.mark.parametrize("prefix", BOTH)
@pytest.mark.parametrize("dialect", CANCEL_RULES)
async def test_a_foreground_response_cannot_be_cancelled(prefix: str, dialect: str) -> None:
    app = Emulator(Options(tokens_per_second=None, cancel=dialect), clock=HandClock())
    id = (await create(app, prefix)).json["id"]
    answer = await ask(app, "POST", f"{prefix}/responses/{id}/cancel")
    assert (answer.status, answer.error["message"]) == (400, "Cannot cancel a synchronous response.")


async def test_on_openai_a_stream_opened_after_the_cancel_goes_on_to_the_end() -> None:
    race = await Race("openai", OPENAI).run()
    again = await race.resume()
    assert again.types[-1] == "completed"
    assert again.events[: len(race.stream.events)] == race.stream.events
    assert (await race.retrieve())["status"] == "cancelled"


@pytest.mark.parametrize("prefix", BOTH)
async def test_after_a_silent_end_a_stream_has_no_terminal_event_either(prefix: str) -> None:
    race = await Race("ends-silently", prefix).run()
    again = await race.resume()
    assert again.events == (race.stream.events if prefix == OPENAI else [])


async def test_a_held_response_is_let_go_by_its_cancel() -> None:
    race = await Race("completes-anyway", hold_after_events=3).run()
    assert race.stream.types[-1] == "completed"


async def test_a_cancel_answers_without_waiting_for_anything() -> None:
    race = await Race("mka1").run()
    waits = len(race.clock.waits)
    await race.cancel()
    assert len(race.clock.waits) == waits


def test_a_dialect_that_is_none_is_named() -> None:
    with pytest.raises(InvalidArgument, match="cancel: must be one of mka1, openai"):
        Options(cancel="polite")
