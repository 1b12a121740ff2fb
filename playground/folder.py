"""The folder that a playground lives in: its workspace, its records, its policy, and how far its clock was moved.

Invariant: one playground at a time has it. What is in it survives a restart, and nothing outside of it is touched.
"""

from __future__ import annotations

import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.clock import new_id
from core.errors import InvalidInput
from playground.cast import POLICY

_OURS: Final = "playground.json"
_LOCK: Final = "in-use.lock"


class Remembered(BaseModel):
    """What the playground itself has to know again. `audit_key` seals a trail of made-up decisions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(default_factory=new_id)
    audit_key: str = Field(default_factory=lambda: new_id() + new_id(), repr=False)
    clock_ahead: timedelta = timedelta()


class Folder:
    """An open folder. `is_new` says that it was empty."""

    def __init__(self, path: Path, *, reset: bool = False) -> None:
        """Take the folder, and make it if need be; `reset` empties it first.

        Raises InvalidInput when another playground has it, when it holds something else, or cannot be written.
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._refuse_strangers()
            self._lock = self._take()
            if reset:
                self._empty()
            self.is_new = not (path / _OURS).exists()
            if self.is_new:
                (path / ".gitignore").write_text("*\n", encoding="utf-8")
                shutil.copyfile(POLICY, self.policy)
                self.remember(Remembered())
        except OSError as error:
            problem = f"{path} cannot be used: {error.strerror or error}"
            raise InvalidInput("folder", problem, "Name another.") from error

    @property
    def workspace(self) -> Path:
        """The local Slack: people, channels, messages."""
        return self.path / "slack.json"

    @property
    def policy(self) -> Path:
        """The policy in force; it may be edited."""
        return self.path / "policy.yml"

    @property
    def store_url(self) -> str:
        """The embedded store."""
        return f"sqlite:///{(self.path / 'countersign.db').absolute()}"

    def recall(self) -> Remembered:
        """What was remembered last. Raises InvalidInput for a file that is broken."""
        try:
            return Remembered.model_validate_json((self.path / _OURS).read_text(encoding="utf-8"))
        except (ValidationError, OSError) as error:
            raise InvalidInput("folder", f"{self.path / _OURS} cannot be read", "Start anew with --reset.") from error

    def remember(self, what: Remembered) -> None:
        """Write it down, whole or not at all."""
        unfinished = self.path / f"{_OURS}.new"
        unfinished.write_text(what.model_dump_json(indent=1), encoding="utf-8")
        unfinished.replace(self.path / _OURS)

    def close(self) -> None:
        """Let another playground have it. Idempotent."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_strangers(self) -> None:
        # --reset deletes, so it must not be pointed at somebody's home by mistake.
        inside = {each.name for each in self.path.iterdir()}
        if inside and _LOCK not in inside:
            raise InvalidInput("folder", f"{self.path} holds other files", "Name an empty or a new folder.")

    def _take(self) -> sqlite3.Connection:
        # A lock of SQLite's: it works on every system, and ends with the process however that ends.
        lock = sqlite3.connect(self.path / _LOCK, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            raise InvalidInput(
                "folder", f"another playground is running in {self.path}", "End it, or name another folder."
            ) from error
        return lock

    def _empty(self) -> None:
        for each in self.path.iterdir():
            if not each.name.startswith(_LOCK):
                shutil.rmtree(each) if each.is_dir() else each.unlink()
