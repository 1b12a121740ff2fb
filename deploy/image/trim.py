"""Leave of a Debian root only what a Python program needs: no shell, no package manager, no pip, no setuid bit.

    python3 trim.py /rootfs

Invariant: libraries, certificates, time zones, the Python that runs this and the notices of licences stay. The list of
Debian packages names those of which something is left, so that a scanner finds what is there, and nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from pathlib import Path

PYTHON = Path(os.path.realpath(sys.executable)).name
PROGRAMS = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin")
INSTALLERS = ("ensurepip", "pip", "pip-*", "setuptools", "setuptools-*", "wheel", "wheel-*", "_distutils_hack")
UNUSED = (
    "boot", "etc/alternatives", "etc/apt", "etc/cron.*", "etc/dpkg", "etc/gshadow*", "etc/init.d", "etc/pam.d",
    "etc/rc*.d", "etc/security", "etc/shadow*", "etc/skel", "etc/systemd", "home/*", "media", "mnt/*", "opt/*",
    "root/.??*", "srv", "tmp/*", "usr/games", "usr/include", "usr/lib/*/libperl*", "usr/lib/*/perl*",
    "usr/lib/*/perl-base", "usr/lib/*/security", "usr/lib/apt", "usr/lib/dpkg", "usr/lib/init", "usr/lib/systemd",
    "usr/libexec", "usr/local/include", "usr/local/share", "usr/share/bash-completion", "usr/share/debconf",
    "usr/share/dpkg", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/man", "usr/share/menu",
    "usr/share/pam*", "usr/share/perl*", "usr/share/polkit-1", "usr/share/python-wheels", "var/cache/*",
    "var/lib/apt", "var/lib/pam", "var/lib/systemd", "var/local", "var/log/*", "var/mail",
)  # fmt: skip


def trim(root: Path) -> None:
    """Remove what isn't needed below `root`."""
    remove_programs(root)
    for pattern in UNUSED:
        for path in list(root.glob(pattern)):
            remove(path)
    for library in (*root.glob("usr/lib/python3*"), *root.glob("usr/local/lib/python3*")):
        for name in INSTALLERS:
            for path in (*library.glob(name), *library.glob(f"*-packages/{name}")):
                remove(path)
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            path.chmod(stat.S_IMODE(mode) & 0o777)
    list_packages_that_are_left(root)


def remove_programs(root: Path) -> None:
    """Remove every program but the Python that runs this, by whichever names it has."""
    for folder in (root / each for each in PROGRAMS):
        if folder.is_dir() and not folder.is_symlink():
            # First all names are resolved: a link's target may be gone otherwise.
            for path in [each for each in folder.iterdir() if each.resolve().name != PYTHON]:
                remove(path)


def list_packages_that_are_left(root: Path) -> None:
    """Take the packages of which no file is left out of dpkg's list."""
    folder = root / "var/lib/dpkg"
    if (folder / "status").is_file():
        blocks = (folder / "status").read_text(encoding="utf-8").strip().split("\n\n")
        left = [block for block in blocks if is_left(root, block)]
        remove(folder)
        folder.mkdir(mode=0o755)
        (folder / "status").write_text("\n\n".join(left) + "\n", encoding="utf-8")


def is_left(root: Path, block: str) -> bool:
    """Whether something of this package is left that a program could use."""
    name = re.findall(r"(?m)^Package: (\S+)$", block)[0]
    known = root / "var/lib/dpkg/info"
    paths = [
        Path(line.lstrip("/"))
        for each in (*known.glob(f"{name}.list"), *known.glob(f"{name}:*.list"))
        for line in each.read_text(encoding="utf-8").splitlines()
        if re.match(r"/(usr/)?(lib|bin)|/usr/share/(ca-certificates|zoneinfo)", line)
    ]
    return any((root / path).is_file() for path in paths)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    trim(Path(sys.argv[1]))
