"""The folder of a playground: its workspace, its records, its policy, and the offset of its clock.

Invariant: only one playground uses it at a time. Its content survives a restart, and nothing outside it is touched.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.clock import SystemClock, UtcTime, new_id
from core.errors import InvalidInput
from playground.people import POLICY

_STATE: Final = "playground.json"
_LOCK: Final = "in-use.lock"
_ONLY_OWNER: Final = 0o700
_ONLY_OWNERS_FILE: Final = 0o600
_LONG_AGO: Final = 1_700_000_000
"""In seconds, as files have it."""


class PlaygroundState(BaseModel):
    """What a restart needs to know. `audit_key` seals a trail of made-up decisions.

    Nobody has to read the messages from before `began_at`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(default_factory=new_id)
    audit_key: str = Field(default_factory=lambda: new_id() + new_id(), repr=False)
    clock_ahead: timedelta = timedelta()
    api_port: int = 0
    began_at: UtcTime | None = None


class Folder:
    """An open folder. `is_new` says whether it was empty."""

    def __init__(self, path: Path, *, reset: bool = False) -> None:
        """Lock the folder, and create it if needed; `reset` empties it first.

        Raises InvalidInput if another playground uses it, if it holds other files, or if it can't be written.
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._check_content()
            # It holds the audit key, and what people wrote to each other.
            path.chmod(_ONLY_OWNER)
            self._lock = self._acquire_lock()
            if reset:
                self._empty()
            self.is_new = not (path / _STATE).exists()
            if self.is_new:
                write_privately(path / ".gitignore", "*\n")
                write_privately(self.policy, POLICY.read_text(encoding="utf-8"))
                # It's complete. A fresh file would be watched for seconds before it is used: is it still being written?
                os.utime(self.policy, (_LONG_AGO, _LONG_AGO))
                self.save_state(PlaygroundState(began_at=SystemClock().now()))
        except OSError as error:
            problem = f"{path} can't be used: {error.strerror or error}"
            raise InvalidInput("folder", problem, "Choose another.") from error

    @property
    def workspace(self) -> Path:
        """The local Slack's people, channels and messages."""
        return self.path / "slack.json"

    @property
    def policy(self) -> Path:
        """The policy file. People may edit it."""
        return self.path / "policy.yml"

    @property
    def aws(self) -> Path:
        """The pretend AWS: who holds what, and what happened there."""
        return self.path / "aws.json"

    @property
    def pager(self) -> Path:
        """The pages of the pretend pager."""
        return self.path / "pager.json"

    @property
    def roles(self) -> Path:
        """The roles and sessions of the pretend AWS."""
        return self.path / "aws-roles.json"

    @property
    def terminals(self) -> Path:
        """The homes of people's terminals."""
        return self.path / "terminals"

    @property
    def programs(self) -> Path:
        """What the terminals run."""
        return self.path / "programs"

    @property
    def store_file(self) -> Path:
        """The file of the embedded store."""
        return (self.path / "countersign.db").absolute()

    @property
    def originals(self) -> Path:
        """What stood in the store before somebody tampered with it."""
        return self.path / "originals.json"

    @property
    def store_url(self) -> str:
        """The URL of the embedded store."""
        return f"sqlite:///{self.store_file}"

    def load_state(self) -> PlaygroundState:
        """The saved state. Raises InvalidInput for a broken file."""
        try:
            return PlaygroundState.model_validate_json((self.path / _STATE).read_text(encoding="utf-8"))
        except (ValidationError, OSError) as error:
            raise InvalidInput("folder", f"{self.path / _STATE} can't be read", "Start fresh with --reset.") from error

    def save_state(self, state: PlaygroundState) -> None:
        """Save the state, atomically."""
        write_privately(self.path / _STATE, state.model_dump_json(indent=1))

    def close(self) -> None:
        """Release the folder. Idempotent."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_content(self) -> None:
        # --reset deletes everything, so it must not be used on somebody's home directory by mistake.
        names = {each.name for each in self.path.iterdir()}
        if names and _LOCK not in names:
            raise InvalidInput("folder", f"{self.path} holds other files", "Choose an empty or a new folder.")

    def _acquire_lock(self) -> sqlite3.Connection:
        # SQLite's lock works on every system, and ends with the process even if that is killed.
        (self.path / _LOCK).touch(_ONLY_OWNERS_FILE)
        lock = sqlite3.connect(self.path / _LOCK, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            raise InvalidInput(
                "folder", f"another playground is running in {self.path}", "Stop it, or choose another folder."
            ) from error
        return lock

    def _empty(self) -> None:
        for each in self.path.iterdir():
            if not each.name.startswith(_LOCK):
                shutil.rmtree(each) if each.is_dir() else each.unlink()


def write_privately(path: Path, text: str) -> None:
    """Replace a file, atomically; only its owner may read it. Raises OSError."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(_ONLY_OWNERS_FILE)
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
