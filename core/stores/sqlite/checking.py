"""Checks a SQLite file.

Invariant: a check changes nothing: a missing file stays missing, and an older one stays as it is.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from core.errors import StoreMisconfigured
from core.stores.sqlite.database import Database


def find_problem(path: str) -> str:
    """The problems of a SQLite file and their fixes; empty if there are none."""
    try:
        # Opening a file that is missing or empty would make the tables in it, and a check changes nothing.
        if not Path(path).is_file() or not Path(path).stat().st_size:
            return f"{path}: there is no database. Run `countersign tables create`."
    except OSError as error:
        return f"{path}: {error.strerror}. Choose another path."
    try:
        with closing(Database(path, is_upgraded=False)) as database:
            differences = "; ".join(database.find_differences())
            return f"{path}: {differences}. Run `countersign tables create`." if differences else ""
    except StoreMisconfigured as error:
        return str(error)
