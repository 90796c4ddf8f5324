"""The program without a terminal: what its parts hold after which key, click or event.

On asyncio alone: textual runs on no other event loop.
"""

import re
from pathlib import Path

import pytest
from rich.text import Text
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import HelpPanel, Input, Static

from streamfold.cli.inspect.program import Inspector
from streamfold.cli.inspect.render import Tab
from streamfold.cli.inspect.widgets import EventList, Pane, Scrubber
from streamfold.fold import State, checkpoint, with_response
from streamfold.history import filler
from streamfold.log import EventLog, MemoryLog, SavedCheckpoint, SqliteLog
from tests.cli.hostile import EVIL, steers
from tests.cli.inspect.made import CANCEL, OUTCOME, RECORDS, RESUME, damage, program, put, until
from tests.conftest import sampled_product
from tests.history.made import KEY, records_of, said

pytestmark = pytest.mark.anyio

LONG = [20_000, pytest.param(100_000, marks=pytest.mark.thorough)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def log() -> EventLog:
    """A finished stream: rows 0 to 6 its events, but for row 4, a repair; behind them the outcome and the end."""
    log = MemoryLog()
    await put(log, notes=(RESUME, OUTCOME), status="completed")
    return log


def status(app: Inspector) -> str:
    return str(app.query_one("#status", Static).content)


def pane(app: Inspector) -> str:
    return app.query_one(Pane).text


def row(app: Inspector, at: int) -> str:
    return re.sub(" +", " ", app.query_one(EventList).text_of(at)).strip()


async def shows(pilot: Pilot[None], app: Inspector, words: str) -> None:
    await until(pilot, lambda: words in pane(app))


async def press(pilot: Pilot[None], app: Inspector, *keys: str) -> int:
    """The row that is chosen then."""
    await pilot.press(*keys)
    return app.row


async def test_it_opens_at_the_end(log: EventLog) -> None:
    async with program(log, size=(160, 30)) as (app, pilot):
        await until(pilot, lambda: "completed" in status(app))
        assert status(app) == "at 6 of 6  ·  completed  ·  finished"
        assert '"Hello world"' in pane(app)
        assert [row(app, at) for at in range(app.timeline.rows)] == [
            "0 created status: in_progress",
            "1 output_item.added output[0] opened: message in_progress",
            '2 output_text.delta output[0].content[0].text += "Hel"',
            '3 output_text.delta output[0].content[0].text += "lo "',
            "↻ resume: ReadError",
            '4 output_text.delta output[0].content[0].text += "wor"',
            '5 output_text.delta output[0].content[0].text += "ld"',
            "6 completed status: in_progress → completed",
            "◆ outcome: completed, proven by terminal_event",
            "■ the end: completed",
        ]


async def test_it_opens_at_a_number(log: EventLog) -> None:
    async with program(log, at=4) as (app, _):
        assert (app.row, status(app)) == (5, "at 4 of 6  ·  in_progress  ·  finished")
        assert '"Hello wor"' in pane(app)


async def test_the_arrows_move_in_time(log: EventLog) -> None:
    async with program(log, at=0) as (app, pilot):
        await pilot.press("down", "down", "down")
        await shows(pilot, app, '"Hello "')
        await pilot.press("up")
        await shows(pilot, app, '"Hel"')
        assert [await press(pilot, app, key) for key in ("home", "up", "end", "down")] == [0, 0, 9, 9]
        assert [await press(pilot, app, key) for key in ("left", "right", "k", "j")] == [8, 9, 8, 9]
        assert [await press(pilot, app, key) for key in ("pageup", "pagedown")] == [0, 9]


async def test_from_mark_to_mark(log: EventLog) -> None:
    async with program(log, at=0) as (app, pilot):
        assert [await press(pilot, app, key) for key in "nnnpp"] == [4, 8, 9, 8, 4]
        assert str(app.query_one("#caption", Static).content) == "repair: resume: ReadError"
        await pilot.press("e")
        await shows(pilot, app, "repair: resume: ReadError (2023-11-14 22:13:20Z)")
        await pilot.press("p")
        assert (app.row, status(app).split("  ")[0]) == (4, "no mark before this row")
        await pilot.press("end", "n")
        assert status(app).startswith("no mark after this row")


async def test_the_tabs_of_a_row(log: EventLog) -> None:
    async with program(log, at=3) as (app, pilot):
        await pilot.press("t")
        await shows(pilot, app, "Hello ")
        assert app.query_one(Pane).lines[0].new_from == 3
        await pilot.press("d")
        await shows(pilot, app, "/output/0/content/0/text\n+= lo ")
        await pilot.press("e")
        await shows(pilot, app, '"delta": "lo "')
        await pilot.press("r")
        await shows(pilot, app, '"object": "response"')
        await pilot.click("#text")
        assert app.tab is Tab.TEXT


@pytest.mark.thorough
async def test_the_mouse_on_a_row_and_on_the_scrubber(log: EventLog) -> None:
    async with program(log) as (app, pilot):
        await pilot.click("#events", offset=(10, 2))
        assert app.row == 2
        scrubber = app.query_one(Scrubber)
        await pilot.click("#scrubber", offset=(1 + scrubber.column_of(5), 1))
        assert app.row == 5
        await pilot.mouse_down("#scrubber", offset=(1, 1))
        await pilot.hover("#scrubber", offset=(scrubber.size.width, 1))
        await pilot.mouse_up("#scrubber", offset=(scrubber.size.width, 1))
        assert app.row == 9
        await pilot.hover("#scrubber", offset=(1, 1))
        assert app.row == 9  # it is not held any more
        await pilot.click("#events", offset=(10, 15))  # below the last row
        assert app.row == 9


async def test_the_scrubber_has_the_marks_and_the_checkpoints() -> None:
    log = MemoryLog()
    lease = await put(log, notes=(RESUME,))
    await log.save_checkpoint(lease, SavedCheckpoint(1, checkpoint(State())))
    await log.append(lease, [], status="completed")
    await log.release(lease)
    async with program(log, at=0) as (app, pilot):
        scrubber = app.query_one(Scrubber)
        await until(pilot, lambda: "▾" in scrubber.marks)
        assert scrubber.marks.split() == ["▾", "↻", "■"]
        assert scrubber.marks.index("↻") == scrubber.column_of(4)


async def test_the_search(log: EventLog) -> None:
    async with program(log, at=0) as (app, pilot):
        await pilot.press("slash", *"lo wor", "enter")
        await until(pilot, lambda: app.row == 5)
        assert app.query_one(Input).has_focus
        app.query_one(Input).value = "DELTA"
        await pilot.press("enter")
        await until(pilot, lambda: app.row == 6)
        await pilot.press("enter")
        await until(pilot, lambda: app.row == 2)
        app.query_one(Input).value = "nowhere"
        await pilot.press("enter")
        await until(pilot, lambda: status(app).startswith("not found: nowhere"))
        await pilot.press("escape", "down")
        assert app.row == 3
        assert not app.query_one(Input).has_class("asked")


async def test_the_keys_and_the_signs_are_shown_beside_the_stream(log: EventLog) -> None:
    async with program(log, at=0, size=(160, 50)) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: bool(app.query(HelpPanel)))
        await pilot.press("down")
        assert app.row == 1
        assert "checkpoint" in (EventList.HELP or "")
        assert all(binding.description for binding in Inspector.BINDINGS if isinstance(binding, Binding))
        await pilot.press("question_mark")
        await until(pilot, lambda: not app.query(HelpPanel))


