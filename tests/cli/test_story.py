"""`streamfold demo`, its second part: faults, cancels and a batch, and each claim tried against the gateway."""

import subprocess
import sys
from collections.abc import Callable

import anyio
import pytest
from attrs import evolve

from streamfold.cli import story
from streamfold.cli.claim import Claim
from streamfold.cli.story import FAULTS, Disturbed, compare
from streamfold.client import Gateway
from streamfold.schema import OPENAI
from streamfold.session import Outcome
from tests.cli.conftest import Gateways, Run

REPAIRS = (
    "resume after event 39: ",
    "the stream was refused with 503",
    "an event is missing after ",
    "ReadTimeout",
    "expected an event stream, got text/html",
    "the stream ended before its terminal event",
)


def test_in_a_pipe_it_tells_each_fault_each_repair_and_each_proof() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamfold", "demo"], capture_output=True, check=False, timeout=60, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert all(f"connection {number}: {fault}\n" in done.stdout for number, fault in enumerate(FAULTS, 1))
    assert all(repair in done.stdout for repair in REPAIRS)
    assert "lost: nothing; applied twice: nothing;" in done.stdout
    assert "the batch: cancelled; proven by a GET; the cancel won; the gateway says cancelled" in done.stdout
    assert done.stdout.count("✓") == 13
    assert "✗" not in done.stdout


def test_on_a_terminal_faults_and_repairs_stand_below_the_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("streamfold.cli.demo.WATCHED_TOKENS_PER_SECOND", 400.0)
    ran = run("demo", "--deltas", "5", "--speed", "1000000", terminal=True)
    shown = ran.out.decode()
    assert ran.code == 0
    assert "Each fault and each repair, as they come" in shown
    assert "  ✗ connection 1: drop:after_events=40,how=rst\n" in shown
    assert "  ↻ resume after event 39: " in shown


def test_a_claim_of_the_story_that_fails_is_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(*_: object, **__: object) -> list[Claim]:
        return [Claim("nothing was lost", False)]

    monkeypatch.setattr(story, "tell", tell)
    ran = run("demo", "--deltas", "5")
    assert (ran.code, ran.out.decode().splitlines()[-1]) == (1, "  ✗ nothing was lost")


def without_one(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, payloads=disturbed.payloads[:9] + disturbed.payloads[10:])


def with_one_twice(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, payloads=[*disturbed.payloads[:9], *disturbed.payloads[8:]])


def with_one_altered(disturbed: Disturbed) -> Disturbed:
    changed = disturbed.payloads[9].replace(b'"delta":"', b'"delta":"!')
    return evolve(disturbed, payloads=[*disturbed.payloads[:9], changed, *disturbed.payloads[10:]])


def of_another_end(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, outcome=evolve(disturbed.outcome, proof=None))


def compacted(disturbed: Disturbed) -> Disturbed:
    return evolve(disturbed, outcome=evolve(disturbed.outcome, is_compacted=True))


BROKEN = [
    pytest.param(lambda disturbed: disturbed, [True, True, True], id="as it was"),
    pytest.param(without_one, [False, True, True], id="one lost"),
    pytest.param(with_one_twice, [False, True, True], id="one twice"),
    pytest.param(with_one_altered, [False, True, True], id="one altered"),
    pytest.param(compacted, [True, False, True], id="compacted"),
    pytest.param(of_another_end, [True, True, False], id="not proven"),
]


@pytest.mark.parametrize(("broken", "holds"), BROKEN)
def test_the_claims_are_tried(broken: Callable[[Disturbed], Disturbed], holds: list[bool], gateways: Gateways) -> None:
    url = gateways()

    async def run() -> list[Claim]:
        async with Gateway(url, api_key="k", dialect=OPENAI) as gateway:
            return await compare(broken(await follow(gateway)), gateway)

    claims = anyio.run(run)
    assert [claim.holds for claim in claims[1:]] == holds
    assert not claims[0].holds  # nothing was mended here, and so nothing was shown


async def follow(gateway: Gateway) -> Disturbed:
    payloads: list[bytes] = []
    plain = {"include_obfuscation": False}
    async with gateway.stream(model="toy", input="30 words", background=True, stream_options=plain) as response:
        while applied := await response.next_applied():
            payloads += [each.data for each in applied]
        outcome: Outcome = await response.outcome()
        return Disturbed(response.id or "", outcome, payloads)
