"""Checks every argument of a call when it is given, before anything is sent.

Pure. Errors name the argument and what was expected. They repeat neither a key nor any other header value.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeGuard, TypeVar
from urllib.parse import SplitResult, urlsplit

from streamfold.errors import InvalidArgument
from streamfold.schema import DIALECTS, MKA1, OPENAI, Dialect, is_usable_id

T = TypeVar("T")
HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
SPACE = re.compile(r"[\s\x00-\x20\x7f]")
FRAMING = frozenset({"content-length", "transfer-encoding"})  # another value would end the request elsewhere
HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
MAX_SAFE = 2**53 - 1
MAX_PAGE = 100
MAX_SHOWN_ID = 100
DIALECT_NAMES = "mka1, openai or open-responses"
OPENAI_HOST = "api.openai.com"


# Each check takes what the caller gave, whatever its type, and returns it in the form that a request needs. A check runs
# when the argument is given, not when the request is sent: `follow("..")` fails in the line that says it, and not later
# inside `async with`. The types in the signatures say the same to a type checker; these checks are for everyone else.


# Ids and numbers


def check_response_id(value: object) -> str:
    """The id: any printable characters, as it is sent as one percent-encoded path segment.

    Raises:
        InvalidArgument: It holds other characters, or is a segment that a URL would resolve away.
    """
    return _checked_id("response_id", value)


def check_batch_id(value: object) -> str:
    """The same for the id of a batch."""
    return _checked_id("batch_id", value)


def _checked_id(name: str, value: object) -> str:
    # A client or a proxy would resolve "." and ".." away and call another path, however they are encoded.
    if is_usable_id(value):
        return value
    if isinstance(value, str) and len(value) > MAX_SHOWN_ID:
        raise InvalidArgument(name, f"must be printable text of at most 4,096 characters, got {len(value):,}")
    got = repr(value) if isinstance(value, str | None) else type(value).__name__  # a Response holds the answer
    raise InvalidArgument(name, f"must be printable text other than . or .., got {got}")


def check_starting_after(value: object) -> int | None:
    """The sequence number to follow from; None for the whole stream."""
    if value is None or (type(value) is int and 0 <= value <= MAX_SAFE):
        return value
    raise InvalidArgument(
        "starting_after", f"must be a whole number, 0 or more, or None for the whole stream, got {value!r}"
    )


def check_seconds(name: str, value: object) -> float:
    """A time in seconds: finite, and more than 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    raise InvalidArgument(name, f"must be a number of seconds greater than 0, got {value!r}")


def check_count(name: str, value: object) -> int:
    """A whole number from 0."""
    if type(value) is int and value >= 0:
        return value
    raise InvalidArgument(name, f"must be a whole number, 0 or more, got {value!r}")


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """One of a few words."""
    if value not in choices:
        raise InvalidArgument(
            name, f"must be {' or '.join(map(repr, choices))}, got {value!r}{_nearest(value, choices)}"
        )


def check_kind(name: str, value: T | None, kind: type[T]) -> T | None:
    """An object of this class, or None."""
    if value is None or isinstance(value, kind):
        return value
    raise InvalidArgument(name, f"must be a {kind.__name__}, got {value!r}")


def check_has(name: str, value: T | None, method: str, *, wanted: str) -> T | None:
    """An object that has this method, or None."""
    if value is None or callable(getattr(value, method, None)):
        return value
    raise InvalidArgument(name, f"must be {wanted}, got {value!r}")


# Names, queries, headers


def check_known(given: Iterable[str], known: Collection[str]) -> None:
    """Refuse an argument that a call does not have: most often it is misspelt."""
    for name in given:
        if name not in known:
            raise InvalidArgument(name, f"is not an argument of this call{_nearest(name, known)}")


def _nearest(value: object, known: Collection[str]) -> str:
    near = get_close_matches(value, known, n=1) if isinstance(value, str) else []
    return f" (did you mean {near[0]}?)" if near else ""


def check_include(value: Iterable[object]) -> tuple[str, ...]:
    """The names of what to include. A single text is refused, because it would be taken apart into letters."""
    names = [] if isinstance(value, str) else [each for each in value if isinstance(each, str)]
    if len(names) != len(list(value)):
        raise InvalidArgument("include", f"must be a list of names, got {value!r}")
    return tuple(names)


def check_page(page: Mapping[str, object]) -> list[tuple[str, str]]:
    """Which page of a list, as a query: after, before, limit, order."""
    query: list[tuple[str, str]] = []
    for name, value in page.items():
        if value is None:
            continue
        if name == "limit" and not (type(value) is int and 1 <= value <= MAX_PAGE):
            raise InvalidArgument(name, f"must be a whole number from 1 to {MAX_PAGE}, got {value!r}")
        if name == "order":
            check_choice(name, value, ("asc", "desc"))
        if name in {"after", "before"}:
            _checked_id(name, value)
        query.append((name, str(value)))
    return query


