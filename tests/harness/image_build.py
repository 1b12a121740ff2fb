"""The image as the Dockerfile builds it, by buildah, on a base of our own, without a registry.

Invariant: the storage is the build's own and is gone at the end, whatever happens; what stays is the image's files and
its settings, in .cache, until something that it is built from changes. pip gets the wheels that the lock names from a
folder: this machine fetches them as it fetches everything, and nothing about how is in the repository.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.harness.image_base import CACHE, locked, obtain_base, run
from tests.harness.wheel import PACKAGES, ROOT

VERSION: Final = "9.8.7"
COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
"""The version and the commit that the image gets."""
_PROGRAMS: Final = ("buildah", "mmdebstrap", "unshare", "setpriv", "chroot", "mount")
_FILES: Final = (
    "Dockerfile",
    ".dockerignore",
    "requirements-runtime.lock",
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
)
_PIP: Final = "[global]\nno-index = true\nfind-links = /wheels\n"


@cache
def why_no_image() -> str | None:
    """Why no image can be built here, in a few words; None when it can."""
    if os.geteuid() != 0:
        return "it takes root"
    missing = [each for each in _PROGRAMS if shutil.which(each) is None]
    return f"no {', '.join(missing)} on this machine" if missing else None


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """What was built: a folder with its files, and its settings as Docker knows them."""

    root: Path
    config: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it sets."""
        return dict(each.split("=", 1) for each in self.config["Env"])


def obtain_image() -> BuiltImage:
    """The image of the sources as they are, built on first use."""
    folder = CACHE / f"image-{_digest_of_sources()}"
    with locked("image"):
        if not folder.is_dir():
            for old in CACHE.glob("image-*"):
                if old.is_dir():
                    shutil.rmtree(old)
            _build(folder)
    return BuiltImage(folder / "root", json.loads((folder / "config.json").read_text(encoding="utf-8")))


def _digest_of_sources() -> str:
    folders = (*PACKAGES, "deploy/image")
    sources = [each for folder in folders for each in (ROOT / folder).rglob("*") if "__pycache__" not in each.parts]
    digest = hashlib.sha256(str(obtain_base()).encode())
    for path in sorted([*(ROOT / each for each in _FILES), *filter(Path.is_file, sources), *_own_files()]):
        digest.update(f"{path}\0{path.stat().st_mode}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _own_files() -> tuple[Path, ...]:
    return (Path(__file__),)


def _build(folder: Path) -> None:
    """Build it into `folder`, which holds all or isn't there."""
    with tempfile.TemporaryDirectory(prefix="build-", dir=CACHE) as scratch:
        work = Path(scratch)
        storage = ("buildah", "--root", f"{work}/storage", "--runroot", f"{work}/run", "--storage-driver", "vfs")
        _import_base(storage)
        volumes = [
            f"--volume={_fetch_wheels(work)}:/wheels:ro",
            f"--volume={_write_pip_settings(work)}:/etc/pip.conf:ro",
        ]
        run(
            *storage, "bud", "--quiet", "--isolation=chroot", "--format=docker", *volumes,
            "--build-arg=BASE=localhost/base", f"--build-arg=VERSION={VERSION}", f"--build-arg=COMMIT={COMMIT}",
            "--tag=localhost/countersign", str(ROOT),
        )  # fmt: skip
        config = json.loads(run(*storage, "inspect", "--type=image", "localhost/countersign"))["Docker"]["config"]
        container = run(*storage, "from", "localhost/countersign").strip()
        result = work / "result"
        result.mkdir()
        # In this kind of storage it's a plain folder, and not mounted: it can be moved out, and needs no copy.
        Path(run(*storage, "mount", container).strip()).rename(result / "root")
        (result / "config.json").write_text(json.dumps(config), encoding="utf-8")
        result.rename(folder)


def _import_base(storage: tuple[str, ...]) -> None:
    container = run(*storage, "from", "scratch").strip()
    run(*storage, "add", "--quiet", container, str(obtain_base()), "/")
    run(*storage, "commit", "--quiet", "--rm", container, "localhost/base")


def _fetch_wheels(work: Path) -> Path:
    wheels = work / "wheels"
    lock = str(ROOT / "requirements-runtime.lock")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "download")
    # For the Python of the base, which need not be the one of the tests.
    target = ("--python-version=3.11", "--only-binary=:all:", "--require-hashes", "--requirement", lock)
    run(*pip, *target, "--dest", str(wheels))
    return wheels


def _write_pip_settings(work: Path) -> Path:
    path = work / "pip.conf"
    path.write_text(_PIP, encoding="utf-8")
    return path
