"""`streamfold emulator`: serve a gateway on this machine, with a toy model and faults on request."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attrs import asdict, field, frozen
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from streamfold.cli.fold.source import os_reason
from streamfold.cli.terminal import USAGE, Failure, Output, cannot_write
from streamfold.errors import InvalidArgument, StreamfoldError

if TYPE_CHECKING:
    from streamfold.emulator import Emulator

DEFAULT_PORT = 8787
FLAGS = {"faults": "fault"}  # an option's name where the flag has another

MODEL = Group("Model", sort_key=2)
STREAMS = Group("Streams and cancels", sort_key=3)
BATCHES = Group("Batches", sort_key=4)
FAULTS = Group("Faults", sort_key=5)
WEBHOOKS = Group("Webhooks", sort_key=6)
LIMITS = Group("Limits", sort_key=7)


def _option(help: str, group: Group) -> Parameter:
    return Parameter(help=help, group=group)


@Parameter(name="*")
@frozen(kw_only=True)
class Behaviour:
    """The emulator's own options; None keeps its default."""

    key: Annotated[str | None, Parameter(help="The only API key to accept [default: any]")] = field(
        default=None, repr=False
    )
    cors_origins: Annotated[
        str | None, Parameter(help="Web pages that may read the answers, separated by commas [default: *]")
    ] = None
    tokens_per_second: Annotated[
        float | None, _option("How fast it answers; 0: as fast as it can [default: 50]", MODEL)
    ] = None
    seed: Annotated[int | None, _option("A different seed gives different ids and texts [default: 0]", MODEL)] = None
    playback: Annotated[Path | None, _option("Answer with this recorded stream instead of the model.", MODEL)] = None
    queue_seconds: Annotated[float | None, _option("How long a response stays queued [default: 0]", MODEL)] = None
    hold_after_events: Annotated[int | None, _option("Pause after this many events, until cancelled.", MODEL)] = None
    cancel: Annotated[str | None, _option("How cancels behave [default: as in the dialect of the path]", STREAMS)] = (
        None
    )
    keepalive_seconds: Annotated[
        float | None, _option("Send a comment after this much silence [default: 2]", STREAMS)
    ] = None
    resume_window_seconds: Annotated[
        float | None, _option("The age after which a response can no longer be streamed.", STREAMS)
    ] = None
    numbers_finished_next: Annotated[
        bool | None,
        _option("Give the single event of a finished response the number after the reader's cursor.", STREAMS),
    ] = None
    cancels_on_disconnect: Annotated[
        bool | None, _option("Cancel a foreground response when its client disconnects.", STREAMS)
    ] = None
    batch_stage_seconds: Annotated[
        float | None, _option("How long a batch stays in each status [default: 1]", BATCHES)
    ] = None
    batch_cancel_seconds: Annotated[
        float | None, _option("How long a batch stays cancelling [default: 1]", BATCHES)
    ] = None
    batch_requests: Annotated[int | None, _option("How many requests a batch has [default: 3]", BATCHES)] = None
    invalid_status: Annotated[
        int | None, _option("The status for an invalid request, 400 or 422 [default: 400]", FAULTS)
    ] = None
    retry_after_seconds: Annotated[float | None, _option("The Retry-After of a 429 or 503 [default: 1]", FAULTS)] = None
    webhook_attempts: Annotated[int | None, _option("How often a webhook is sent, at most [default: 5]", WEBHOOKS)] = (
        None
    )
    webhook_backoff_seconds: Annotated[
        float | None, _option("The wait after the first failure [default: 0.5]", WEBHOOKS)
    ] = None
    keep_responses: Annotated[
        int | None, _option("How many responses are kept; the oldest finished one goes first [default: 10000]", LIMITS)
    ] = None
    keep_bytes: Annotated[int | None, _option("How much memory they may take [default: 1073741824]", LIMITS)] = None
    max_answer_tokens: Annotated[int | None, _option("The longest answer [default: 100000]", LIMITS)] = None
    max_body_bytes: Annotated[int | None, _option("The longest request body [default: 16777216]", LIMITS)] = None
    max_buffered_bytes: Annotated[
        int | None, _option("What all bodies and long answers under way may take [default: 268435456]", LIMITS)
    ] = None
    max_connections: Annotated[int | None, _option("How many connections may be open [default: 1000]", LIMITS)] = None
    request_seconds: Annotated[
        float | None, _option("How long a client may take to send a request [default: 30]", LIMITS)
    ] = None
    unread_seconds: Annotated[
        float | None, _option("How long a client may leave an answer unread [default: 120]", LIMITS)
    ] = None


