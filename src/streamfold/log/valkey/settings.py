"""The servers' settings: those that would lose records are refused, those that may are reported as unsafe."""

from collections.abc import Mapping

from attrs import frozen
from redis.exceptions import BusyLoadingError, ResponseError

from streamfold.errors import LogUnusable
from streamfold.log.record import Diagnosis, Durability
from streamfold.log.valkey.address import Address, Level
from streamfold.log.valkey.script import Command
from streamfold.log.valkey.servers import Server, Servers, explain

OLDEST = 7  # has sharded pub/sub
OLDEST_FOR_DISK = (7, 2)  # has WAITAOF
ASKED = (
    "maxmemory",
    "maxmemory-policy",
    "appendonly",
    "appendfsync",
    "min-replicas-to-write",
    "stream-node-max-bytes",
    "stream-node-max-entries",
)
HIDDEN = "its settings cannot be read (CONFIG is refused): make sure that maxmemory-policy is noeviction"


@frozen
class _Found:
    """What one server reports. `settings` is None if it refuses to report them."""

    info: Mapping[str, str]
    settings: Mapping[str, str] | None

    @property
    def engine(self) -> str:
        version = self.info.get("valkey_version")
        return f"Valkey {version}" if version else f"Redis {self.info.get('redis_version', 'unknown')}"

    @property
    def version(self) -> tuple[int, ...]:
        """The version of Redis whose commands it supports."""
        return tuple(int(each) for each in self.info.get("redis_version", "0").split(".")[:2] if each.isdecimal())

    @property
    def is_on_disk(self) -> bool:
        """Whether it answers only once a write is on its disk."""
        settings = self.settings or {}
        return settings.get("appendonly") == "yes" and settings.get("appendfsync") == "always"


async def examine(servers: Servers) -> Diagnosis:
    """Examine every server that has slots. Raises LogUnusable if a log would lose records there."""
    address = servers.address
    first = await _info(servers, servers.having(""))
    is_cluster = first.get("cluster_enabled") == "1"
    if address.is_cluster and not is_cluster:
        raise LogUnusable(str(address), "cluster mode is off on this server; remove cluster=true from the address")
    if is_cluster and not address.is_cluster:
        raise LogUnusable(str(address), "it is part of a cluster; add ?cluster=true to the address")
    await servers.refresh()
    found = {server.name: await _find(servers, server) for server in servers.primaries}
    for name, each in found.items():
        _require(address, name, each)
    unsafe = [f"{name}: {what}" for name, each in found.items() for what in _unsafe(address, each)]
    is_power_safe = address.level is Level.PRIMARY and all(each.is_on_disk for each in found.values())
    return Diagnosis(
        engine=", ".join(sorted({each.engine for each in found.values()})),
        durability=Durability.POWER if is_power_safe else durability_of(address.level),
        settings={"address": str(address), "level": str(address.level), **_settings(found)},
        unsafe=tuple(unsafe),
    )


def durability_of(level: Level) -> Durability:
    """What a record survives at least, before the servers were examined."""
    return Durability.PROCESS if level is Level.PRIMARY else Durability.REPLICATED


def _settings(found: Mapping[str, _Found]) -> dict[str, str]:
    """Each setting; if the servers differ, all its values."""
    values: dict[str, set[str]] = {}
    for each in found.values():
        for name, value in (each.settings or {}).items():
            values.setdefault(name, set()).add(value)
    return {"servers": ", ".join(found)} | {name: ", ".join(sorted(values[name])) for name in ASKED if name in values}


async def _find(servers: Servers, server: Server) -> _Found:
    info = await _info(servers, server)
    answer = (await server.reads.execute(("CONFIG", "GET", *ASKED))).answer
    if isinstance(answer, ResponseError):  # a hosted service, or a user without permission
        return _Found(info, None)
    if isinstance(answer, Exception):
        raise explain(servers.address, answer) from answer
    texts = [each.decode() for each in answer]
    return _Found(info, dict(zip(texts[::2], texts[1::2], strict=True)))


async def _info(servers: Servers, server: Server) -> Mapping[str, str]:
    command: Command = ("INFO",)
    answer = (await server.reads.execute(command)).answer
    if isinstance(answer, BusyLoadingError):
        answer = await servers.read("", command)
    if isinstance(answer, Exception):
        raise explain(servers.address, answer) from answer
    lines = [line.partition(":") for line in answer.decode(errors="replace").splitlines()]
    return {name: value for name, colon, value in lines if colon}


def _require(address: Address, name: str, found: _Found) -> None:
    # Eviction is refused and not merely reported: when memory runs out, the server drops whole streams, finished ones
    # included, and neither it nor any later read raises an error.
    policy = (found.settings or {}).get("maxmemory-policy", "noeviction")
    reason = ""
    if found.version < (OLDEST,):
        reason = f"{name} is {found.engine}; the log needs Redis 7.0 or later, or any Valkey"
    elif policy != "noeviction":
        reason = f"{name} may evict whole streams (maxmemory-policy is {policy}); set maxmemory-policy to noeviction"
    elif address.level is Level.DISK and found.version < OLDEST_FOR_DISK:
        reason = f"{name} is {found.engine}; level=disk needs Redis 7.2 or later, or any Valkey"
    elif address.level is Level.DISK and found.settings is not None and not found.is_on_disk:
        reason = f"level=disk needs appendonly yes and appendfsync always on {name}; set both"
    if reason:
        raise LogUnusable(str(address), reason)


def _unsafe(address: Address, found: _Found) -> list[str]:
    unsafe: list[str] = []
    if found.settings is None:
        unsafe.append(HIDDEN)
    elif found.settings.get("appendonly") != "yes":
        unsafe.append("a restart loses records; set appendonly to yes")
    elif not found.is_on_disk:
        unsafe.append("a power failure may lose the last second or more; set appendfsync to always")
    if address.level is not Level.PRIMARY and found.info.get("connected_slaves") == "0":
        unsafe.append(f"no replica is connected, so no append can be confirmed at level={address.level}; connect one")
    return unsafe
