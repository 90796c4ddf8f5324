"""How a SQLite log stands: versions, settings, what is beside it and below it, and what is unsafe about that.

In      the path, and a connection to it
Out     a Diagnosis
Units   bytes, pages
Errors  sqlite3.Error, OSError
Source  docs/reference/log.md; decision 0013
"""

import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from streamfold.log.diagnosis import Diagnosis, Durability
from streamfold.log.sqlite_schema import VERSION
from streamfold.log.wake import can_be_woken

__all__ = ["diagnose"]

SOUND_VERSION = (3, 51, 3)
SYNCHRONOUS = {0: "off", 1: "normal", 2: "full", 3: "extra"}
MOUNTS = Path("/proc/mounts")
# Their locks are not held on every machine, or not at all.
OF_A_NETWORK = {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}  # fmt: skip


def diagnose(path: Path, connection: sqlite3.Connection) -> Diagnosis:
    """See EventLog.diagnose."""

    def asked(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    wal, mode = Path(f"{path}-wal"), path.stat().st_mode & 0o777
    settings = {
        "file": str(path),
        "schema": f"{asked('user_version')} of {VERSION}",
        "journal_mode": str(asked("journal_mode")),
        "synchronous": SYNCHRONOUS.get(int(str(asked("synchronous"))), "unknown"),
        "permissions": f"{mode:o}",
        "bytes": f"{path.stat().st_size:,}",
        "bytes in the -wal": f"{wal.stat().st_size if wal.exists() else 0:,}",
        "free pages": f"{asked('freelist_count'):,}",
        "file system": file_system_of(path) or "unknown",
        "bytes in a block": f"{os.statvfs(path).f_bsize:,}" if hasattr(os, "statvfs") else "unknown",
        "wakes": "sockets" if can_be_woken(path) else "none: tails are late by safety_seconds",
    }
    return Diagnosis(
        engine=f"SQLite {sqlite3.sqlite_version}",
        durability=Durability.POWER,
        settings=settings,
        unsafe=tuple(_unsafe(settings, mode)),
    )


def _unsafe(settings: dict[str, str], mode: int) -> Iterator[str]:
    if sqlite3.sqlite_version_info < SOUND_VERSION:
        yield (
            f"SQLite {sqlite3.sqlite_version} can damage a file that two connections checkpoint at once; streamfold does so"
            f" only under its lock, so let no other program open the file for writing, or use SQLite 3.51.3 or later"
        )
    if sys.platform == "win32":
        yield "Windows has no such lock as this log needs among processes; let one process write it"
    if settings["synchronous"] not in {"full", "extra"}:
        yield f"synchronous is {settings['synchronous']}: what was acknowledged may be lost with the power"
    if mode & 0o077 and sys.platform != "win32":
        yield f"others than its owner may open the file: its permissions are {mode:o}; chmod 600 it"
    if settings["file system"] in OF_A_NETWORK:
        yield (
            f"the file is on {settings['file system']}, where a lock may hold nobody back; put it on a disk of this machine"
        )
    if settings["bytes in a block"] in {"512", "1,024", "2,048"}:
        yield (
            f"the file system has blocks of {settings['bytes in a block']} bytes: when it is full, SQLite ends the process"
            f" (SIGBUS, by its -shm); put the file on one of 4,096, as they usually are"
        )


def file_system_of(path: Path) -> str | None:
    """The kind of file system that a file is on, as Linux spells it; None where nobody tells."""
    try:
        mounts = MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return None
    kinds: dict[Path, str] = {}
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        kinds[Path(_unescaped(point))] = kind  # of two on one point, the later one hides the other
    return next((kinds[folder] for folder in path.parents if folder in kinds), None)


def _unescaped(point: str) -> str:
    """A mount point, in which the kernel writes a blank as its number."""
    for number in ("040", "011", "012", "134"):
        point = point.replace(f"\\{number}", chr(int(number, 8)))
    return point
