"""AWS credentials that this machine was given, kept in files of mode 0600 until they have to be renewed.

Invariant: nothing is imported but the standard library, because every signing of an SDK may start a process that reads
this. A file that somebody else could read or write is not used, and a half-written one never appears. Credentials are
reused only while the SDKs wouldn't renew them, and never past the end of the access window.
"""

from __future__ import annotations

import json
import os
import stat
import time
from binascii import crc32
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from bot.terminal.private_files import NotPrivate, cache_folder, make_folder, read_private, remove, write_private

RENEW_BEFORE: Final = timedelta(minutes=16)
"""botocore renews from 15 minutes before the expiration on: what lives shorter would start a process for every call."""
LOCK_SECONDS: Final = 45.0
"""How long a process waits for another that asks for the same credentials: as long as its call can take, and a bit."""
_DEAD_AFTER_SECONDS: Final = 12 * 3600
"""Credentials live an hour at most. What is this old is of an earlier pairing, or of a process that was killed."""
_FOLDER: Final = "credentials"
_BEFORE_TARGET: Final = "="
_FIELDS: Final = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_PAUSE_SECONDS: Final = 0.02


class CacheKey(NamedTuple):
    """Whose credentials: of which server, paired as which device, for which profile and, if it has several, target."""

    server: str
    device: str
    profile: str
    target: str = ""


class CachedCredentials:
    """Credentials as the SDKs take them, with the end of the access that they are for. Its repr shows nothing."""

    __slots__ = ("access_ends_at", "credentials_url", "expires_at", "fields", "issued_at")

    def __init__(
        self, fields: Mapping[str, str], access_ends_at: datetime, issued_at: datetime, credentials_url: str
    ) -> None:
        """Raises ValueError unless `fields` are the text fields of credentials, and all times are aware."""
        if set(fields) != set(_FIELDS) or not all(fields.values()):
            raise ValueError("these are no credentials")
        self.fields = dict(fields)
        self.expires_at = _read_time(fields["Expiration"])
        self.access_ends_at = _require_aware(access_ends_at)
        self.issued_at = _require_aware(issued_at)
        self.credentials_url = credentials_url

    def is_alive(self, now: datetime) -> bool:
        """Whether they allow anything: AWS takes them, and the access window is open."""
        return now < self.expires_at and now < self.access_ends_at

    def is_fresh(self, now: datetime) -> bool:
        """Whether an SDK that gets them now keeps them for a while."""
        return self.is_alive(now) and self.expires_at - now >= RENEW_BEFORE


class CredentialsCache:
    """The file of one key, and the lock of its profile."""

    def __init__(self, folder: Path, key: CacheKey) -> None:
        self._folder = folder
        self._key = key
        self._path = folder / f"{_prefix(key.server, key.device)}{_suffix(key)}.json"

    @classmethod
    def of(cls, environ: Mapping[str, str], key: CacheKey) -> CredentialsCache:
        """The cache in this person's folder. Raises OSError if nothing says where that is."""
        return cls(credentials_folder(environ), key)

    def read(self) -> CachedCredentials | None:
        """What is cached; None if there is nothing usable. Raises NotPrivate, or another OSError."""
        if not _check_folder(self._folder) or (content := read_private(self._path)) is None:
            return None
        try:
            found = json.loads(content)
            if [found["server"], found["device"], found["profile"], found["target"]] != list(self._key):
                return None
            return CachedCredentials(
                {name: str(text) for name, text in found["credentials"].items()},
                _read_time(found["access_ends_at"]),
                _read_time(found["issued_at"]),
                str(found["credentials_url"]),
            )
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            # A newer version's, or what a crash left of it: it's only a cache.
            return None

    def write(self, issued: CachedCredentials) -> None:
        """Keep these instead. Raises OSError, after which the file is as it was."""
        content = {
            **self._key._asdict(),
            "access_ends_at": issued.access_ends_at.isoformat(),
            "issued_at": issued.issued_at.isoformat(),
            "credentials_url": issued.credentials_url,
            "credentials": issued.fields,
        }
        make_folder(self._folder)
        _check_folder(self._folder)
        write_private(self._path, json.dumps(content).encode())
        _remove_dead(self._folder)

    def forget(self) -> None:
        """Remove what is cached under this key. Raises OSError."""
        remove(self._path)

    @contextmanager
    def locked(self, patience_seconds: float = LOCK_SECONDS) -> Iterator[bool]:
        """Let one process at a time ask for the credentials of this profile. Yields whether it's alone.

        The kernel frees the lock when its holder ends, however it ends. After `patience_seconds`, or where files can't
        be locked, it goes on without: then two processes may ask at once, which is harmless.
        """
        descriptor = self._open_lock()
        try:
            yield descriptor is not None and _wait_for_lock(descriptor, patience_seconds)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _open_lock(self) -> int | None:
        try:
            make_folder(self._folder)
            _check_folder(self._folder)
            # Never removed: a process that waits for a removed file's lock would exclude nobody.
            path = self._folder / f"{_suffix(self._key)}.lock"
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return None


def credentials_folder(environ: Mapping[str, str]) -> Path:
    """Where credentials are cached. Raises OSError if nothing says where that is."""
    return cache_folder(environ) / _FOLDER


def forget_device(folder: Path, server: str, device: str) -> None:
    """Remove all that is cached for a device, because it was ended. Raises OSError."""
    for path in _list(folder):
        if path.name.startswith(_prefix(server, device)):
            remove(path)


def forget_profile(environ: Mapping[str, str], profile: str) -> None:
    """Remove what is cached for a profile, because access to it changed. What can't be removed is renewed later."""
    with suppress(OSError):
        for path in _list(credentials_folder(environ)):
            if path.name.partition(_BEFORE_TARGET)[0].endswith(f"-{_file_name(profile)}"):
                remove(path)


def _check_folder(folder: Path) -> bool:
    """Whether there is the folder. Raises NotPrivate if somebody else could read or change what is in it."""
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode):
        raise NotPrivate(f"{folder} is not a folder")
    if found.st_uid != os.geteuid():
        raise NotPrivate(f"{folder} belongs to somebody else")
    if found.st_mode & _OTHERS:
        raise NotPrivate(
            f"{folder} is open to others (mode {stat.S_IMODE(found.st_mode):04o}); run: chmod 700 {folder}"
        )
    return True


def _remove_dead(folder: Path) -> None:
    with suppress(OSError):
        oldest = time.time() - _DEAD_AFTER_SECONDS
        for path in _list(folder):
            if path.suffix != ".lock" and path.lstat().st_mtime < oldest:
                remove(path)


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _wait_for_lock(descriptor: int, patience_seconds: float) -> bool:
    # Not at the top: Windows has no such module, and shows the help of all commands nonetheless.
    import fcntl  # noqa: PLC0415 - see above

    until = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE_SECONDS)
        except OSError:
            # This file system has no locks.
            return False
        else:
            return True


def _prefix(server: str, device: str) -> str:
    return f"{crc32(server.encode()):08x}-{_file_name(device)}-"


def _suffix(key: CacheKey) -> str:
    return f"{_file_name(key.profile)}{_BEFORE_TARGET}{_file_name(key.target)}"


def _file_name(text: str) -> str:
    """The text as a part of a file's name: one part for each text, and no way out of the folder."""
    return "".join(
        each if each.isascii() and (each.isalnum() or each in "_@+-") else f"%{ord(each):02x}" for each in text
    )


def _read_time(text: str) -> datetime:
    return _require_aware(datetime.fromisoformat(text))


def _require_aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(UTC)
