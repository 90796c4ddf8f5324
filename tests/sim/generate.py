"""Generate a scenario from a seed: one response, one gateway, what goes wrong, and what the caller does.

The same seed gives the same scenario. Most scenarios are common cases with few injections; a few are rare cases with
many.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

from attrs import evolve
from msgspec.structs import replace

from streamfold.chaos import Drip, Fault, Plan, Refuse, choose_faults
from streamfold.sim import CallerAction, GatewayBehaviour, Injection, Outage, Scenario

# The faults that a session survives without loss. Where events have no numbers of their own, one that is left out, sent
# twice or torn cannot be noticed.
ANY = (
    *("drop", "stall", "drip", "duplicate", "reorder", "gap", "corrupt", "no_terminal", "two_terminals"),
    *("refuse", "gzip", "html"),
)
UNSEEN = ("drop", "stall", "drip", "no_terminal", "two_terminals", "refuse", "gzip", "html")
STREAM_ANSWERS = ("unsent", "empty", "json", "too_old", "cursor", "all", "all", "next", "own")
CALL_ANSWERS = ("unsent", "lost", "empty", "torn", "open", "taken")
CALLS = ("drop", "refuse", "html")
CANCELS = (
    *("mka1", "mka1", "openai", "conflict409", "ends-silently", "failed-holding-cancelled", "completes-anyway"),
    *("finished200", "vllm", "taken-back", "relabelled", "failed-holding-failed"),
)
# Ids as servers make them, and what a URL or JSON must escape.
IDS = (
    *("cmVzcF8xMjM0NTY3OA==", "resp_abc%2F%3D", "0f8fad5b-d9cb-469f-a165-70867728950e", "a/b?c=d#e;f", "caresp_1.2~3"),
    *("réponse 東京 🌍", 'quo"ted\\', "x" * 300),
)
TERMINALS = ("incomplete", "failed", "error_nested", "error_flat", "silent")


def generate_scenario(seed: int, lengths: Sequence[int]) -> Scenario:
    """Generate the scenario of a seed.

    Args:
        seed: The same seed gives the same scenario.
        lengths: How many events each stream of the cache has.
    """
    random = Random(seed)
    stream = int(len(lengths) * random.random() ** 2)
    behaviour = _behaviour(random)
    if stream < 6:  # each id and each way to leave indexes out makes another transcript, which is kept
        behaviour = replace(
            behaviour,
            response_id=_one(random, IDS) if _happens(random, 0.1) else "",
            indexes=_one(random, ("none", "output")) if _happens(random, 0.15) else "all",
        )
    seconds = behaviour.pace_seconds * lengths[stream] + behaviour.pause_seconds
    start = _one(random, ("create",) * 8 + ("follow",) * 7 + ("after",) * 2 + ("restored",) * 3)
    kinds = _fault_kinds(random, behaviour)
    return Scenario(
        seed=seed,
        stream=stream,
        behaviour=behaviour,
        start="follow" if start == "after" and behaviour.numbering in {"none", "zeros"} else start,
        after=random.randrange(lengths[stream]) if start in {"after", "restored"} else 0,
        head_start_seconds=_head_start_seconds(random, start, seconds),
        streams=_stream_injections(random, kinds, lengths[stream]),
        retrieves=_call_injections(random),
        cancels=_call_injections(random),
        actions=_actions(random, seconds),
        outages=_outages(random, seconds),
        total_seconds=_total_seconds(random, behaviour),
        window_events=_one(random, (256, 256, 256, 4)),
        max_attempts=_one(random, (5, 5, 5, 2, 1)),
        max_frame_bytes=random.randrange(400, 4000) if _happens(random, 0.03) else Scenario().max_frame_bytes,
        is_restless=_happens(random, 0.1),
    )


def _fault_kinds(random: Random, behaviour: GatewayBehaviour) -> tuple[str, ...]:
    if behaviour.numbering != "plain":
        return UNSEEN
    return (*ANY, "renumber", "renumber", "renumber") if _happens(random, 0.05) else ANY


def _head_start_seconds(random: Random, start: str, seconds: float) -> float:
    return 0.0 if start == "create" else round(random.random() * 1.3 * seconds, 3) * random.randrange(2)


def _total_seconds(random: Random, behaviour: GatewayBehaviour) -> float | None:
    return round(random.random() * 300, 1) if behaviour.ending == "never" or _happens(random, 0.05) else None


def _behaviour(random: Random) -> GatewayBehaviour:
    common = GatewayBehaviour(
        background=_happens(random, 0.75),
        pace_seconds=_one(random, (0.0, 0.001, 0.02, 0.2, 0.2, 2.0)),
        pause_seconds=_one(random, (20.0, 70.0, 200.0)) if _happens(random, 0.1) else 0.0,
        heartbeat_seconds=_one(random, (0.0, 2.0, 15.0)),
        retry_milliseconds=1500 if _happens(random, 0.1) else 0,
        joins=_happens(random, 0.7),
        finished=_one(random, ("all", "all", "all", "next", "own")),
        cancel=_one(random, CANCELS),
        foreground_cancel=_one(random, ("400", "404", "405", "409", "501", "200")),
        when_left=_one(random, ("runs", "cancelled", "zombie")),
        cancel_seconds=_one(random, (0.5, 8.0, 40.0)) if _happens(random, 0.2) else 0.0,
        keeps_output=_happens(random, 0.3),
    )
    return common if _happens(random, 0.5) else _rarer(random, common)


def _rarer(random: Random, common: GatewayBehaviour) -> GatewayBehaviour:
    numbering = _one(random, ("none", "holes", "zeros", "skips")) if _happens(random, 0.15) else "plain"
    return replace(
        common,
        numbering=numbering,
        first_number=_one(random, (1, 42)) if _happens(random, 0.1) else 0,
        # Where events can only be counted, an earlier keepalive looks like any other event after a restart.
        has_keepalive=_happens(random, 0.15) and numbering in {"plain", "holes"},
        ending=_ending(random),
        is_streamable=_happens(random, 0.8 if common.background else 0.5),
        window_seconds=round(random.random() * 30, 1) if _happens(random, 0.2) else None,
        cursor=_one(random, ("refused", "ignored")) if _happens(random, 0.25) else "taken",
        retrieve=_one(random, ("never", "ended")) if _happens(random, 0.1) else "always",
    )


def _ending(random: Random) -> Any:
    if _happens(random, 0.05):
        return "never"
    return _one(random, TERMINALS) if _happens(random, 0.5) else "completed"


def _stream_injections(random: Random, kinds: tuple[str, ...], length: int) -> tuple[Injection, ...]:
    plan = Plan(rate=0.8, kinds=kinds, max_events=length, max_seconds=_one(random, (0.05, 2.0, 90.0)))
    return tuple(_stream_injection(random, plan) for _ in range(_how_many(random)))


def _stream_injection(random: Random, plan: Plan) -> Injection:
    faults = [*choose_faults(plan, random.random)] + (
        [*choose_faults(plan, random.random)] if _happens(random, 0.3) else []
    )
    # A drip as slow as a stall, with one wait for each byte, would make a stream last for days.
    faults = [evolve(each, seconds=each.seconds / 1000) if isinstance(each, Drip) else each for each in faults]
    return Injection(
        faults=_as_text(random, faults),
        seconds=_late(random),
        answer=_one(random, STREAM_ANSWERS) if _happens(random, 0.2) else "",
    )


def _call_injections(random: Random) -> tuple[Injection, ...]:
    plan = Plan(rate=0.4, kinds=CALLS, max_events=0, max_seconds=3.0)
    return tuple(
        Injection(
            seconds=_late(random),
            lag_seconds=_late(random),
            faults=_as_text(random, choose_faults(plan, random.random)),
            answer=_one(random, CALL_ANSWERS) if _happens(random, 0.4) else "",
        )
        for _ in range(_how_many(random))
    )


def _as_text(random: Random, faults: Sequence[Fault]) -> str:
    """The faults as text. Some refusals carry a Retry-After; a few are permanent."""
    return ";".join(str(_refused(random, each) if isinstance(each, Refuse) else each) for each in faults)


def _refused(random: Random, fault: Refuse) -> Fault:
    if _happens(random, 0.08):
        return evolve(fault, status=_one(random, (400, 401, 403, 404, 410, 422)))
    return evolve(fault, retry_after=_one(random, (0.5, 7.0, 300.0))) if _happens(random, 0.3) else fault


def _actions(random: Random, seconds: float) -> tuple[CallerAction, ...]:
    actions = [CallerAction(_some_time(random, seconds))] if _happens(random, 0.5) else []
    actions += [CallerAction(_some_time(random, seconds))] if _happens(random, 0.1) else []
    actions += [CallerAction(_some_time(random, seconds), "notice")] if _happens(random, 0.2) else []
    actions += [CallerAction(_some_time(random, seconds), "leave")] if _happens(random, 0.02) else []
    return tuple(actions)


def _outages(random: Random, seconds: float) -> tuple[Outage, ...]:
    count = 1 + _happens(random, 0.3) if _happens(random, 0.12) else 0
    return tuple(
        Outage(
            _some_time(random, seconds),
            _one(random, (0.5, 5.0, 10.0, 30.0, 120.0, 300.0)),
            _one(random, ("refused", "silent", "503")),
        )
        for _ in range(count)
    )


def _some_time(random: Random, seconds: float) -> float:
    return round(random.random() * (1.3 * seconds + 1), 3)


def _late(random: Random) -> float:
    return _one(random, (0.05, 0.5, 4.0, 45.0, 90.0)) if _happens(random, 0.3) else 0.0


def _how_many(random: Random) -> int:
    """Often 0, and now and then more than a session makes attempts."""
    return 0 if _happens(random, 0.35) else min(12, int(random.expovariate(0.35)))


def _happens(random: Random, share: float) -> bool:
    return random.random() < share


def _one(random: Random, values: Sequence[Any]) -> Any:
    return values[int(random.random() * len(values))]
