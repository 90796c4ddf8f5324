"""How a server ends: what it accepts, lets end, and cuts."""

import signal
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest

from streamfold.serving import AsgiServer, ConnectionLimits, Message, Receive, SendMessage, listen, url_of
from tests.serving.running import nothing

SERVE = """
import signal
from tests.serving.test_server import serve_until_signal
signal.signal(signal.SIGINT, signal.default_int_handler)
serve_until_signal()
"""


async def hold(scope: Message, receive: Receive, send: SendMessage) -> None:
    """Answer once the client has sent its body; until then, the head alone."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.body", "body": b"done"})


def serve_until_signal() -> None:
    with listen("127.0.0.1", 0) as listener:
        server = AsgiServer(
            hold,
            listener,
            running=nothing,
            limits=ConnectionLimits(),
            log="streamfold.tests",
            drain_seconds=30,
            on_drain=lambda: print("draining", flush=True),
        )
        print(url_of(listener), flush=True)
        server.run()
    print("ended", flush=True)


ASKED = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_patient", [True, False])
def test_a_signal_lets_requests_end_and_a_second_one_cuts_them(number: signal.Signals, is_patient: bool) -> None:
    with subprocess.Popen([sys.executable, "-W", "error", "-c", SERVE], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline().rpartition(":")[2])
            with ExitStack() as stack:
                busy, idle = (
                    stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(2)
                )
                busy.sendall(ASKED)
                assert busy.recv(1000).startswith(b"HTTP/1.1 200")
                process.send_signal(number)
                assert process.stdout.readline() == "draining\n"
                assert idle.recv(1000) == b""
                with pytest.raises(OSError, match=r".*"):
                    socket.create_connection(("127.0.0.1", port), timeout=10)
                if is_patient:
                    busy.sendall(b"body")
                    assert busy.recv(1000).endswith(b"done\r\n0\r\n\r\n")
                else:
                    process.send_signal(number)
                out, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (out, err, process.returncode) == ("ended\n", "", 0)


def test_an_address_of_the_next_version_is_in_brackets() -> None:
    try:
        listener = listen("::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert url_of(listener).startswith("http://[::1]:")