def emulator(
    *,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, Parameter(help="The port; 0 chooses a free one.", validator=Number(gte=0, lte=65535))
    ] = DEFAULT_PORT,
    fault: Annotated[
        list[str] | None,
        Parameter(help="A fault, such as drop:after_events=3,how=rst. May be repeated.", group=FAULTS),
    ] = None,
    plan: Annotated[
        str | None, Parameter(help="Random faults, such as seed=7,rate=0.5,kinds=drop+stall.", group=FAULTS)
    ] = None,
    behaviour: Behaviour | None = None,
) -> int:
    """Serve a local gateway: MKA1 on /api/v1/llm, OpenAI on /v1."""
    given = {name: value for name, value in asdict(behaviour or Behaviour()).items() if value is not None}
    app = _emulator(given, fault or [], plan)
    announce = _announcer(Output(), has_key="key" in given)
    return _serve(app, host=host, port=port, announce=announce)


def _emulator(settings: dict[str, Any], faults: list[str], plan: str | None) -> "Emulator":
    from streamfold.emulator import Emulator, Options

    try:
        return Emulator(Options(**settings, faults=";".join(faults), plan=plan))
    except InvalidArgument as error:
        name, _, part = error.name.partition(".")
        flag = f"--{FLAGS.get(name, name.replace('_', '-'))}" + (f": {part}" if part else "")
        raise Failure(f"{flag}: {error.reason.removeprefix('fault: ')}", USAGE) from error
    except OSError as error:
        raise Failure(f"{settings['playback']}: {os_reason(error)}") from error
    except StreamfoldError as error:  # of the recording
        raise Failure(f"{settings['playback']}: {error}") from error


def _serve(app: "Emulator", *, host: str, port: int, announce: Callable[[str], None]) -> int:
    from streamfold.emulator import serve

    try:
        host.encode("idna")  # what a socket cannot encode, it refuses with a TypeError
        serve(app, host=host, port=port, announce=announce)
    except BrokenPipeError:
        raise
    except (OSError, UnicodeError) as error:
        raise listening_failure(error, host, port) from error
    return 0


def listening_failure(error: Exception, host: str, port: int) -> Failure:
    """Return the Failure of a server that cannot listen."""
    number = getattr(error, "errno", None)  # asyncio adds words to those of the system
    reason = os.strerror(number) if number and number > 0 else getattr(error, "strerror", None) or str(error)
    return Failure(f"cannot listen on {host}:{port}: {reason}")


def _announcer(output: Output, *, has_key: bool) -> Callable[[str], None]:
    def announce(url: str) -> None:
        try:
            write(url)
        except BrokenPipeError:
            raise
        except OSError as error:  # of stdout, not of the address
            raise Failure(cannot_write(error)) from error

    def write(url: str) -> None:
        output.write(f"{url}\n")
        if output.is_terminal:
            key = "your --key" if has_key else "any API key"
            output.write(f"MKA1 on /api/v1/llm, OpenAI on /v1, with {key}; Ctrl-C stops it. In another terminal:\n")
            output.write(f"  export STREAMFOLD_BASE_URL={url} STREAMFOLD_API_KEY={'...' if has_key else 'any'}\n")
            output.write('  streamfold create --model toy --input "Tell me a long story" --background --stream\n')

    return announce
