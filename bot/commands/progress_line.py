"""A line on a terminal that says how far a long command is.

Invariant: it stands on standard error and only on a terminal, at most twice a second, and is gone at the end. What a
script reads never has it.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import Final, Self

import click

SECONDS_BETWEEN: Final = 0.5
_EMPTY: Final = "\r\x1b[K"


class ProgressLine:
    """Shows the last text that it was given; elsewhere than on a terminal, nothing. Use it as a context manager."""

    def __init__(self, *, is_wanted: bool = True) -> None:
        self._is_shown = is_wanted and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._next = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Show this, unless something was shown a moment ago."""
        if self._is_shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + SECONDS_BETWEEN
            # A line that wraps could not be taken away again.
            width = max(shutil.get_terminal_size().columns - 1, 1)
            click.echo(f"{_EMPTY}{text[:width]}", err=True, nl=False)

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        if self._is_shown:
            click.echo(_EMPTY, err=True, nl=False)
