"""What a person sees while a command waits: a spinner with a countdown on a terminal, plain lines elsewhere.

Invariant: it writes to standard error only, so that standard output stays fit for scripts. Elsewhere than on a
terminal, a line is written once, and only when there is something new.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self, TextIO

from bot.terminal.local_times import local_time, time_left
from core.clock import Clock, SystemClock

_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES: Final = "-\\|/"
_TICK_SECONDS: Final = 0.2
_CLEAR: Final = "\r\x1b[2K"


@dataclass(frozen=True, slots=True)
class Shown:
    """What is waited for, and until when it is."""

    text: str
    until: datetime | None = None


class Progress:
    """Use it as a context; it draws from a thread of its own, which is gone at the end."""

    def __init__(
        self, stream: TextIO | None = None, clock: Clock | None = None, *, is_live: bool | None = None
    ) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock or SystemClock()
        self._is_live = _is_terminal(self._stream) if is_live is None else is_live
        self._frames = _FRAMES if _can_write(self._stream, _FRAMES) else _PLAIN_FRAMES
        self._shown: Shown | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spinner", daemon=True)

    def __enter__(self) -> Self:
        if self._is_live:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            if self._is_live:
                self._write(_CLEAR)

    def wait_for(self, text: str, until: datetime | None = None) -> None:
        """From now on, this is what is waited for."""
        shown = Shown(text, until)
        with self._lock:
            if shown == self._shown:
                return
            self._shown = shown
            if not self._is_live:
                ends = f", until {local_time(until, self._clock.now())}" if until is not None else ""
                self._write(f"{text}{ends}\n")

    def say(self, line: str) -> None:
        """Write a line that stays."""
        with self._lock:
            self._write(f"{_CLEAR if self._is_live else ''}{line}\n")

    def draw(self, frame: int) -> str:
        """The spinner's line as it is now, no wider than the terminal."""
        if self._shown is None:
            return ""
        left = f" · {time_left(self._shown.until, self._clock.now())} left" if self._shown.until is not None else ""
        width = max(shutil.get_terminal_size().columns - len(left) - 3, 10)
        text = self._shown.text if len(self._shown.text) <= width else f"{self._shown.text[: width - 1]}…"
        return f"{self._frames[frame % len(self._frames)]} {text}{left}"

    def _run(self) -> None:
        frame = 0
        while not self._stopped.wait(_TICK_SECONDS):
            with self._lock:
                self._write(f"{_CLEAR}{self.draw(frame)}")
            frame += 1

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "replace").decode(encoding))
        self._stream.flush()


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
