"""A script drawn from a seed: one response, one gateway, what goes wrong, what the caller does.

In      a seed, and how many events each stream of the library has
Out     a Script; the same one for the same seed
Units   virtual seconds; shares from 0 to 1
Errors  none
Source  docs/explanation/simulation.md

Most scripts are of what is common, with little wrong; a few are of what is rare, with much wrong.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

from attrs import evolve
from msgspec.structs import replace

from streamfold.chaos import Drip, Fault, Plan, Refuse, draw_faults
from streamfold.sim.script import Deed, Manner, Script, Upset

__all__ = ["draw_script"]

# What a stream of plain numbers survives with nothing lost, and what others do: where nothing tells an event from
# another, one that is left out, sent twice or torn cannot be seen.
ANY = (
    *("drop", "stall", "drip", "duplicate", "reorder", "gap", "corrupt", "no_terminal", "two_terminals"),
    *("refuse", "gzip", "html"),
)
UNSEEN = ("drop", "stall", "drip", "no_terminal", "two_terminals", "refuse", "gzip", "html")
CALLS = ("drop", "refuse", "html")
CANCELS = (
    *("mka1", "mka1", "openai", "conflict409", "ends-silently", "failed-holding-cancelled", "completes-anyway"),
    *("finished200", "vllm"),
)
TERMINALS = ("incomplete", "failed", "error_nested", "error_flat", "unsaid")


def draw_script(seed: int, lengths: Sequence[int]) -> Script:
    """The script of this seed. lengths: of the streams that there are, in events."""
    random = Random(seed)
    stream = int(len(lengths) * random.random() ** 2)
    manner = _manner(random)
    seconds = manner.pace_seconds * lengths[stream] + manner.pause_seconds
    start: Any = _one(random, ("create",) * 8 + ("follow",) * 7 + ("after",) * 2 + ("restored",) * 3)
    kinds: tuple[str, ...] = UNSEEN if manner.numbering != "plain" else ANY
    if manner.numbering == "plain" and _share(random, 0.05):
        kinds = (*ANY, "renumber", "renumber", "renumber")
    return Script(
        seed=seed,
        stream=stream,
        manner=manner,
        start="follow" if start == "after" and manner.numbering in {"none", "zeros"} else start,
        after=random.randrange(lengths[stream]) if start in {"after", "restored"} else 0,
        head_start_seconds=0.0
        if start == "create"
        else round(random.random() * 1.3 * seconds, 3) * random.randrange(2),
        streams=_stream_upsets(random, kinds, lengths[stream]),
        retrieves=_call_upsets(random, ("unsent", "lost", "empty", "torn", "open", "taken")),
        cancels=_call_upsets(random, ("unsent", "lost", "empty", "torn", "open", "taken")),
        deeds=_deeds(random, seconds),
        total_seconds=round(random.random() * 300, 1) if manner.ending == "never" or _share(random, 0.05) else None,
        window_events=_one(random, (256, 256, 256, 4)),
        max_attempts=_one(random, (5, 5, 5, 2, 1)),
        max_frame_bytes=random.randrange(400, 4000) if _share(random, 0.03) else 1 << 26,
        is_restless=_share(random, 0.1),
    )


def _manner(random: Random) -> Manner:
    background = _share(random, 0.75)
    common = Manner(
        background=background,
        pace_seconds=_one(random, (0.0, 0.001, 0.02, 0.2, 0.2, 2.0)),
        pause_seconds=_one(random, (20.0, 70.0, 200.0)) if _share(random, 0.1) else 0.0,
        heartbeat_seconds=_one(random, (0.0, 2.0, 15.0)),
        retry_milliseconds=1500 if _share(random, 0.1) else 0,
        joins=_share(random, 0.7),
        finished=_one(random, ("all", "all", "all", "next", "own")),
        cancel=_one(random, CANCELS),
        cancel_seconds=_one(random, (0.5, 8.0, 40.0)) if _share(random, 0.2) else 0.0,
        keeps_output=_share(random, 0.3),
    )
    if _share(random, 0.5):
        return common
    numbering = _one(random, ("none", "holes", "zeros")) if _share(random, 0.15) else "plain"
    return replace(
        common,
        numbering=numbering,
        first_number=_one(random, (1, 42)) if _share(random, 0.1) else 0,
        # Where events can only be counted, nobody could tell which of those before a restart were signs of life.
        has_keepalive=_share(random, 0.15) and numbering in {"plain", "holes"},
        ending="never" if _share(random, 0.05) else _one(random, TERMINALS) if _share(random, 0.5) else "completed",
        is_streamable=_share(random, 0.8 if background else 0.5),
        window_seconds=round(random.random() * 30, 1) if _share(random, 0.2) else None,
        cursor=_one(random, ("refused", "ignored")) if _share(random, 0.25) else "taken",
        retrieve=_one(random, ("never", "ended")) if _share(random, 0.1) else "always",
    )


def _stream_upsets(random: Random, kinds: tuple[str, ...], length: int) -> tuple[Upset, ...]:
    plan = Plan(rate=0.8, kinds=kinds, most_events=length, most_seconds=_one(random, (0.05, 2.0, 90.0)))
    return tuple(_stream_upset(random, plan) for _ in range(_how_many(random)))


def _stream_upset(random: Random, plan: Plan) -> Upset:
    answers: tuple[Any, ...] = ("unsent", "empty", "json", "too_old", "cursor", "all", "all", "next", "own")
    drawn = [*draw_faults(plan, random.random)] + ([*draw_faults(plan, random.random)] if _share(random, 0.3) else [])
    # Each byte as late as a stall may be, and no stream would end in a day.
    drawn = [evolve(each, seconds=each.seconds / 1000) if isinstance(each, Drip) else each for each in drawn]
    faults = _worded(random, drawn)
    return Upset(seconds=_late(random), faults=faults, answer=_one(random, answers) if _share(random, 0.2) else "")


def _call_upsets(random: Random, answers: tuple[Any, ...]) -> tuple[Upset, ...]:
    plan = Plan(rate=0.4, kinds=CALLS, most_events=0, most_seconds=3.0)
    return tuple(
        Upset(
            seconds=_late(random),
            lag_seconds=_late(random),
            faults=_worded(random, draw_faults(plan, random.random)),
            answer=_one(random, answers) if _share(random, 0.4) else "",
        )
        for _ in range(_how_many(random))
    )


def _worded(random: Random, faults: Sequence[Fault]) -> str:
    """The faults as text. Some refusals say how long to wait; a few are for good."""
    return ";".join(str(_refused(random, each) if isinstance(each, Refuse) else each) for each in faults)


def _refused(random: Random, fault: Refuse) -> Fault:
    if _share(random, 0.08):
        return evolve(fault, status=_one(random, (400, 401, 403, 404, 410, 422)))
    return evolve(fault, retry_after=_one(random, (0.5, 7.0, 300.0))) if _share(random, 0.3) else fault


def _deeds(random: Random, seconds: float) -> tuple[Deed, ...]:
    deeds = [Deed(_some_time(random, seconds))] if _share(random, 0.5) else []
    deeds += [Deed(_some_time(random, seconds))] if _share(random, 0.1) else []
    deeds += [Deed(_some_time(random, seconds), "notice")] if _share(random, 0.2) else []
    deeds += [Deed(_some_time(random, seconds), "leave")] if _share(random, 0.02) else []
    return tuple(deeds)


def _some_time(random: Random, seconds: float) -> float:
    return round(random.random() * (1.3 * seconds + 1), 3)


def _late(random: Random) -> float:
    return _one(random, (0.05, 0.5, 4.0, 45.0, 90.0)) if _share(random, 0.3) else 0.0


def _how_many(random: Random) -> int:
    """Often none, now and then more than any ladder has attempts."""
    return 0 if _share(random, 0.35) else min(12, int(random.expovariate(0.35)))


def _share(random: Random, share: float) -> bool:
    return random.random() < share


def _one(random: Random, values: Sequence[Any]) -> Any:
    return values[int(random.random() * len(values))]
