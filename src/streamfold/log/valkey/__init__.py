"""The engine on Valkey or Redis, for which the extra `valkey` must be installed."""

from streamfold.log.valkey.engine import ValkeyLog

__all__ = ["ValkeyLog"]