@pytest.mark.thorough
async def test_it_is_left_in_the_middle_of_anything(log: EventLog) -> None:
    for key in ("up", "home", "d", "slash", "question_mark"):
        async with program(log) as (app, pilot):
            await pilot.press(key)
            app.exit()
        assert app.return_code == 0


async def test_the_right_side_is_scrolled_where_it_has_the_focus() -> None:
    log = MemoryLog()
    await put(log, records_of(said(*["words "] * 2_000)), status="completed")
    async with program(log, at=1_000) as (app, pilot):
        await pilot.press("tab", "pagedown", "pagedown", "up")
        right = app.query_one(Pane)
        assert right.has_focus
        await until(pilot, lambda: right.scroll_offset.y > 0)
        assert app.row == 1_000
        await pilot.press("tab", "down")
        assert app.row == 1_001


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_it_is_left(log: EventLog, key: str) -> None:
    async with program(log) as (app, pilot):
        await pilot.press(key)
    assert app.return_code == 0


# Gaps, damage, an end that was fetched


async def test_numbers_that_were_never_used_are_a_gap() -> None:
    log = MemoryLog()
    records = [*RECORDS[:3], filler(3), filler(4), *RECORDS[5:]]
    await put(log, records, status="completed")
    async with program(log, at=0) as (app, pilot):
        await until(pilot, lambda: app.timeline.gaps == (3,))
        await pilot.press("n")
        assert row(app, 3) == "∅ 3 no event has this number"
        await shows(pilot, app, '"Hel"')
        await pilot.press("e")
        await shows(pilot, app, "no event has this number")


