"""`python -m tools.keep_release VERSION COMMIT`: keeps what of a release its successors are tested beside.

Invariant: the same commit gives the same bytes. The packages `core` and `bot` are those of the wheel, file by file;
what no bot needs to serve, such as the playground's pictures, is left out. Only what git has is kept, nothing of the
working tree.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
RELEASES: Final = ROOT / "tests" / "packaging" / "releases"
PACKED: Final = "packages.tar.xz"
ABOUT: Final = "release.json"
_SOURCES: Final = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "core", "bot")
_KEPT: Final = re.compile(r"(core|bot)/|[^/]+\.dist-info/(METADATA|entry_points\.txt|top_level\.txt)$")
_BUILD: Final = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def keep_release(version: str, commit: str, into: Path) -> Path:
    """Build the packages of `commit`, name them `version`, and pack them into a folder of `into`."""
    whole = _git("rev-parse", f"{commit}^{{commit}}").decode().strip()
    written = datetime.fromisoformat(_git("log", "-1", "--format=%cI", whole).decode().strip()).astimezone(UTC)
    packed = _pack(_build_wheel(whole, version))
    folder = into / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PACKED).write_bytes(packed)
    about = {
        "version": version,
        "commit": whole,
        "written": written.isoformat(),
        "packages": PACKED,
        "sha256": sha256(packed).hexdigest(),
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return folder


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, stdout=subprocess.PIPE).stdout  # noqa: S603, S607


def _build_wheel(commit: str, version: str) -> dict[str, bytes]:
    """The files of the wheel, as pip would unpack them."""
    there = _git("ls-tree", "--name-only", commit).decode().split()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, *(set(there) & set(_SOURCES))))) as archive:
            # Set like this because the argument `filter` is missing before Python 3.11.4. The archive is our own.
            archive.extraction_filter = lambda member, _: member
            archive.extractall(folder / "source")  # noqa: S202
        project = folder / "source" / "pyproject.toml"
        # Before the first release, commits named a version that was never given to anything.
        named = re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', project.read_text(encoding="utf-8"), count=1)
        project.write_text(named, encoding="utf-8")
        environment = {**os.environ, "SOURCE_COMMIT": commit}
        subprocess.run(  # noqa: S603 - every word of it stands here
            [sys.executable, "-c", _BUILD, folder], cwd=folder / "source", env=environment, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}


def _pack(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(filter(_KEPT.match, files)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(files[name]), 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    # A dozen versions of one text: a large dictionary finds what they share.
    return lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME)


if __name__ == "__main__":
    print(keep_release(sys.argv[1], sys.argv[2], RELEASES))  # noqa: T201 - where it is
