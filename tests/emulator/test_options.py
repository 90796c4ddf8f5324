"""The settings of an emulator: each with a default that works, each refused by name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from streamfold.chaos import Drop, Gzip, Plan, Where
from streamfold.emulator import Emulator, Options
from streamfold.errors import InvalidArgument
from tests.emulator.inprocess import create


def test_nothing_has_to_be_said() -> None:
    assert Options() == Options()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        pytest.param(lambda: Options(tokens_per_second=-1), "tokens_per_second", id="slower than not at all"),
        pytest.param(lambda: Options(queue_seconds=-1), "queue_seconds", id="begun before it was made"),
        pytest.param(lambda: Options(hold_after_events=-1), "hold_after_events", id="fewer events than none"),
        pytest.param(lambda: Options(key=""), "key", id="a key that nobody could send"),
        pytest.param(lambda: Options(keepalive_seconds=0), "keepalive_seconds", id="comments without end"),
        pytest.param(lambda: Options(resume_window_seconds=-1), "resume_window_seconds", id="a window before time"),
        pytest.param(lambda: Options(cancel="polite"), "cancel", id="no dialect of cancels"),
        pytest.param(lambda: Options(batch_stage_seconds=float("nan")), "batch_stage_seconds", id="no number"),
        pytest.param(lambda: Options(batch_requests=-1), "batch_requests", id="fewer requests than none"),
        pytest.param(lambda: Options(invalid_status=418), "invalid_status", id="a teapot"),
        pytest.param(lambda: Options(retry_after_seconds=-1), "retry_after_seconds", id="before the request"),
        pytest.param(lambda: Options(webhook_attempts=0), "webhook_attempts", id="never sent"),
        pytest.param(lambda: Options(batch_requests=1.5), "batch_requests", id="half a request"),  # pyright: ignore
        pytest.param(lambda: Options(tokens_per_second="fast"), "tokens_per_second", id="text"),  # pyright: ignore
        pytest.param(lambda: Options(keepalive_seconds="2"), "keepalive_seconds", id="digits"),  # pyright: ignore
        pytest.param(lambda: Options(queue_seconds=None), "queue_seconds", id="nothing"),  # pyright: ignore
        pytest.param(lambda: Options(key=7), "key", id="a key that is no text"),  # pyright: ignore
        pytest.param(lambda: Options(seed=1.5), "seed", id="half a seed"),  # pyright: ignore
        pytest.param(lambda: Options(playback=7), "playback", id="neither a path nor bytes"),  # pyright: ignore
        pytest.param(lambda: Options(plan=7), "plan", id="neither a plan nor text"),  # pyright: ignore
        pytest.param(lambda: Options(plan="rate=2"), "plan.rate", id="a plan out of range"),
        pytest.param(lambda: Options(faults="explode"), "faults", id="text that names no fault"),
        pytest.param(lambda: Options(faults=["drop"]), "faults", id="a list of names"),  # pyright: ignore
        pytest.param(lambda: Options(numbers_finished_next="no"), "numbers_finished_next", id="a word"),  # pyright: ignore
        pytest.param(lambda: Options(cancels_on_disconnect=2), "cancels_on_disconnect", id="a number"),  # pyright: ignore
        pytest.param(lambda: Options(faults=7), "faults", id="a number for a fault"),  # pyright: ignore
        *(
            pytest.param(lambda name=name: Options(**{name: 0}), name, id=f"no {name}")
            for name in (
                "keep_responses",
                "keep_bytes",
                "max_answer_tokens",
                "max_body_bytes",
                "max_buffered_bytes",
                "max_connections",
                "request_seconds",
                "unread_seconds",
            )
        ),
        *(
            pytest.param(
                lambda origins=origins: Options(cors_origins=origins), "cors_origins", id=f"origin {origins!r}"
            )
            for origins in ("localhost", "http://a,", "http://a\r\nx: y", "http://é", ", ", None)
        ),
    ],
)
def test_a_bad_setting_is_named(make: Callable[[], Options], name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make()
    assert caught.value.name == name


def test_the_key_is_never_shown() -> None:
    assert "secret" not in repr(Options(key="secret"))


def test_the_message_says_what_is_expected_and_what_was_given() -> None:
    with pytest.raises(InvalidArgument, match=r"faults: must be Faults, or text such as .*, not 7"):
        Options(faults=7)  # pyright: ignore
    with pytest.raises(InvalidArgument, match=r"batch_requests: must be a whole number of 0 or more, not 1.5"):
        Options(batch_requests=1.5)  # pyright: ignore


def test_the_key_is_not_in_the_message_that_refuses_it() -> None:
    with pytest.raises(InvalidArgument) as caught:
        Options(key=b"a-secret")  # pyright: ignore
    assert "a-secret" not in str(caught.value)


# Text forms


def test_faults_may_be_text_one_fault_or_several() -> None:
    drop = Drop(after_events=7, where=Where.FRAME)
    assert Options(faults="drop:after_events=7,where=frame;gzip").faults == (drop, Gzip())
    assert Options(faults=drop).faults == Options(faults=[drop]).faults == (drop,)
    assert Options(faults="").faults == Options().faults == ()


def test_a_plan_may_be_text() -> None:
    assert Options(plan="seed=7,rate=0.5,kinds=drop").plan == Plan(seed=7, rate=0.5, kinds=("drop",))


def test_a_playback_may_be_the_path_of_a_file() -> None:
    assert Options(playback="stream.sse").playback == Path("stream.sse")
    assert Options(playback=b"data: {}\n\n").playback == b"data: {}\n\n"


@pytest.mark.anyio
async def test_a_seed_may_be_text_and_another_text_is_another_seed() -> None:
    answers = [await create(Emulator(Options(tokens_per_second=0, seed=seed))) for seed in ("a", "a", "b", 0)]
    texts = [answer.json["output_text"] for answer in answers]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3
