"""Secrets in a file of one host, for the embedded store.

Invariant: the file is readable by its owner alone, or it is not read at all. It is replaced as a whole, so that a
crash leaves the old one or the new one.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from bot.mfa.secret_store import already_enrolled
from core.actor import UserId, ValidUserId
from core.errors import InvalidInput, StoreMisconfigured

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class _Kept(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secrets: dict[ValidUserId, SecretStr] = {}


class SecretFile:
    """The Secrets in a JSON file, which is made for the first person. Safe for threads and processes of one host."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, person: UserId) -> SecretStr | None:
        """One person's secret. The file is read each time, so that a removed person is refused at once."""
        return self._read().get(person)

    def put(self, person: UserId, secret: SecretStr, *, is_replacing: bool) -> None:
        """Keep a secret."""
        with self._changing() as secrets:
            if person in secrets and not is_replacing:
                raise already_enrolled(person)
            secrets[person] = secret

    def remove(self, person: UserId) -> bool:
        """Forget a secret."""
        with self._changing() as secrets:
            return secrets.pop(person, None) is not None

    def people(self) -> tuple[UserId, ...]:
        """Who has a secret."""
        return tuple(sorted(self._read()))

    def _read(self) -> dict[UserId, SecretStr]:
        try:
            with self._path.open(encoding="utf-8") as file:
                self._refuse_shared(os.fstat(file.fileno()))
                return dict(_Kept.model_validate_json(file.read()).secrets)
        except FileNotFoundError:
            return {}
        except (ValidationError, InvalidInput, UnicodeDecodeError) as error:
            problem = f"{self._path} is not a file of MFA secrets"
            raise StoreMisconfigured(problem, "Restore it, or move it away and enrol everyone again") from error
        except OSError as error:
            raise self._unusable(error) from error

    def _refuse_shared(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise StoreMisconfigured(f"{self._path} is not a file", "Name another file")
        if found.st_mode & _OTHERS:
            mode = stat.S_IMODE(found.st_mode)
            raise StoreMisconfigured(
                f"{self._path} has mode {mode:04o}, so others on this host can read everyone's MFA secrets",
                f"Run: chmod 600 {self._path}",
            )

    @contextmanager
    def _changing(self) -> Iterator[dict[UserId, SecretStr]]:
        """The secrets, to be changed; written when the block ends, while nobody else changes them."""
        try:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            secrets = self._read()
            yield secrets
            self._write(secrets)
            os.fsync(folder)
        except OSError as error:
            raise self._unusable(error) from error
        finally:
            os.close(folder)

    def _write(self, secrets: dict[UserId, SecretStr]) -> None:
        text = json.dumps({"secrets": {person: each.get_secret_value() for person, each in sorted(secrets.items())}})
        # mkstemp gives the mode 0600 from the first moment on.
        number, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _unusable(self, error: OSError) -> StoreMisconfigured:
        return StoreMisconfigured(
            f"{self._path} cannot be used: {error.strerror}", "Check that this process can read and write it"
        )
