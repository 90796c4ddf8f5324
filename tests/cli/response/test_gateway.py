"""What a gateway or the caller does wrong: one line on stderr, 1 or 2, and never the key."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cli.conftest import KEY, Gateways, Ran, Run

Use = Callable[[str], None]
COMMANDS = [
    pytest.param(["follow", "resp_1"], id="follow"),
    pytest.param(["cancel", "resp_1"], id="cancel"),
    pytest.param(["batch", "get", "batch_1"], id="batch get"),
    pytest.param(["batch", "follow", "batch_1"], id="batch follow"),
    pytest.param(["batch", "cancel", "batch_1"], id="batch cancel"),
    pytest.param(["create", "--model=m", "--input=x"], id="create"),
    pytest.param(["create", "--model=m", "--input=x", "--stream"], id="create and follow"),
]


class Answer(BaseHTTPRequestHandler):
    """The same answer to whatever is asked: an error that repeats the key, or a page."""

    status, kind, body = 200, "", ""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        data = self.body.format(key=self.headers["authorization"]).encode()
        self.send_response(self.status)
        self.send_header("content-type", self.kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    servers: list[ThreadingHTTPServer] = []

    def answering(status: int, kind: str, body: str) -> str:
        handler = type("Handler", (Answer,), {"status": status, "kind": kind, "body": body})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield answering
    for server in servers:
        server.shutdown()
        server.server_close()


def check(ran: Ran, code: int, told: str) -> None:
    """One line and nothing else, with these words."""
    assert (ran.code, ran.out) == (code, b"")
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("streamfold: ")
    assert told in ran.err
    assert KEY not in ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_is_there(command: list[str], use: Use, run: Run) -> None:
    use("http://127.0.0.1:1")
    check(run(*command), 1, "; check the base URL and the network")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_key_is_not_taken(command: list[str], gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways(key="another"))
    check(run(*command), 1, "the gateway answered 401")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_key_that_the_gateway_repeats_is_not_told(
    command: list[str], answering: Callable[..., str], use: Use, run: Run
) -> None:
    use(answering(403, "application/json", '{{"error": {{"message": "no access for {key}"}}}}'))
    check(run(*command), 1, "the gateway answered 403: no access for Bearer [hidden]")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_html_page_is_no_gateway(command: list[str], answering: Callable[..., str], use: Use, run: Run) -> None:
    use(answering(200, "text/html", "<html><title>Welcome to nginx</title></html>"))
    check(run(*command), 1, "got text/html with status 200: an HTML page, as from a proxy or a wrong base URL")


@pytest.mark.parametrize("command", COMMANDS[:5])
def test_an_id_that_is_not_there(command: list[str], gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways())
    check(run(*command), 1, "the gateway answered 404")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_path_that_is_not_there(command: list[str], gateways: Gateways, use: Use, run: Run) -> None:
    use(f"{gateways()}/elsewhere")
    check(run(*command), 1, "Unknown request URL")


WRONG = [
    pytest.param(["--base-url", "127.0.0.1:80"], "--base-url: must be a URL such as https://host", id="no scheme"),
    pytest.param(["--base-url", "https://u:p@host"], "--base-url: must have no user", id="a user in the URL"),
    pytest.param(["--api-key", ""], "--api-key: must be printable ASCII text", id="an empty key"),
    pytest.param(["--api-key", f"{KEY}\n{KEY}"], "--api-key: must be printable ASCII text", id="a key of two lines"),
    pytest.param(["--on-behalf-of", "Zoë"], "--on-behalf-of: must be printable ASCII text", id="a user beyond ASCII"),
    pytest.param(
        ["--dialect", "x"], "--dialect: unknown dialect 'x' (expected mka1, openai or open-responses)", id="a dialect"
    ),
    pytest.param(["--http", "x"], "--http: unknown HTTP client 'x'", id="an HTTP client"),
    pytest.param(["--unknown"], "--unknown; see streamfold ", id="an option"),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("options", "told"), WRONG)
def test_a_wrong_setting_is_named(command: list[str], options: list[str], told: str, use: Use, run: Run) -> None:
    use("http://127.0.0.1:1")
    check(run(*command, *options), 2, told)


def test_a_wrong_variable_is_named_as_it_was_set(use: Use, run: Run) -> None:
    use("ftp://host")
    check(run("follow", "resp_1"), 2, "STREAMFOLD_BASE_URL: must be a URL such as https://host")


@pytest.mark.parametrize(
    "command", [["follow"], ["cancel"], ["batch", "get"], ["batch", "cancel"], ["batch", "follow"]]
)
@pytest.mark.parametrize("identifier", [".", "..", "a\nb", "a\x7fb", ""])
def test_an_id_that_may_not_stand_in_a_url_is_refused_before_anything_is_sent(
    command: list[str], identifier: str, use: Use, run: Run
) -> None:
    use("http://127.0.0.1:1")
    check(run(*command, identifier), 2, "ID: must be printable text other than . or .., got ")


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "99999999999999999999"])
def test_a_starting_after_that_is_no_number_is_refused(number: str, use: Use, run: Run) -> None:
    use("http://127.0.0.1:1")
    check(run("follow", "resp_1", "--starting-after", number), 2, "--starting-after")


def test_a_gateway_that_only_just_cannot_is_waited_for(gateways: Gateways, use: Use, run: Run) -> None:
    use(gateways("refuse:on=resume,status=503,retry_after=0,times=2"))
    response_id = run("create", "--model=m", "--input=x", "--background").out.decode().strip()
    ran = run("follow", response_id)
    assert ran.code == 0
    assert "the stream was refused with 503" in ran.err
