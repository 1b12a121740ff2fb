"""A process in the image's files, as a container runtime starts it: as another user, on a read-only root.

Invariant: the mounts are in a namespace of the process's own, so they are gone when it is. The network is this
machine's, because the local Slack is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.harness.image_build import BuiltImage

USER: Final = 4321
"""Not the user that the image names: platforms choose their own."""
_START: Final = """
set -e
root=$1 folder=$2; shift 2
mount --bind "$root" "$root"
mount --options remount,bind,ro "$root"
mount --types tmpfs tmpfs "$root/tmp"
mount --types proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$folder" "$root/var/lib/countersign"
cd "$root/var/lib/countersign"
exec "$@"
"""


class ImageRun:
    """Runs what is in an image, with a folder of this machine as its volume."""

    def __init__(self, image: BuiltImage, folder: Path) -> None:
        self._image, self.folder = image, folder
        folder.chmod(0o700)
        os.chown(folder, USER, USER)

    def command(self, *arguments: str, entrypoint: tuple[str, ...] = (), **variables: str) -> list[str]:
        """The command line that starts it. Signals to that process reach the one in the image."""
        environment = {**self._image.environment, **variables}
        mount = ["unshare", "--mount", "--propagation=private", "sh", "-c", _START, "image-run"]
        drop = [
            "setpriv",
            "--no-new-privs",
            "--clear-groups",
            "env",
            "-i",
            *(f"{a}={b}" for a, b in environment.items()),
        ]
        # By its path: from here on, PATH is the image's.
        enter = [
            shutil.which("unshare") or "unshare",
            f"--root={self._image.root}",
            f"--setuid={USER}",
            f"--setgid={USER}",
        ]
        begin = entrypoint or tuple(self._image.config["Entrypoint"])
        return [
            *mount, str(self._image.root), str(self.folder), *drop, *enter, f"--wd={self._image.config['WorkingDir']}",
            *begin, *arguments,
        ]  # fmt: skip

    def run(
        self, *arguments: str, entrypoint: tuple[str, ...] = (), **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it to its end."""
        command = self.command(*arguments, entrypoint=entrypoint, **variables)
        return subprocess.run(command, check=False, capture_output=True, encoding="utf-8")  # noqa: S603  Ours.
