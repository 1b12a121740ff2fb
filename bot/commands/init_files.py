"""The files that `countersign init` writes: the settings, the audit key and the first policy.

Invariant: what is there is kept: a file is created or, for the settings, gains lines; a value in it changes only after
somebody said so. Files with secrets can be read by their owner only, from the first moment.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bot.settings.env_file import read_env_file, write_lines
from bot.terminal.private_files import write_private
from core.errors import InvalidInput

ENV_FILE: Final = "countersign.env"
KEY_FILE: Final = "countersign-audit.key"
POLICY_FILE: Final = "policy.yml"
STORE_FILE: Final = "countersign.db"
_KEY_BYTES: Final = 32
_PRIVATE: Final = 0o600
_PUBLIC: Final = 0o644
_HEAD: Final = (
    "# The settings of Countersign, with secrets: keep this file private. docs/operators.md has all of them.\n"
    "# Use it with `countersign serve --env-file FILE`, or in a shell: set -a; . ./countersign.env; set +a\n"
)


class SettingsFile:
    """The file of settings. `kept` is what was in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: Mapping[str, str] = read_env_file(str(path)) if os.path.lexists(path) else {}

    def differing(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The names that have another value in the file."""
        return tuple(name for name, value in values.items() if self.kept.get(name, value) != value)

    def write(self, values: Mapping[str, str]) -> bool:
        """Add what is missing, and replace what differs. False if there was nothing to do. Raises InvalidInput."""
        if values.items() <= self.kept.items():
            return False
        differing = self.differing(values)
        with _writing(self.path):
            text = self.path.read_text(encoding="utf-8") if os.path.lexists(self.path) else _HEAD
            for name in differing:
                text = re.sub(rf"(?m)^\s*(?:export\s+)?{name}=.*\n?", "", text)
            added = {name: value for name, value in values.items() if name not in self.kept or name in differing}
            line_end = "" if text.endswith("\n") or not text else "\n"
            write_private(self.path, f"{text}{line_end}{write_lines(added)}".encode())
        return True


def create_key(path: Path) -> bool:
    """A new audit key, unless there is one: without the old one, nobody could verify the trail. Raises InvalidInput."""
    return _create(path, f"{secrets.token_hex(_KEY_BYTES)}\n", _PRIVATE)


def create_policy(path: Path, text: str) -> bool:
    """The policy, unless there is one. Raises InvalidInput."""
    return _create(path, text, _PUBLIC)


def _create(path: Path, text: str, mode: int) -> bool:
    with _writing(path):
        try:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        except FileExistsError:
            return False
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(text)
    return True


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput("folder", f"{path} can't be written: {reason}", "Choose another --folder.") from error
