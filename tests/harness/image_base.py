"""The base that the image is built on here, in place of one from a registry: a small Debian with Python.

    python3 tests/harness/image_base.py

makes it ahead of the tests, which is what CI does. It needs nothing but the standard library.

Invariant: it's made once for each choice of packages, kept in .cache, and is whole: two that want it at the same time
wait for each other.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CACHE: Final = Path(__file__).resolve().parents[2] / ".cache" / "image"
_DEBIAN: Final = "bookworm"
_MAKE: Final = (
    "mmdebstrap",
    "--quiet",
    "--variant=essential",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--include=python3,python3-venv,ca-certificates",
    _DEBIAN,
)


def obtain_base() -> Path:
    """The base as a tar file, made on first use."""
    key = hashlib.sha256(repr((_MAKE, platform.machine())).encode()).hexdigest()[:16]
    path = CACHE / f"base-{key}.tar"
    with locked("base"):
        if not path.exists():
            unfinished = path.with_suffix(".part.tar")
            run(*_MAKE, str(unfinished))
            for old in CACHE.glob("base-*.tar"):
                if old != unfinished:
                    old.unlink()
            unfinished.rename(path)
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Wait until nobody else makes what has this name."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*command: str) -> str:
    """What a program writes to its standard output. Raises RuntimeError with what it said otherwise."""
    program = shutil.which(command[0])
    if program is None:
        raise RuntimeError(f"{command[0]} isn't installed")
    done = subprocess.run([program, *command[1:]], check=False, capture_output=True, text=True)  # noqa: S603  Ours.
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    obtain_base()
