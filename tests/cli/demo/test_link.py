"""The demo's link: it carries a stream, and cuts its first connections after so many events."""

import anyio
import httpx
import pytest

from streamfold.cli.demo.link import open_link
from streamfold.cli.demo.relay import SHORT, client_of, id_of, receive, text_of, truth_of
from streamfold.sse import Frame
from tests.cli.conftest import Gateways


def test_it_cuts_the_first_connections_and_no_later_one(gateways: Gateways) -> None:
    url = gateways(tokens_per_second=400)

    async def main() -> None:
        async with open_link(url, [10, 30]) as link:
            for least in (10, 30):
                frames: list[Frame] = []
                with pytest.raises(httpx.TransportError):
                    async with client_of(link.url) as http:
                        await receive(http, frames, "POST", "/v1/responses", json=SHORT)
                assert least <= len(frames) < least + 20
            assert link.cuts == 2
            whole: list[Frame] = []
            async with client_of(link.url) as http:
                await receive(http, whole, "POST", "/v1/responses", json=SHORT)
            assert link.cuts == 2
            assert text_of(whole) == await truth_of(url, whole)
            assert id_of(whole) != id_of(frames)

    anyio.run(main)


def test_a_client_that_leaves_early_ends_nothing_else(gateways: Gateways) -> None:
    url = gateways(tokens_per_second=400)

    async def main() -> None:
        async with open_link(url, []) as link:
            async with client_of(link.url) as http, http.stream("POST", "/v1/responses", json=SHORT):
                pass
            frames: list[Frame] = []
            async with client_of(link.url) as http:
                await receive(http, frames, "POST", "/v1/responses", json=SHORT)
            assert frames[-1].event == b"response.completed"

    anyio.run(main)


def test_a_server_that_is_not_there_closes_the_connection() -> None:
    async def main() -> None:
        async with open_link("http://127.0.0.1:1", []) as link, client_of(link.url) as http:
            with pytest.raises(httpx.TransportError):
                await http.get("/")

    anyio.run(main)