async def test_a_damaged_record_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with SqliteLog(path) as log:
        await put(log, status="completed")
    damage(path, 4)
    async with SqliteLog(path) as log, program(log, at=3) as (app, pilot):
        assert '"Hello "' in pane(app)
        await until(pilot, lambda: app.timeline.damaged == (4,))
        await pilot.press("n")
        await shows(pilot, app, "record 4 is damaged")
        assert row(app, 4) == "! 4 record 4 is damaged; restore the log from a copy"
        await pilot.press("down")
        await shows(pilot, app, "its state is unknown")
        await pilot.press("e")
        await shows(pilot, app, '"delta": "ld"')
        await pilot.press("r", "end")
        await shows(pilot, app, "resp_1: record 4 is damaged")


async def test_the_end_has_what_was_fetched_there() -> None:
    log = MemoryLog()
    lease = await put(log, RECORDS[:4])
    last = with_response(State(), b'{"id":"resp_1","status":"completed","output":[]}')
    await log.save_checkpoint(lease, SavedCheckpoint(3, checkpoint(last)))
    await log.append(lease, [], status="completed")
    async with program(log, at=3) as (app, pilot):
        assert '"in_progress"' in pane(app)
        await pilot.press("d", "end")
        await shows(pilot, app, '+ "completed"')


async def test_nothing_in_a_stream_steers_the_terminal() -> None:
    log = MemoryLog()
    await put(log, records_of(said("\x1b[31m", "\x9b2J")), status="completed")
    async with program(log) as (app, pilot):
        for key in "rtde":
            await pilot.press(key)
            await pilot.pause()
            lines = (*app.query_one(Pane).render_lines(app.query_one(Pane).size.region),)
            assert not re.search("[\x00-\x1f\x7f-\x9f]", "".join(strip.text for strip in lines))


# Live


async def test_a_live_stream_grows_and_the_end_is_stuck_to() -> None:
    log = MemoryLog()
    lease = await put(log, RECORDS[:3])
    async with program(log) as (app, pilot):
        assert status(app) == "at 2 of 2  ·  in_progress  ·  live"
        await log.append(lease, RECORDS[3:5])
        await shows(pilot, app, '"Hello wor"')
        assert app.row == 4
        await pilot.press("up")
        await log.append(lease, RECORDS[5:6])
        await until(pilot, lambda: app.timeline.rows == 6)
        assert app.row == 3
        await pilot.press("end")
        await log.append(lease, RECORDS[6:], status="completed")
        await log.note(lease, OUTCOME)
        await log.release(lease)
        await until(pilot, lambda: app.timeline.rows == 9)
        assert app.row == 8
        await until(pilot, lambda: status(app) == "at 6 of 6  ·  completed  ·  finished")


@pytest.mark.thorough
async def test_who_reads_on_the_right_is_not_disturbed_by_what_comes() -> None:
    log = MemoryLog()
    data = said(*["words "] * 2_000)
    lease = await put(log, records_of(data)[:-2])
    async with program(log, at=1_000) as (app, pilot):
        right = app.query_one(Pane)
        await pilot.press("t")
        await until(pilot, lambda: right.top > 0)
        await pilot.press("tab", "home")
        assert right.top == 0
        await log.append(lease, records_of(data)[-2:])
        await until(pilot, lambda: app.timeline.beyond == len(data))
        await pilot.pause()
        assert (right.top, app.row) == (0, 1_000)


async def test_a_live_stream_need_not_be_followed() -> None:
    log = MemoryLog()
    lease = await put(log, RECORDS[:3])
    async with program(log) as (app, pilot):
        await pilot.press("f")
        await log.append(lease, RECORDS[3:5])
        await until(pilot, lambda: app.timeline.rows == 5)
        assert app.row == 2
        assert status(app).endswith("open, not followed (f)")
        await pilot.press("f")
        assert app.row == 4
        await log.append(lease, RECORDS[5:6])
        await until(pilot, lambda: app.row == 5)


async def test_a_finished_stream_cannot_be_followed(log: EventLog) -> None:
    async with program(log) as (app, pilot):
        await pilot.press("f")
        assert status(app).startswith("the stream is finished")


