"""`streamfold relay`: hold the streams of a provider, and pass everything else on."""

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from attrs import asdict, frozen
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from streamfold.cli.emulator import listening_failure
from streamfold.cli.settings import user_folder
from streamfold.cli.terminal import USAGE, Failure, Output, cannot_write, say
from streamfold.errors import InvalidArgument, LogError, StreamfoldError, without_credentials

if TYPE_CHECKING:
    from streamfold.relay import RelayServer

DEFAULT_PORT = 8788
FILE_NAME = "relay.db"  # not the user's own log: a relay drops what is older than its retention

STREAMS = Group("Held streams", sort_key=2)
UPSTREAM = Group("Upstream", sort_key=3)
LIMITS = Group("Limits", sort_key=4)


def _option(help: str, group: Group) -> Parameter:
    return Parameter(help=help, group=group)


@Parameter(name="*")
@frozen(kw_only=True)
class Holding:
    """How streams are held; None keeps the default."""

    retain_seconds: Annotated[
        float | None, _option("How long a stream is kept after its end [default: 86400]", STREAMS)
    ] = None
    retain_unstored_seconds: Annotated[float | None, _option("The same with store=false [default: 3600]", STREAMS)] = (
        None
    )
    cancel_when_unread_seconds: Annotated[
        float | None,
        _option("Cancel a foreground response that nobody reads for so long; inf for never [default: 60]", STREAMS),
    ] = None
    attach: Annotated[
        Literal["sign", "same-body", "never"] | None,
        _option(
            "Which creates join an answer that is produced already: those with its key or a sign of a retry, those"
            " with the same body too, or none [default: sign]",
            STREAMS,
        ),
    ] = None
    attach_seconds: Annotated[
        float | None,
        _option("How long an answer that its client left may be joined without a key [default: 60]", STREAMS),
    ] = None
    key_seconds: Annotated[
        float | None, _option("How long after its end an answer may be joined with its key [default: 86400]", STREAMS)
    ] = None
    promote: Annotated[
        Literal["never", "if-stored", "always"] | None,
        _option(
            "Which foreground creates go to the provider with background=true, so that it can resume them [default:"
            " never]",
            STREAMS,
        ),
    ] = None
    heartbeat_seconds: Annotated[
        float | None, _option("Send a comment after this much silence [default: 2]", STREAMS)
    ] = None
    max_behind: Annotated[
        int | None, _option("How many events readers may get before they are in the log [default: 0]", STREAMS)
    ] = None
    window_bytes: Annotated[
        int | None, _option("How much of each stream is kept in memory [default: 1048576]", STREAMS)
    ] = None
    lease_seconds: Annotated[
        float | None, _option("After how long another process takes over from one that died [default: 10]", STREAMS)
    ] = None
    expire_every_seconds: Annotated[
        float | None, _option("How often streams are dropped whose time is over [default: 60]", STREAMS)
    ] = None
    cors_origins: Annotated[
        str | None, Parameter(help="Web pages that may read the answers, separated by commas [default: *]")
    ] = None
    max_streams: Annotated[
        int | None, _option("How many responses are followed at the same time [default: 10000]", LIMITS)
    ] = None
    max_readers: Annotated[int | None, _option("How many readers there may be [default: 20000]", LIMITS)] = None
    max_body_bytes: Annotated[
        int | None, _option("The longest body of a create or a cancel [default: 67108864]", LIMITS)
    ] = None
    max_open_body_bytes: Annotated[
        int | None, _option("What the bodies of all running responses may take [default: 536870912]", LIMITS)
    ] = None


@Parameter(name="*")
@frozen(kw_only=True)
class Serving:
    """What clients may do, and how long the relay waits for the upstream; None keeps the default."""

    connect_seconds: Annotated[float | None, _option("How long connecting to it may take [default: 10]", UPSTREAM)] = (
        None
    )
    upstream_idle_seconds: Annotated[
        float | None, _option("How long it may be silent in a request that is passed on [default: 3600]", UPSTREAM)
    ] = None
    max_connections: Annotated[int | None, _option("How many connections may be open [default: 10000]", LIMITS)] = None
    request_seconds: Annotated[
        float | None, _option("How long a client may take to send a request [default: 30]", LIMITS)
    ] = None
    unread_seconds: Annotated[
        float | None, _option("How long a client may leave an answer unread [default: 120]", LIMITS)
    ] = None
    min_bytes_per_second: Annotated[
        float | None, _option("A body that is sent or read more slowly counts as neither [default: 1000]", LIMITS)
    ] = None
    max_upload_bytes: Annotated[
        int | None, _option("The longest body that is passed on [default: 1073741824]", LIMITS)
    ] = None
    max_websockets: Annotated[int | None, _option("How many WebSockets may be open [default: 200]", LIMITS)] = None
    websocket_idle_seconds: Annotated[
        float | None, _option("How long a WebSocket may be silent [default: 600]", LIMITS)
    ] = None
    drain_seconds: Annotated[
        float | None, _option("How long requests may take to end after SIGTERM [default: 20]", LIMITS)
    ] = None


