"""The logs, measured against the disk, SQLite, Valkey and redis-py."""
