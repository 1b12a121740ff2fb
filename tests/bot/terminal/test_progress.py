"""What a person sees while a command waits."""

from __future__ import annotations

import io
import threading
from datetime import timedelta

import pytest

from bot.terminal.local_times import local_time, time_left
from bot.terminal.progress import Progress
from tests.harness.clock import FrozenClock

HOUR = timedelta(hours=1)


class DrawnTerminal(io.StringIO):
    """A terminal that says when something was drawn on it."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = threading.Event()

    def write(self, text: str, /) -> int:
        if "left" in text:
            self.drawn.set()
        return super().write(text)


def test_plain_lines_come_once_each() -> None:
    written, clock = io.StringIO(), FrozenClock()
    with Progress(written, clock, is_live=False) as progress:
        for _ in range(3):
            progress.wait_for("Waiting", clock.now() + HOUR)
        progress.say("Something happened")
        progress.wait_for("Waiting for something else")
    first, *others = written.getvalue().splitlines()
    assert first.startswith("Waiting, until ")
    assert others == ["Something happened", "Waiting for something else"]
    assert "\x1b" not in written.getvalue()


def test_a_spinner_counts_down_and_cleans_up() -> None:
    terminal, clock = DrawnTerminal(), FrozenClock()
    with Progress(terminal, clock, is_live=True) as progress:
        progress.wait_for("Waiting for Jon", clock.now() + timedelta(minutes=4, seconds=10))
        assert terminal.drawn.wait(60)
    assert "⠋ Waiting for Jon · 4m10s left" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[2K")
    assert [thread.name for thread in threading.enumerate() if thread.name == "spinner"] == []


def test_a_spinner_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    clock = FrozenClock()
    progress = Progress(io.StringIO(), clock, is_live=True)
    progress.wait_for("Waiting for a person with a very long name indeed", clock.now() + HOUR)
    assert len(progress.draw(3)) < 40
    assert progress.draw(3).endswith("… · 1h left")


def test_a_spinner_needs_no_unicode() -> None:
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    progress = Progress(ascii_only, FrozenClock(), is_live=True)
    progress.wait_for("Waiting")
    assert progress.draw(1) == "\\ Waiting"
    progress.say("für Jon")
    ascii_only.seek(0)
    assert "f?r Jon" in ascii_only.read()


def test_times_are_local_and_name_another_day() -> None:
    now = FrozenClock().now()
    assert local_time(now, now) == f"{now.astimezone():%H:%M}"
    assert local_time(now + 48 * HOUR, now) == f"{(now + 48 * HOUR).astimezone():%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("left", "shown"),
    [
        (timedelta(seconds=-1), "0s"),
        (timedelta(milliseconds=900), "0s"),
        (timedelta(seconds=250.5), "4m10s"),
        (timedelta(minutes=59, seconds=59), "59m"),
        (timedelta(minutes=61), "1h1m"),
    ],
)
def test_time_left_is_as_exact_as_a_reader_needs(left: timedelta, shown: str) -> None:
    now = FrozenClock().now()
    assert time_left(now + left, now) == shown
