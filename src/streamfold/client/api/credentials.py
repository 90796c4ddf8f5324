"""The credentials in a request, and how to hide them in whatever a gateway or an HTTP library says.

Pure. A gateway may repeat a key anywhere: in an error body, in a header, in a redirect, in bytes that are not HTTP and
that a library quotes. So whatever becomes part of an error or a reason passes through here first.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlsplit

from streamfold.client.transport.transport import Request

IDEMPOTENCY_KEY = "idempotency-key"  # no secret: an error names it, so that the call can be repeated
HIDDEN = "[hidden]"
NAMES = re.compile(r"auth|key|token|secret|cookie|passw|credential|signature", re.IGNORECASE)
SCHEMES = frozenset({"bearer", "basic", "token", "apikey"})
MIN_CHARACTERS = 6  # shorter ones, such as "any" for a local server, are words of other texts too


class Credentials:
    """What must not be shown: the values of a request whose names say so, in headers and in the query."""

    def __init__(self, request: Request) -> None:
        pairs = [*request.headers, *parse_qsl(urlsplit(request.url).query)]
        values = [value for name, value in pairs if NAMES.search(name) and name.lower() != IDEMPOTENCY_KEY]
        parts = {part for value in values for part in _parts(value) if len(part) >= MIN_CHARACTERS}
        forms = {form for part in parts for form in _forms(part)}
        self._forms = sorted(forms, key=len, reverse=True)  # a whole value before a part of it

    def hide(self, text: str) -> str:
        """The text without them; one that is cut off at the end of the text is hidden too."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        for form in self._forms:
            for length in range(len(form) - 1, MIN_CHARACTERS - 1, -1):
                if text.endswith(form[:length]):
                    return text[:-length] + HIDDEN
        return text

    def hide_bytes(self, data: bytes) -> bytes:
        """The same for bytes: they may be in no encoding at all, so they are only taken as characters for this."""
        return self.hide(data.decode("latin-1")).encode("latin-1")

    def hide_in(self, error: BaseException) -> None:
        """Hide them in an exception, and in those that caused it, which a traceback shows as well."""
        seen: set[int] = set()
        left = [error]
        while left:
            each = left.pop()
            if id(each) not in seen:
                seen.add(id(each))
                each.args = tuple(self.hide(value) if isinstance(value, str) else value for value in each.args)
                quoted = (value for value in each.args if isinstance(value, BaseException))
                left += [cause for cause in (each.__cause__, *quoted) if cause is not None]


def _parts(value: str) -> Iterable[str]:
    """The secret of `Bearer secret`, those of `a=secret; b=secret`, and a value that is neither."""
    for each in re.split(r"[\s;]+", value):
        if each.lower() not in SCHEMES:
            yield from (each, each.partition("=")[2])


def _forms(value: str) -> Iterable[str]:
    """A value as it is, and as URLs and JSON write it."""
    return value, quote(value, safe=""), quote(value), json.dumps(value)[1:-1]
