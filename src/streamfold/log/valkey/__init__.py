"""The door of the engine on Valkey or Redis: `from streamfold.log.valkey import ValkeyLog`, with the extra `valkey`."""

from streamfold.log.valkey.engine import ValkeyLog

__all__ = ["ValkeyLog"]