def relay(
    *,
    upstream: Annotated[str, Parameter(help="The provider's base URL, such as https://api.openai.com/v1")],
    log: Annotated[
        str | None,
        Parameter(
            help="sqlite:PATH, valkey://HOST/DB, or memory: to keep nothing on disk"
            " [default: relay.db in your data folder]"
        ),
    ] = None,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, Parameter(help="The port; 0 chooses a free one.", validator=Number(gte=0, lte=65535))
    ] = DEFAULT_PORT,
    holding: Holding | None = None,
    serving: Serving | None = None,
) -> int:
    """Hold the streams of a provider, so that clients resume them from any event; pass everything else on."""
    address = log or _own_log()
    server = _server(upstream, address, _given(holding), _given(serving))
    return _serve(server, host=host, port=port, announce=_announcer(server, address))


def _given(flags: Holding | Serving | None) -> dict[str, Any]:
    return {} if flags is None else {name: value for name, value in asdict(flags).items() if value is not None}


def _own_log() -> str:
    folder = user_folder("data", os.environ)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{folder}: cannot be created: {error.strerror}; name a log with --log") from error
    return f"sqlite:{folder / FILE_NAME}"


def _server(upstream: str, address: str, holding: dict[str, Any], serving: dict[str, Any]) -> "RelayServer":
    from streamfold.log import open_log
    from streamfold.relay import RelayOptions, RelayServer, ServerOptions

    try:
        options, limits = RelayOptions(**holding), ServerOptions(**serving)
        return RelayServer(
            upstream, open_log(address), log_kind=address.partition(":")[0], options=options, limits=limits
        )
    except InvalidArgument as error:
        flag = "log" if error.name == "url" else error.name.replace("_", "-")
        raise Failure(f"--{flag}: {error.reason}", USAGE) from error
    except LogError as error:
        raise _log_failure(error) from error
    except StreamfoldError as error:  # a library for the log is missing
        raise Failure(str(error)) from error


def _log_failure(error: LogError) -> Failure:
    return Failure(f"{error}; name another log with --log, or keep nothing with --log memory:")


def _serve(server: "RelayServer", *, host: str, port: int, announce: Callable[[str], None]) -> int:
    from streamfold.relay import serve_relay

    lines = _Lines()
    logging.getLogger("streamfold.relay").addHandler(lines)
    try:
        host.encode("idna")  # what a socket cannot encode, it refuses with a TypeError
        serve_relay(server, host=host, port=port, announce=announce)
    except BrokenPipeError:
        raise
    except LogError as error:
        raise _log_failure(error) from error
    except (OSError, UnicodeError) as error:
        raise listening_failure(error, host, port) from error
    finally:
        logging.getLogger("streamfold.relay").removeHandler(lines)
    return 0


class _Lines(logging.Handler):
    """Prints what the relay logs on stderr, a line each."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def _announcer(server: "RelayServer", address: str) -> Callable[[str], None]:
    output = Output()

    def announce(url: str) -> None:
        try:
            output.write(f"{url}\n")
            for line in _words(server, url, address):
                output.write_line(line)
        except BrokenPipeError:
            raise
        except OSError as error:  # of stdout, not of the address
            raise Failure(cannot_write(error)) from error

    return announce


def _words(server: "RelayServer", url: str, address: str) -> list[str]:
    """What the relay does, in plain words."""
    options, origin = server.options, server.origin
    use = f"Use {url}{origin.path} as the base URL" if origin.path else f"Use {url} in place of {origin.root}"
    kept = (
        "are kept in memory alone: nothing is written to disk, and they are lost when the relay stops"
        if address == "memory:"
        else f"are written to {without_credentials(address)}"
    )
    end = "" if address == "memory:" else " `--log memory:` keeps nothing on disk."
    lines = [
        f"{use}, with the same key. The upstream is {origin}.",
        "Held: each Responses stream, a POST to /responses with stream=true. The relay follows it to its end, with"
        " or without readers, and serves it again from any event. Everything else is passed on as it is.",
        f"Answers of your users, those with store=false too, {kept}. They are dropped"
        f" {_time(options.retain_seconds)} after their end, with store=false after"
        f" {_time(options.retain_unstored_seconds)}.{end} Keys are never kept.",
    ]
    if options.promote != "never":
        which = "each foreground create" if options.promote == "always" else "each foreground create that it may store"
        lines.append(f"--promote {options.promote}: the provider gets {which} with background=true, and stores it.")
    lines.append(
        f"Settings and limits: {url}/healthz. Ctrl-C or SIGTERM lets requests end for"
        f" {server.limits.drain_seconds:g} s; twice stops at once."
    )
    return lines


def _time(seconds: float) -> str:
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds:g} seconds"
