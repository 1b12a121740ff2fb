"""What a process used, by the kernel's own accounts: processor time, memory, threads; and when it was ready.

Invariant: everything is read from /proc while the process runs; nothing inside the process is asked or changed.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KIBIBYTES: Final = 1024
_LOOK_SECONDS: Final = 0.5


def read_cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What a process occupies now, in MiB: resident, its share of what it shares, and the peak; and its threads."""

    resident: float
    proportional: float
    peak: float
    threads: int

    @classmethod
    def read(cls, pid: int) -> MemoryUse:
        """From /proc, now."""
        status = _fields(Path(f"/proc/{pid}/status"))
        rollup = _fields(Path(f"/proc/{pid}/smaps_rollup"))
        sizes = (status["VmRSS"], rollup["Pss"], status["VmHWM"])
        resident, proportional, peak = (int(each.split()[0]) / _KIBIBYTES for each in sizes)
        return cls(resident, proportional, peak, int(status["Threads"]))


def _fields(path: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in lines if value.strip()}


@dataclass(slots=True)
class Watch:
    """Looks at a process twice a second until it is stopped: the most memory and threads, and processor time."""

    pid: int
    uses: list[MemoryUse] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _cpu: float = 0.0
    _began: float = 0.0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    def __enter__(self) -> Self:
        self._cpu, self._began = read_cpu_seconds(self.pid), time.monotonic()
        self.uses.append(MemoryUse.read(self.pid))
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.cpu_seconds = read_cpu_seconds(self.pid) - self._cpu
        self.wall_seconds = time.monotonic() - self._began
        self.uses.append(MemoryUse.read(self.pid))

    def _look(self) -> None:
        with suppress(OSError):
            while not self._stopped.wait(_LOOK_SECONDS):
                self.uses.append(MemoryUse.read(self.pid))

    @property
    def share(self) -> float:
        """The share of one core that the process used."""
        return self.cpu_seconds / self.wall_seconds

    @property
    def most_resident(self) -> float:
        """MiB, at the highest look."""
        return max(each.resident for each in self.uses)

    @property
    def most_threads(self) -> int:
        """At the highest look."""
        return max(each.threads for each in self.uses)