# A list is repeated under one name, as most servers read it. openai's SDK writes `name[]` instead; pass that name if the
# server wants it.
def check_query(name: str, given: object) -> list[tuple[str, str]]:
    """A mapping as the pairs of a query: true and false in lower case, a list as one pair for each entry, None left out."""
    pairs: list[tuple[str, str]] = []
    for key, value in check_mapping(name, given).items():
        for each in value if is_list(value) else [value]:
            if isinstance(each, bool):
                pairs.append((key, "true" if each else "false"))
            elif isinstance(each, str | int | float):
                pairs.append((key, str(each)))
            elif each is not None:
                raise InvalidArgument(f"{name}[{key!r}]", f"must be text, a number, true or false, got {each!r}")
    return pairs


# A header is where a value could do harm: a line break in it would start a header, or a request, of its own. So only visible
# ASCII passes, and the error says which header it was but never its value, which may be the key.
def check_header(name: str, value: object) -> str:
    """A value that can stand in a header. The error does not repeat it: it may be a key."""
    if not isinstance(value, str):
        got = "None" if value is None else type(value).__name__
        raise InvalidArgument(name, f"must be text, got {got}")
    if not HEADER_VALUE.fullmatch(value):
        raise InvalidArgument(name, "must be printable ASCII text, and not empty")
    return value


def check_headers(name: str, given: object) -> tuple[tuple[str, str], ...]:
    """A mapping of headers, names in lower case."""
    for key in (headers := check_mapping(name, given)):
        if not HEADER_NAME.fullmatch(key):
            raise InvalidArgument(f"{name}[{key!r}]", "is not a header name")
        if key.lower() in FRAMING:
            raise InvalidArgument(f"{name}[{key!r}]", "cannot be set: the client sends it as the body needs it")
    return tuple((key.lower(), check_header(f"{name}[{key!r}]", value)) for key, value in headers.items())


def check_mapping(name: str, given: object) -> Mapping[str, Any]:
    """A mapping whose keys are texts; empty for None."""
    if given is None:
        return {}
    if is_mapping(given) and all(isinstance(key, str) for key in given):
        return given
    raise InvalidArgument(name, f"must be a mapping of names to values, got {type(given).__name__}")


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


# Where the gateway is, and what it speaks


def resolve_dialect(value: Dialect | str | None, *, base_url: str) -> Dialect:
    """The dialect that was given, by itself or by its name; else the one that the URL looks like, else MKA1's."""
    # A guess can only be wrong about the few things that dialects disagree on (ranges of parameters, the spelling of
    # `include`), never about what is on the wire: the reader takes every dialect's events.
    if isinstance(value, Dialect):
        return value
    if value is None:
        return _dialect_of(_split(base_url))
    if (dialect := DIALECTS.get(str(value).lower().replace("-", "_"))) is None:
        raise InvalidArgument("dialect", f"unknown dialect {value!r} (expected {DIALECT_NAMES})")
    return dialect


def _dialect_of(parts: SplitResult) -> Dialect:
    path, host = parts.path.rstrip("/"), parts.hostname or ""
    if path.endswith(MKA1.path_prefix or ""):
        return MKA1
    is_openai = path.endswith(OPENAI.path_prefix or "") or host == OPENAI_HOST or host.endswith(f".{OPENAI_HOST}")
    return OPENAI if is_openai else MKA1


def resolve_base_url(value: str, *, dialect: Dialect) -> str:
    """The URL that paths are appended to.

    A trailing slash means exactly this root. Otherwise the dialect's path is added, unless the URL ends in it already.
    """
    # "https://host" is what people copy from a dashboard, "https://host/v1" what they copy from an SDK: both work. A proxy
    # that mounts the API at its root needs a way to say so, and "https://host/" is it.
    parts = _split(value)
    path, prefix = parts.path, dialect.path_prefix or ""
    if path.endswith("/"):
        path = path.rstrip("/")
    elif not path.endswith(prefix):
        for other in DIALECTS.values():
            if other.path_prefix and path.endswith(other.path_prefix):
                raise InvalidArgument(
                    "dialect",
                    f"is {dialect.name}, but the base URL ends in {other.path_prefix}, the path of {other.name}; pass "
                    f'dialect="{other.name}", or a URL that ends in a slash if it is exactly the root of the API',
                )
        path += prefix
    return f"{parts.scheme}://{parts.netloc}{path}"


def _split(value: object) -> SplitResult:
    wanted = f"must be a URL such as https://host or https://host/v1, got {value!r}"
    try:
        # urlsplit drops line breaks and leading spaces, and keeps other spaces: both come from a badly copied setting.
        parts = urlsplit(value if isinstance(value, str) and not SPACE.search(value) else "")
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError as error:  # a port that is not a number, an address without its bracket
        raise InvalidArgument("base_url", wanted) from error
    if not is_url:
        raise InvalidArgument("base_url", wanted)
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidArgument("base_url", "must have no user, no query and no fragment")
    if parts.path.rstrip("/").endswith("/responses"):
        raise InvalidArgument("base_url", f"must be the root of the API, without /responses, got {value!r}")
    return parts
