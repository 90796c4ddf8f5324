"""The settings of an emulator: each with a default that works, each refused by name."""

from collections.abc import Callable

import pytest

from streamfold.emulator import Options
from streamfold.errors import InvalidArgument


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
    ],
)
def test_a_bad_setting_is_named(make: Callable[[], Options], name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make()
    assert caught.value.name == name


def test_the_key_is_never_shown() -> None:
    assert "secret" not in repr(Options(key="secret"))
