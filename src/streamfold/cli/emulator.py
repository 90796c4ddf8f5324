"""`streamfold emulator`: a gateway on this machine, with a toy model behind it and faults on request.

In      where it listens, how it behaves, what goes wrong
Out     one line with its URL, once it can be connected to; then it serves until Ctrl-C
Units   seconds, tokens; as each option says
Errors  Failure for an option that is out of range, a recording that is none, and an address that cannot be had
Source  docs/reference/emulator.md
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attrs import asdict, field, frozen
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from streamfold.cli.failure import USAGE, Failure
from streamfold.cli.fold.source import REASONS
from streamfold.cli.terminal import Output
from streamfold.errors import InvalidArgument, StreamfoldError

if TYPE_CHECKING:
    from streamfold.emulator import Emulator

__all__ = ["emulator"]

DEFAULT_PORT = 8787

MODEL = Group("The model", sort_key=2)
STREAMS = Group("Streams and cancels", sort_key=3)
BATCHES = Group("Batches", sort_key=4)
FAULTS = Group("Faults", sort_key=5)
WEBHOOKS = Group("Webhooks", sort_key=6)


@Parameter(name="*")
@frozen(kw_only=True)
class Behaviour:
    """The options of the emulator that are given to it as they are; None where the default is its own."""

    key: Annotated[str | None, Parameter(help="The only key that is taken; by default any.")] = field(
        default=None, repr=False
    )
    tokens_per_second: Annotated[float | None, Parameter(help="How fast it answers; 50. 0: at once.", group=MODEL)] = (
        None
    )
    seed: Annotated[int | None, Parameter(help="Another seed, other ids and texts; 0.", group=MODEL)] = None
    playback: Annotated[
        Path | None, Parameter(help="A recorded stream to answer with, instead of the model.", group=MODEL)
    ] = None
    queue_seconds: Annotated[float | None, Parameter(help="How long it is queued; 0.", group=MODEL)] = None
    hold_after_events: Annotated[
        int | None, Parameter(help="Stand still after so many events, until cancelled.", group=MODEL)
    ] = None
    cancel: Annotated[
        str | None, Parameter(help="The dialect of cancels; by default that of the path.", group=STREAMS)
    ] = None
    keepalive_seconds: Annotated[
        float | None, Parameter(help="The silence after which a comment is sent; 2.", group=STREAMS)
    ] = None
    resume_window_seconds: Annotated[
        float | None, Parameter(help="The age after which nothing is streamed again.", group=STREAMS)
    ] = None
    numbers_finished_next: Annotated[
        bool | None, Parameter(help="The one event of a finished answer has the reader's next number.", group=STREAMS)
    ] = None
    cancels_on_disconnect: Annotated[
        bool | None, Parameter(help="A foreground answer is cancelled when its client leaves.", group=STREAMS)
    ] = None
    batch_stage_seconds: Annotated[float | None, Parameter(help="How long in each status; 1.", group=BATCHES)] = None
    batch_cancel_seconds: Annotated[float | None, Parameter(help="How long cancelling; 1.", group=BATCHES)] = None
    batch_requests: Annotated[int | None, Parameter(help="How many requests each has; 3.", group=BATCHES)] = None
    invalid_status: Annotated[
        int | None, Parameter(help="400 or 422, for a request that is not valid; 400.", group=FAULTS)
    ] = None
    retry_after_seconds: Annotated[float | None, Parameter(help="What a 429 or 503 asks for; 1.", group=FAULTS)] = None
    webhook_attempts: Annotated[int | None, Parameter(help="How often one is sent, at most; 5.", group=WEBHOOKS)] = None
    webhook_backoff_seconds: Annotated[
        float | None, Parameter(help="The wait after the first failure; 0.5.", group=WEBHOOKS)
    ] = None

    @property
    def given(self) -> dict[str, Any]:
        """Those that were given."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def emulator(
    *,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, Parameter(help="The port; 0 for any that is free.", validator=Number(gte=0, lte=65535))
    ] = DEFAULT_PORT,
    fault: Annotated[
        list[str] | None,
        Parameter(help="What goes wrong, as drop:after_events=3,how=rst; may be given again.", group=FAULTS),
    ] = None,
    plan: Annotated[
        str | None, Parameter(help="A seeded schedule of more, as seed=7,rate=0.5,kinds=drop+stall.", group=FAULTS)
    ] = None,
    behaviour: Behaviour | None = None,
) -> int:
    """Serve a local gateway: MKA1 on /api/v1/llm, OpenAI on /v1."""
    given = behaviour.given if behaviour is not None else {}
    app = _emulator(given, fault or [], plan)
    return _serve(app, host=host, port=port, announce=_announcer(Output(), has_key="key" in given))


def _emulator(settings: dict[str, Any], faults: list[str], plan: str | None) -> "Emulator":
    """The emulator that these options make.

    Raises: Failure.
    """
    from streamfold.chaos import parse_faults, parse_plan
    from streamfold.emulator import Emulator, Options

    try:
        parsed = tuple(one for text in faults for one in parse_faults(text))
        return Emulator(Options(**settings, faults=parsed, plan=parse_plan(plan) if plan is not None else None))
    except InvalidArgument as error:
        flag = f"--{error.name.replace('_', '-')}" if error.name in settings else _of_a_fault(error.name)
        raise Failure(f"{flag}: {error.reason}", USAGE) from error
    except OSError as error:
        raise Failure(f"{settings['playback']}: {REASONS.get(type(error), error.strerror or str(error))}") from error
    except StreamfoldError as error:  # of the recording
        raise Failure(f"{settings['playback']}: {error}") from error


def _of_a_fault(name: str) -> str:
    return f"--{name}" if name in ("fault", "plan") else f"--{'plan' if name.startswith('plan.') else 'fault'}: {name}"


def _serve(app: "Emulator", *, host: str, port: int, announce: Callable[[str], None]) -> int:
    from streamfold.emulator import serve

    try:
        serve(app, host=host, port=port, announce=announce)
    except BrokenPipeError:
        raise
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None)  # asyncio lengthens the words of the system
        reason = os.strerror(number) if number and number > 0 else getattr(error, "strerror", None) or str(error)
        raise Failure(f"cannot listen on {host}:{port}: {reason}") from error
    return 0


def _announcer(output: Output, *, has_key: bool) -> Callable[[str], None]:
    def announce(url: str) -> None:
        output.write(f"{url}\n")
        if output.is_terminal:
            key = "the --key" if has_key else "any key"
            output.write(f"MKA1 on /api/v1/llm, OpenAI on /v1, with {key}; Ctrl-C ends it. In another terminal:\n")
            output.write(f"  export STREAMFOLD_BASE_URL={url} STREAMFOLD_API_KEY={'...' if has_key else 'any'}\n")
            output.write('  streamfold create --model toy --input "Tell me a long story" --background --stream\n')

    return announce
