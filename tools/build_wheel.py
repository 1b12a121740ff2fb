"""`python -m tools.build_wheel FOLDER`: sdist and wheel of a commit, the same bytes on every machine.

Invariant: nothing of the machine gets in, neither clock, user, umask, path, locale nor time zone; and no file that the
commit doesn't have. What remains is the code that packs: build with the locked setuptools and the same minor version of
Python. `build` takes any tree, so that tests pack what is being worked on.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).parents[1]
_BUILD: Final = (
    "import sys; from setuptools import build_meta; getattr(build_meta, 'build_' + sys.argv[1])(sys.argv[2])"
)
_FILE: Final = 0o644
_FOLDER: Final = 0o755
_UMASK: Final = 0o022


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--commit", default="HEAD", help="The commit to build; its time is the time of every file.")
def main(folder: Path, commit: str) -> None:
    """Build a commit into FOLDER, and print what sha256sum would."""
    with tempfile.TemporaryDirectory(prefix="countersign-build-") as scratch:
        source = Path(scratch) / "source"
        export(ROOT, commit, source)
        whole = _git(ROOT, "rev-parse", "--verify", f"{commit}^{{commit}}").strip()
        for built in build(source, folder, commit_time(ROOT, whole), whole):
            click.echo(f"{hashlib.sha256(built.read_bytes()).hexdigest()}  {built.name}")


def commit_time(repository: Path, commit: str) -> int:
    """When a commit was made, in seconds since 1970."""
    return int(_git(repository, "log", "-1", "--format=%ct", commit))


def export(repository: Path, commit: str, into: Path) -> None:
    """Write out the files of a commit, and no others."""
    into.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="countersign-export-") as scratch:
        archive = Path(scratch) / "commit.tar"
        _git(repository, "archive", "--format=tar", f"--output={archive}", commit)
        _unpack(archive, into)


def build(source: Path, folder: Path, epoch: int, commit: str) -> tuple[Path, Path]:
    """Build a source distribution of a tree, and from nothing but that the wheel. The tree stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="countersign-build-") as scratch:
        packed, unpacked, made = (Path(scratch) / name for name in ("packed", "unpacked", "made"))
        # In a copy: setuptools builds in place, and takes along what an earlier build left there.
        shutil.copytree(source, packed, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist"))
        _level(packed, epoch)
        _run_backend("sdist", packed, made, epoch, SOURCE_COMMIT=commit)
        (raw,) = made.glob("*.tar.gz")
        sdist = folder / raw.name
        _repack(raw, sdist, epoch)
        _unpack(sdist, unpacked)
        (top,) = unpacked.iterdir()
        _level(top, epoch)
        _run_backend("wheel", top, made, epoch)
        (wheel,) = made.glob("*.whl")
        shutil.copyfile(wheel, folder / wheel.name)
    return sdist, folder / wheel.name


def _level(tree: Path, epoch: int) -> None:
    """Give every file the same time, and modes that don't depend on a umask."""
    for path in [tree, *tree.rglob("*")]:
        path.chmod(_FOLDER if path.is_dir() else _FILE)
        os.utime(path, (epoch, epoch))


def _run_backend(kind: str, source: Path, into: Path, epoch: int, **more: str) -> None:
    into.mkdir(exist_ok=True)
    told = {"PATH": os.defpath, "TZ": "UTC", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(epoch), **more}
    # -I: no variable of Python's and nothing in the user's own site-packages takes part.
    done = subprocess.run(  # noqa: S603  Ours.
        [sys.executable, "-I", "-c", _BUILD, kind, str(into)], check=False, capture_output=True, text=True, cwd=source,
        env=told, umask=_UMASK,
    )  # fmt: skip
    if done.returncode != 0:
        raise click.ClickException(f"setuptools could not build the {kind}:\n{done.stderr}")


def _repack(raw: Path, into: Path, epoch: int) -> None:
    """Write an archive anew: sorted, of no owner, of one time. setuptools takes these from the file system."""
    with (
        tarfile.open(raw) as old,
        into.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old, key=lambda each: each.name):
            entry = tarfile.TarInfo(member.name)
            entry.type, entry.size, entry.mtime = member.type, member.size, epoch
            entry.mode = _FOLDER if member.isdir() else _FILE
            new.addfile(entry, old.extractfile(member))


def _unpack(archive: Path, into: Path) -> None:
    with tarfile.open(archive) as opened:
        # Set like this because the argument `filter` is missing before Python 3.11.4. The archive is our own.
        opened.extraction_filter = lambda member, _: member
        opened.extractall(into)  # noqa: S202


def _git(repository: Path, *arguments: str) -> str:
    # tar.umask: a setting of the person who builds would change modes.
    command = ["git", "-c", "tar.umask=0022", "-C", str(repository), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  Ours.
    if done.returncode != 0:
        raise click.ClickException(done.stderr.strip())
    return done.stdout


if __name__ == "__main__":
    main()
