"""Where this machine keeps its tokens: in the system's keyring, or else in a file that only the person can read.

Invariant: a token is never kept where others can read it: not in a file with a wider mode, and not in one of the
keyring library's backends that write plain text. A keyring that fails is as good as none.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from pydantic import SecretStr

from bot.settings.terminal import is_token
from bot.terminal.configuration import TokenPlace, files_failed
from bot.terminal.errors import FilesFailed
from bot.terminal.private_files import read_private, remove, write_private

_SERVICE: Final = "countersign"
_TRUSTED_BACKENDS: Final = frozenset(
    {
        "keyring.backends.SecretService",
        "keyring.backends.libsecret",
        "keyring.backends.kwallet",
        "keyring.backends.macOS",
        "keyring.backends.Windows",
    }
)
"""The backends of the system's own keyrings. Every other one may write plain text, or keep nothing at all."""


class SystemKeyring(Protocol):
    """What is used of the keyring library's backends."""

    def get_password(self, service: str, username: str) -> str | None:
        """The secret, if there is one."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep the secret."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Remove the secret."""
        ...


class TokenStore:
    """The tokens of this person on this machine, each with the server it is for and the id of its device."""

    def __init__(self, folder: Path, keyring: SystemKeyring | None = None) -> None:
        self._folder = folder
        self._keyring = keyring

    @classmethod
    def open(cls, folder: Path) -> TokenStore:
        """The store with this system's keyring, if there is one to trust."""
        return cls(folder, find_keyring())

    def keep(self, server: str, device_id: str, token: SecretStr) -> TokenPlace:
        """Keep the token, and say where. Raises FilesFailed, after which it is kept nowhere."""
        text, name = token.get_secret_value(), _name(server, device_id)
        if self._keyring is not None:
            # A locked, absent or broken keyring raises errors of many libraries.
            with suppress(Exception):
                self._keyring.set_password(_SERVICE, name, text)
                if self._keyring.get_password(_SERVICE, name) == text:
                    return "keyring"
        path = self._path(name)
        try:
            write_private(path, f"{text}\n".encode())
        except OSError as error:
            raise files_failed(error, path, "written") from error
        return "file"

    def read(self, server: str, device_id: str, place: TokenPlace) -> SecretStr | None:
        """The token; None if it isn't there. Raises FilesFailed."""
        name = _name(server, device_id)
        text = self._read_keyring(name) if place == "keyring" else self._read_file(name)
        return SecretStr(text) if text is not None and is_token(text) else None

    def remove(self, server: str, device_id: str, place: TokenPlace) -> None:
        """Remove the token, if it is there. Raises FilesFailed."""
        name = _name(server, device_id)
        if place == "keyring":
            # It raises when there is nothing to delete, too.
            with suppress(Exception):
                if self._keyring is not None:
                    self._keyring.delete_password(_SERVICE, name)
            return
        path = self._path(name)
        try:
            remove(path)
        except OSError as error:
            raise files_failed(error, path, "written") from error

    def _read_keyring(self, name: str) -> str | None:
        try:
            return self._keyring.get_password(_SERVICE, name) if self._keyring is not None else None
        except Exception as error:  # noqa: BLE001 - a backend's own libraries can fail in any way
            # Without its cause: it comes from another library, and could quote anything.
            problem = f"the system's keyring can't be read ({type(error).__name__})"
            raise FilesFailed(problem, "Unlock it, or run: countersign login") from None

    def _read_file(self, name: str) -> str | None:
        path = self._path(name)
        try:
            content = read_private(path)
        except OSError as error:
            raise files_failed(error, path, "read") from error
        return content.decode(errors="replace").strip() if content is not None else None

    def _path(self, name: str) -> Path:
        return self._folder / f"token-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _name(server: str, device_id: str) -> str:
    # With its device, so that a new pairing never overwrites the old one before it is configured.
    return f"{server} {device_id}"


def find_keyring() -> SystemKeyring | None:
    """The system's keyring, if the keyring library is installed and found one that keeps secrets encrypted."""
    try:
        # Optional, and slow to load.
        import keyring  # noqa: PLC0415 - see above

        found = keyring.get_keyring()
        each_backend = getattr(found, "backends", None) or (found,)
        for backend in each_backend:
            if type(backend).__module__ in _TRUSTED_BACKENDS:
                return backend
    except Exception:  # noqa: BLE001 - a backend's own libraries can fail in any way
        return None
    return None
