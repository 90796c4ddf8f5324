"""How a SQLite log stands: its settings, and what in it is not as it was written.

In      a connection that only reads
Out     a Diagnosis; the damages
Errors  LogUnusable; sqlite3.Error
Source  docs/reference/log.md; decision 0013
"""

import sqlite3
from pathlib import Path

from streamfold.log.diagnosis import Damage, Diagnosis, Durability

__all__ = ["damages", "diagnose"]


def diagnose(path: Path, connection: sqlite3.Connection) -> Diagnosis:
    """See EventLog.diagnose."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return Diagnosis(
        engine=f"SQLite {sqlite3.sqlite_version}",
        durability=Durability.POWER,
        settings={"file": str(path), "schema": str(version)},
    )


def damages(connection: sqlite3.Connection) -> list[Damage]:
    """See EventLog.damages."""
    found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    return [Damage(None, each) for each in found if each != "ok"]
