"""Files that only the person may read, and where they are: in COUNTERSIGN_HOME, else in the XDG folders.

Invariant: nothing is imported but the standard library, because `countersign credentials` reads its cache through this
module on every call. A file is replaced as a whole or stays as it was, and is never readable by others, not for a
moment.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

HOME_VARIABLE: Final = "COUNTERSIGN_HOME"
_FOLDER: Final = "countersign"
_MAX_BYTES: Final = 256 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class NoHome(OSError):
    """Nothing says where this person's files belong."""


class NotPrivate(OSError):
    """The file belongs to somebody else, or others may read it: what is in it may be known, or not be ours."""


def config_folder(environ: Mapping[str, str]) -> Path:
    """Where the configuration is, and the token if there is no keyring. Raises NoHome."""
    return _folder(environ, "XDG_CONFIG_HOME", ".config")


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where credentials are cached. Raises NoHome."""
    if environ.get(HOME_VARIABLE):
        return config_folder(environ) / "cache"
    return _folder(environ, "XDG_CACHE_HOME", ".cache")


def make_folder(path: Path) -> None:
    """Make the folder and those above it, of mode 0700 whatever the umask. Raises OSError."""
    if not path.is_dir():
        # With `parents`, mkdir would make those above it as the umask says.
        make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Replace the file with this content, of mode 0600; makes its folder, of mode 0700.

    Raises OSError, after which the file is as it was.
    """
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            # A full disk may show only now.
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def read_private(path: Path) -> bytes | None:
    """What is in the file; None if there is none. Raises NotPrivate, or another OSError."""
    try:
        # A pipe in its place would keep the caller waiting; a link could lead to another person's file.
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(opened, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise NotPrivate(f"{path} is not a regular file")
        if found.st_uid != os.geteuid():
            raise NotPrivate(f"{path} belongs to somebody else")
        if found.st_mode & _OTHERS:
            raise NotPrivate(f"{path} can be read by others (mode {stat.S_IMODE(found.st_mode):04o})")
        return file.read(_MAX_BYTES)


def remove(path: Path) -> None:
    """Remove the file, if it is there. Raises OSError."""
    path.unlink(missing_ok=True)


def _folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    own = environ.get(HOME_VARIABLE, "")
    if own:
        if not Path(own).is_absolute():
            raise NoHome(f"{HOME_VARIABLE} is not an absolute path")
        return Path(own)
    # The XDG specification: a relative path is to be ignored.
    base = environ.get(variable, "")
    if Path(base).is_absolute():
        return Path(base) / _FOLDER
    home = environ.get("HOME", "")
    if not Path(home).is_absolute():
        raise NoHome(f"neither {HOME_VARIABLE} nor HOME says where your files belong")
    return Path(home) / below_home / _FOLDER
