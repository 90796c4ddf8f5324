"""What the caller gives as `http` becomes a Transport, by what it can do; and who closes it is known."""

import httpx
import httpx2
import pytest

from streamfold.client.transport.choice import choose_transport
from streamfold.client.transport.direct import DirectTransport
from streamfold.client.transport.httpx import HttpxTransport
from streamfold.errors import InvalidArgument
from tests.client.stub import Stub, Told

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("http", [None, "httpx"])
async def test_nothing_given_is_httpx(http: str | None) -> None:
    transport, is_ours = choose_transport(http)
    assert isinstance(transport, HttpxTransport)
    assert is_ours
    await transport.aclose()


async def test_direct_is_asked_for_by_its_name() -> None:
    transport, is_ours = choose_transport("direct")
    assert isinstance(transport, DirectTransport)
    assert is_ours
    await transport.aclose()


def test_a_transport_is_taken_as_it_is_and_left_to_its_owner() -> None:
    given = Stub(lambda request: Told())
    assert choose_transport(given) == (given, False)


@pytest.mark.parametrize("client", [httpx.AsyncClient, httpx2.AsyncClient])
async def test_a_client_of_either_library_is_wrapped_and_left_open(client: type) -> None:
    async with client() as given:
        transport, _ = choose_transport(given)
        assert isinstance(transport, HttpxTransport)
        await transport.aclose()
        assert not given.is_closed


@pytest.mark.parametrize("http", ["urllib", 7, object(), [], httpx.Client], ids=repr)
def test_what_can_carry_nothing_is_refused(http: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        choose_transport(http)
    assert caught.value.name == "http"
