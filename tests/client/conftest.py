"""Every async test here runs on asyncio and on trio; https needs a certificate that nobody else trusts."""

import ssl
from dataclasses import dataclass

import pytest
import trustme


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@dataclass(frozen=True)
class Certificates:
    """A server's context for 127.0.0.1, and a client's that trusts it."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return Certificates(server, client)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests counted: each `record_property("tally", ...)`."""
    reports = [each for name in ("passed", "failed") for each in terminalreporter.getreports(name)]
    tallies = [text for each in reports for name, text in each.user_properties if name == "tally"]
    if tallies:
        terminalreporter.section("counted")
        for text in tallies:
            terminalreporter.line(str(text))
