"""A share of one core for one process: by the kernel's quota where this user may set one, by stopping it otherwise.

Invariant: a command is inside its limit before its first instruction. A limit is gone when its context ends. What a
process really got is not known here: `accounts.py` reads it from the kernel.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from core.clock import new_id

CGROUPS: Final = Path("/sys/fs/cgroup")
_PERIOD_MICROSECONDS: Final = 100_000
"""The period of Docker, of Kubernetes and of ECS."""
_SLICE_SECONDS: Final = 0.025
_ENTER: Final = 'echo $$ > "$1"; shift; exec "$@"'


class Throttling(NamedTuple):
    """How many periods there were, in how many the quota was used up, and for how long threads waited then."""

    periods: int
    throttled: int
    seconds: float

    def since(self, before: Throttling) -> Throttling:
        """What was added."""
        return Throttling(
            self.periods - before.periods, self.throttled - before.throttled, self.seconds - before.seconds
        )


class CpuLimit(Protocol):
    """A limit of the processor's time, before and while a process runs in it."""

    @property
    def name(self) -> str:
        """What limits, for the report."""
        ...

    def wrap(self, command: Sequence[str]) -> list[str]:
        """The command, which begins inside the limit."""
        ...

    def apply_to(self, pid: int) -> None:
        """Limit the process that was started by the wrapped command."""
        ...

    def read_throttling(self) -> Throttling | None:
        """What the kernel says of the limit, if it counts that."""
        ...


class NoLimit:
    """As much as the machine has."""

    name = "no limit"

    def wrap(self, command: Sequence[str]) -> list[str]:
        """The command itself."""
        return list(command)

    def apply_to(self, pid: int) -> None:
        """Nothing to do."""

    def read_throttling(self) -> None:
        """Nothing is counted."""


class CgroupQuota:
    """CFS bandwidth control, as container runtimes use it: cpu.max of version 2, cpu.cfs_quota_us of version 1."""

    def __init__(self, folder: Path, *, version: int) -> None:
        self._folder = folder
        self.name = f"cgroup v{version} quota"

    def wrap(self, command: Sequence[str]) -> list[str]:
        """A shell enters the group, and becomes the command."""
        return ["/bin/sh", "-c", _ENTER, "enter", str(self._folder / "cgroup.procs"), *command]

    def apply_to(self, pid: int) -> None:
        """Nothing to do: the process began inside."""

    def read_throttling(self) -> Throttling:
        """From cpu.stat, whose unit differs between the versions."""
        lines = (self._folder / "cpu.stat").read_text().splitlines()
        stat = {name: int(value) for name, value in (line.split() for line in lines)}
        seconds = stat["throttled_time"] / 1e9 if "throttled_time" in stat else stat["throttled_usec"] / 1e6
        return Throttling(stat["nr_periods"], stat["nr_throttled"], seconds)


class StopAndContinue:
    """Lets the process run in a slice of each period, and stops it for the rest.

    Stricter than a quota: a process that was idle has nothing saved up, so a click waits for the next slice.
    """

    name = "stopped and continued"

    def __init__(self, share: float) -> None:
        self._pause = _SLICE_SECONDS * (1 / share - 1)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def wrap(self, command: Sequence[str]) -> list[str]:
        """The command itself."""
        return list(command)

    def apply_to(self, pid: int) -> None:
        """Stop and continue this process until the limit ends."""
        self._thread = threading.Thread(target=self._limit, args=(pid,), name="cpu-limit", daemon=True)
        self._thread.start()

    def read_throttling(self) -> None:
        """Nothing is counted."""

    def end(self) -> None:
        """Let the process run freely."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _limit(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            while not self._ended.wait(_SLICE_SECONDS):
                os.kill(pid, signal.SIGSTOP)
                try:
                    self._ended.wait(self._pause)
                finally:
                    os.kill(pid, signal.SIGCONT)


@contextmanager
def cpu_limit(share: float | None, *, cgroups: Path = CGROUPS) -> Iterator[CpuLimit]:
    """Limit a process to this share of one core; None for no limit."""
    if share is None:
        yield NoLimit()
        return
    if (quota := _new_group(cgroups, share)) is not None:
        folder, limit = quota
        try:
            yield limit
        finally:
            with suppress(OSError):
                folder.rmdir()
        return
    stopping = StopAndContinue(share)
    try:
        yield stopping
    finally:
        stopping.end()


def _new_group(cgroups: Path, share: float) -> tuple[Path, CgroupQuota] | None:
    """A group with this quota; None without the right to make one, or where the kernel has no such groups."""
    quota = round(share * _PERIOD_MICROSECONDS)
    controllers = cgroups / "cgroup.controllers"
    is_second = controllers.exists() and "cpu" in controllers.read_text().split()
    folder = (cgroups if is_second else cgroups / "cpu") / f"countersign-load-{new_id()}"
    try:
        folder.mkdir()
        if is_second:
            (folder / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (folder / "cpu.cfs_quota_us").write_text(str(quota))
    except OSError:
        with suppress(OSError):
            folder.rmdir()
        return None
    return folder, CgroupQuota(folder, version=2 if is_second else 1)