async def test_a_note_that_comes_late_moves_no_row_under_the_user() -> None:
    log = MemoryLog()
    lease = await put(log)
    async with program(log, at=4) as (app, pilot):
        await log.note(lease, RESUME)
        await log.note(lease, CANCEL)
        await until(pilot, lambda: len(app.timeline.notes) == 2)
        assert (app.row, status(app).split("  ")[0]) == (6, "at 4 of 6")
        assert row(app, 0) == "✗ cancel: asked for"
        await pilot.press("home")
        await until(pilot, lambda: status(app).startswith("before 0"))


async def test_a_stream_without_events_waits_for_them() -> None:
    log = MemoryLog()
    lease = await log.acquire(KEY, owner="test", seconds=3600)
    async with program(log) as (app, pilot):
        assert (pane(app), status(app)) == ("no event has been recorded yet", "no event yet  ·  live")
        await pilot.press("down", "end", "n", "right")
        await log.append(lease, RECORDS[:1])
        await shows(pilot, app, '"in_progress"')


async def test_a_stream_that_is_dropped_is_told_and_what_was_read_stays() -> None:
    log = MemoryLog()
    await put(log, RECORDS[:3])
    async with program(log) as (app, pilot):
        await log.drop(KEY)
        await until(pilot, lambda: status(app).startswith("the log has no stream"))
        assert '"Hel"' in pane(app)


@sampled_product("doing", 2, ["home", "slash,x,enter"])
async def test_a_log_that_fails_is_told(doing: str) -> None:
    log = MemoryLog()
    await put(log, records_of(said(*["x"] * 1000)))
    async with program(log) as (app, pilot):
        await log.aclose()
        await pilot.press(*doing.split(","))
        await until(pilot, lambda: status(app).startswith("the log in memory: "))


async def test_the_tokens_are_told_where_the_response_tells_them() -> None:
    log = MemoryLog()
    data = [record.data for record in RECORDS]
    data[-1] = data[-1].replace(b'"object":', b'"usage": {"input_tokens": 1200, "output_tokens": 34}, "object":')
    await put(log, records_of(data), status="completed")
    async with program(log) as (app, pilot):
        await until(pilot, lambda: "1,200 tokens in, 34 out" in status(app))


# Long streams


@pytest.mark.parametrize("count", LONG)
async def test_a_long_stream_opens_and_jumps(count: int) -> None:
    """Bounds far above what was measured, for a machine that does other things: they find what grows with the stream."""
    log = MemoryLog()
    data = said(*["word "] * count)
    await put(log, records_of(data), status="completed")
    async with program(log, at=count // 2) as (app, pilot):
        assert f"at {count // 2:,} of {len(data) - 1:,}" in status(app)
        for key, number in (("home", "0"), ("end", f"{len(data) - 1:,}"), ("pageup", f"{count // 1000 - 1},")):
            await pilot.press(key)
            await until(pilot, lambda number=number: f"at {number}" in status(app))
        await pilot.press("t", "left")
        await until(pilot, lambda: app.query_one(Pane).lines[-1].new_from is not None)
        assert len(app._pages._pages) <= 10


async def test_keys_that_come_fast_are_not_each_waited_for() -> None:
    log = MemoryLog()
    await put(log, records_of(said(*["word "] * 5_000)), status="completed")
    async with program(log, at=0) as (app, pilot):
        for _ in range(40):
            app.action_leap(1)
        assert len(app._pages._pages) == 1  # nothing on the way was fetched
        await until(pilot, lambda: app._pages.entry(app.timeline.number_at(app.row) or 0) is not None)
        assert len(app._pages._pages) <= 3


@sampled_product("size", 3, [(40, 10), (80, 24), (160, 50)])
async def test_it_fits_a_terminal_of_any_size(log: EventLog, size: tuple[int, int]) -> None:
    async with program(log, size=size) as (app, pilot):

        def strips() -> list[str]:
            rows = app.query_one(EventList)
            return [strip.text for strip in rows.render_lines(rows.size.region)]

        assert all(len(text) <= size[0] for text in strips())
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: "the end: completed" in "".join(strips()))


async def test_whatever_a_widget_draws_is_visible(log: EventLog) -> None:
    async with program(log) as (app, pilot):
        app.query_one("#caption", Static).update(Text(f"before{EVIL}"))
        await pilot.pause()
        drawn = "".join(segment.text for strip in app.screen._compositor.render_strips() for segment in strip)
        assert "before␛]0;PWNED" in drawn
        assert not [each for each in drawn if steers(each)]
