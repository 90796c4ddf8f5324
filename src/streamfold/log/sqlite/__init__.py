"""The SQLite engine: one file, shared by any number of processes on one machine."""

from streamfold.log.sqlite.engine import SqliteLog

__all__ = ["SqliteLog"]
