"""Which URLs name an upstream."""

import pytest

from streamfold.errors import InvalidArgument
from streamfold.relay import Origin


@pytest.mark.parametrize(
    ("url", "root", "authority", "path"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com", "api.openai.com", "/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com", "api.openai.com", "/v1"),
        ("http://127.0.0.1:8787", "http://127.0.0.1:8787", "127.0.0.1:8787", ""),
        ("http://host:80/", "http://host", "host", ""),
        ("HTTPS://Host:443/a/b", "https://host", "host", "/a/b"),
        ("http://[::1]:1/v1", "http://[::1]:1", "[::1]:1", "/v1"),
    ],
)
def test_an_upstream_is_a_scheme_a_host_and_a_port(url: str, root: str, authority: str, path: str) -> None:
    origin = Origin.of(url)
    assert (origin.root, origin.authority, origin.path, str(origin)) == (root, authority, path, root + path)
    assert origin.is_tls is root.startswith("https")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must be a URL such as"),
        ("api.openai.com/v1", "must be a URL such as"),
        ("ftp://host", "must be a URL such as"),
        ("http://", "must be a URL such as"),
        ("http://a b/", "must be a URL such as"),
        ("http://höst/", "must be a URL such as"),
        ("http://host:x/", "is not a valid URL"),
        ("http://host:70000/", "is not a valid URL"),
        ("http://[::1/", "is not a valid URL"),
        ("http://host:0/", "must have a port"),
        ("https://user:secret@host/", "must not have a user or a key"),
        ("https://host/v1?key=secret", "must end with its path"),
        ("https://host/v1#secret", "must end with its path"),
    ],
)
def test_any_other_url_is_refused_without_its_secrets(url: str, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason) as caught:
        Origin.of(url)
    assert "secret" not in str(caught.value)
    assert caught.value.name == "upstream"
