"""How a stream and its keys are named in the store, and the indexes of streams.

In      a StreamKey, or a tenant
Out     names, as the store's keys
Units   none
Errors  InvalidArgument for what is no text
Source  docs/reference/log.md

What stands between braces decides where a key lies: all keys of a stream lie together. Whatever a tenant or an id
holds is escaped, so that no two have one name and no brace of theirs counts.
"""

from functools import lru_cache
from urllib.parse import quote, unquote

from attrs import frozen

from streamfold.errors import InvalidArgument
from streamfold.log.record import StreamKey

__all__ = ["EXPIRING", "TENANTS", "Names", "key_of", "names_of", "streams_of"]

TENANTS = "sf:tenants"  # all tenants
EXPIRING = "sf:expiring"  # all streams that may be dropped one day, by when


@frozen
class Names:
    """A stream's keys. tag: by which an index knows it. keys: records, head, channel, control, checkpoints, notes."""

    tag: str
    keys: tuple[str, str, str, str, str, str]

    @property
    def records(self) -> str:
        """The Redis stream that holds them."""
        return self.keys[0]

    @property
    def head(self) -> str:
        """The hash that says where the stream stands."""
        return self.keys[1]

    @property
    def notes(self) -> str:
        """The list of its notes."""
        return self.keys[5]

    @property
    def channel(self) -> str:
        """Where its changes are told."""
        return self.keys[2]

    @property
    def control(self) -> str:
        """Where changes are told that are no new records or notes: who writes it need not hear of its own."""
        return self.keys[3]


@lru_cache(maxsize=10_000)
def names_of(key: StreamKey) -> Names:
    """The names of a stream.

    Raises: InvalidArgument.
    """
    tag = f"{_escaped(key.tenant)}/{_escaped(key.response_id)}"
    records, head, channel, control, checkpoints, notes = (f"sf:{{{tag}}}:{part}" for part in "smcxko")
    return Names(tag, (records, head, channel, control, checkpoints, notes))


def key_of(tag: str) -> StreamKey:
    """Whose tag it is."""
    tenant, _, response_id = tag.partition("/")
    return StreamKey(unquote(tenant), unquote(response_id))


def streams_of(tenant: str) -> str:
    """The index of a tenant's streams."""
    return f"sf:{{{_escaped(tenant)}}}:streams"


def _escaped(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise InvalidArgument("key", "a tenant and a response id must be text that UTF-8 can hold") from None
