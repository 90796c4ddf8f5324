"""A part of what `make flips` does, and that it finds out a log which is not careful."""

from pathlib import Path
from random import Random

import anyio
import pytest

from streamfold.log.sqlite import health, queries, schema
from tests.log.flips import SOUND, Wrong, build, draw, outcome, run


@pytest.mark.parametrize("flips", [50, pytest.param(150, marks=pytest.mark.thorough)])
def test_every_damage_to_the_file_is_detected_or_harmless(flips: int) -> None:
    counted, complaints = run(flips, seed=7)
    assert complaints == []
    assert counted.total() == flips
    assert {"at open", "on read", "harmless", "shorter"} <= counted.keys() <= set(SOUND)


def test_a_log_without_checksums_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (queries, schema, health):
        monkeypatch.setattr(module, "matches", lambda _: True)
    truths = anyio.run(build, tmp_path, 0)
    with pytest.raises(Wrong, match="records"):
        for number in range(100):
            random = Random(number)
            hurt = draw(random, tmp_path)
            hurt.do(tmp_path / hurt.state / "log.db")
            anyio.run(outcome, tmp_path / hurt.state / "log.db", truths, hurt, random)
