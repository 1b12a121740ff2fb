"""The previous release and this version as processes of their own, which work on one store.

Invariant: the previous release runs on its own packages, kept in releases/, and on nothing of this clone's. Neither git
nor the network is asked for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from core.clock import format_time
from tests.harness.aws import ENVIRONMENT
from tests.harness.wheel import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

RELEASES: Final = Path(__file__).parent / "releases"
_SCRIPT: Final = Path(__file__).parent / "one_version.py"
_PATIENCE: Final = 120.0


@dataclass(frozen=True)
class Release:
    """What is kept of a release."""

    version: str
    commit: str
    packed: Path
    digest: str

    @classmethod
    def kept(cls) -> list[Self]:
        """Each release that has its packages here, oldest first."""
        found = []
        for about in RELEASES.glob("*/release.json"):
            told = json.loads(about.read_text(encoding="utf-8"))
            found.append(cls(told["version"], told["commit"], about.parent / told["packages"], told["sha256"]))
        return sorted(found, key=lambda each: [int(number) for number in each.version.split(".")])

    @classmethod
    def previous(cls) -> Self:
        """The newest that is older than this version."""
        return [each for each in cls.kept() if each.version != VERSION][-1]

    def unpack(self, folder: Path) -> Path:
        """Put its packages into a folder, for PYTHONPATH."""
        content = self.packed.read_bytes()
        assert sha256(content).hexdigest() == self.digest
        with tarfile.open(self.packed, "r:xz") as archive:
            # Set like this because the argument `filter` is missing before Python 3.11.4. The archive is our own.
            archive.extraction_filter = lambda member, _: member
            archive.extractall(folder)  # noqa: S202
        return folder


@dataclass
class Running:
    """A process of one version. It does one thing at a time; two processes do theirs at once."""

    packages: Path
    process: subprocess.Popen[str]
    about: dict[str, str] = field(default_factory=dict)

    def send(self, told: dict[str, Any]) -> None:
        """Let it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """What it answered: `done`, or `error` and `said`."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "it ended; its error is above"
        answer: dict[str, Any] = json.loads(line)
        return answer


class Versions(NamedTuple):
    """The previous release and this version, running."""

    old: Running
    new: Running


@contextmanager
def running(packages: Path) -> Iterator[Running]:
    """A process that has these packages on its path, before all that is installed."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), **ENVIRONMENT}
    command = [sys.executable, "-B", str(_SCRIPT)]
    with subprocess.Popen(  # noqa: S603 - ours
        command, env=environment, cwd=packages, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield Running(packages, process)
        finally:
            process.kill()


@dataclass
class OneStore:
    """One store that several versions work on, and the time that they all take for the present."""

    url: str
    policy: str
    now: datetime

    def ask(self, version: Running, do: str, **told: Any) -> Any:  # noqa: ANN401 - what it answers
        """What a version did. Raises AssertionError when it refused."""
        answer = self.try_to(version, do, **told)
        assert "done" in answer, answer
        return answer["done"]

    def try_to(self, version: Running, do: str, **told: Any) -> dict[str, Any]:  # noqa: ANN401
        """What a version answered, also when it refused."""
        self.begin(version, do, **told)
        return version.receive()

    def begin(self, version: Running, do: str, **told: Any) -> None:  # noqa: ANN401
        """Let it begin, and don't wait."""
        version.send({"url": self.url, "policy": self.policy, "at": format_time(self.now), "do": do, **told})
