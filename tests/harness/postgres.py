"""A PostgreSQL server from Debian's packages, in a folder of its own, reached by a socket in it.

Invariant: it never runs as root, listens on no port, and is gone at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_VERSIONS = Path("/usr/lib/postgresql")


@cache
def find_postgres() -> Path | None:
    """The folder of its programs, of the newest version that is here."""
    found = sorted(_VERSIONS.glob("*/bin/initdb"), key=lambda each: float(each.parts[-3]))
    return found[-1].parent if found and shutil.which("psql") else None


def why_no_postgres() -> str | None:
    """Why there is none, in a few words; None when there is one."""
    return None if find_postgres() else "no postgresql on this machine"


class PostgresServer:
    """One cluster, whose superuser is `admin`. Everybody on this machine is trusted."""

    def __init__(self) -> None:
        programs = find_postgres()
        assert programs
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="countersign-pg-"))

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            shutil.chown(self._folder, "nobody", "nogroup")
        self._run("initdb", "-D", "cluster", "-U", "admin", "-A", "trust", "--no-sync", "--no-instructions")
        # Durability isn't what is tried here.
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off -c shared_buffers=8MB"
        self._run("pg_ctl", "-D", "cluster", "-w", "-l", "log", "-o", options, "start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "-D", "cluster", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self._folder)

    def environment(self, user: str) -> dict[str, str]:
        """What libpq needs to reach it as this user."""
        return {"PGHOST": str(self._folder), "PGUSER": user, "PGDATABASE": "postgres"}

    def sql(self, script: str, user: str = "admin") -> str:
        """What psql prints. Raises CalledProcessError."""
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"]
        environment = {**os.environ, **self.environment(user)}
        done = subprocess.run(command, input=script, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
        return done.stdout.strip()

    def open_session(self, user: str) -> subprocess.Popen[str]:
        """psql, with its input open. Close it with `communicate`."""
        environment = {**os.environ, **self.environment(user)}
        command = ["psql", "-XqAt"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, text=True)  # noqa: S603

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
        subprocess.run(command, check=True, cwd=self._folder, stdout=subprocess.DEVNULL)  # noqa: S603
