"""What this machine knows of its servers: which one is used, and what was paired with it. No secret is in it.

Invariant: the file is replaced as a whole, and what a newer version wrote in it is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.terminal.errors import FilesFailed
from bot.terminal.private_files import HOME_VARIABLE, NoHome, NotPrivate, config_folder, read_private, write_private
from core.clock import UtcTime

_FILE: Final = "terminal.json"
TokenPlace = Literal["keyring", "file"]


class PairedServer(BaseModel):
    """A server with which this machine was paired."""

    model_config = ConfigDict(frozen=True, extra="allow")

    device_id: str
    device_name: str
    service: str | None = None
    expires_at: UtcTime
    token_in: TokenPlace

    @property
    def is_in_keyring(self) -> bool:
        """Whether the token is in the system's keyring."""
        place: TokenPlace = self.token_in
        return place == "keyring"


class Configuration(BaseModel):
    """What the file says. `server` is the one that is used when nothing names another."""

    model_config = ConfigDict(frozen=True, extra="allow")

    server: str | None = None
    paired: Mapping[str, PairedServer] = {}

    def with_pairing(self, server: str, paired: PairedServer) -> Self:
        """The same with this pairing, and its server as the one that is used."""
        return self.model_copy(update={"server": server, "paired": {**self.paired, server: paired}})

    def without_pairing(self, server: str) -> Self:
        """The same without the pairing with this server, which stays the one that is used."""
        left = {name: each for name, each in self.paired.items() if name != server}
        return self.model_copy(update={"paired": left})


class ConfigurationFile:
    """The file in the folder of this person."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / _FILE

    def read(self) -> Configuration:
        """What the file says, or an empty configuration. Raises FilesFailed."""
        try:
            content = read_private(self._path)
            return Configuration.model_validate_json(content) if content is not None else Configuration()
        except ValidationError:
            raise FilesFailed(
                f"{self._path} can't be read as this terminal's configuration",
                "Remove the file, then run: countersign login",
            ) from None
        except OSError as error:
            raise files_failed(error, self._path, "read") from error

    def write(self, configuration: Configuration) -> None:
        """Replace the file. Raises FilesFailed, after which it is as it was."""
        written: dict[str, Any] = configuration.model_dump(mode="json", exclude_none=True)
        try:
            write_private(self._path, f"{json.dumps(written, indent=2)}\n".encode())
        except OSError as error:
            raise files_failed(error, self._path, "written") from error


def open_configuration(environ: Mapping[str, str] = os.environ) -> ConfigurationFile:
    """The file in this person's folder, whether it is there or not. Raises FilesFailed."""
    try:
        return ConfigurationFile(config_folder(environ))
    except NoHome as error:
        raise FilesFailed(str(error), f"Set HOME, or {HOME_VARIABLE} to a folder.") from error


def has_home(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a place for this person's files. A service of the operating system has none."""
    try:
        config_folder(environ)
    except NoHome:
        return False
    return True


def files_failed(error: OSError, path: Path, what: Literal["read", "written"]) -> FilesFailed:
    """The error of a file in one line, with what to do."""
    if isinstance(error, NotPrivate):
        return FilesFailed(str(error), f"It wasn't used. Run: chmod 600 {path}")
    problem = (error.strerror or type(error).__name__).lower()
    return FilesFailed(f"{path} can't be {what}: {problem}", f"Fix that, or set {HOME_VARIABLE} to another folder.")
