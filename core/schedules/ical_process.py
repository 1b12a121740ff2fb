"""Reads a calendar in a process of its own, so that no feed can hold up Countersign or fill its memory.

Invariant: the process ends, whatever the feed says: a rule that never finds a day would otherwise be followed until
the year 9999. It gets the feed and nothing else: no environment, so none of Countersign's secrets.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, ValidationError

from core.clock import UtcTime
from core.schedules.base import ScheduleRefused, ScheduleUnavailable, Shift

CPU_SECONDS: Final = 20
WAIT_SECONDS: Final = 60.0
MEMORY_BYTES: Final = 512 * 1024 * 1024
"""A feed of 5 MiB takes 380 MiB at most."""
OUT_OF_MEMORY: Final = 9
"""The exit code of a process that needed more."""
_ROOT: Final = Path(__file__).parents[2]
_OOM_SCORE: Final = Path("/proc/self/oom_score_adj")
_KEPT: Final = ("LD_LIBRARY_PATH", "SYSTEMROOT")
"""What Python itself may need to start."""
_LIBRARIES: Final = ("icalendar", "recurring_ical_events", "x_wr_timezone")
START: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from core.schedules.ical_process import read_from_stdin; read_from_stdin()"
)


class CalendarFormat(BaseModel):
    """How a calendar is read: which part of an event names the people, and the zone of times that have none."""

    model_config = ConfigDict(frozen=True)

    name_from: str = "summary"
    name_format: str | None = None
    timezone: str | None = None


class CalendarTask(BaseModel):
    """What to read from a feed."""

    model_config = ConfigDict(frozen=True)

    since: UtcTime
    until: UtcTime
    format: CalendarFormat = CalendarFormat()
    cpu_seconds: int = CPU_SECONDS


class CalendarReport(BaseModel):
    """What the process found, or why the feed is refused."""

    model_config = ConfigDict(frozen=True)

    title: str = ""
    shifts: tuple[Shift, ...] = ()
    problem: str | None = None
    fix: str = ""


def check_libraries() -> None:
    """Raises ScheduleRefused when the libraries for calendars aren't installed."""
    missing = [each for each in _LIBRARIES if find_spec(each) is None]
    if missing:
        fix = "Install them with `pip install 'countersign[ical]'`, and restart Countersign."
        raise ScheduleRefused("The libraries that read calendars aren't installed here", fix)


def read_apart(task: CalendarTask, feed: bytes, wait_seconds: float = WAIT_SECONDS) -> CalendarReport:
    """What the calendar says. Raises ScheduleRefused and ScheduleUnavailable."""
    check_libraries()
    # The same interpreter and the same path, and of the environment only what the interpreter needs.
    command = [sys.executable or "python3", "-I", "-S", "-c", START, *filter(None, sys.path), str(_ROOT)]
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    given = task.model_dump_json().encode() + b"\n" + feed
    try:
        # Nothing in the command comes from the feed or from people.
        done = subprocess.run(  # noqa: S603
            command,
            input=given,
            stdout=subprocess.PIPE,
            # Warnings of the libraries may quote the feed, and nobody reads them.
            stderr=subprocess.DEVNULL,
            timeout=wait_seconds,
            env=kept,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ScheduleUnavailable("The calendar takes too long to read on this machine") from None
    except OSError as error:
        raise ScheduleUnavailable(f"The calendar can't be read: no process ({type(error).__name__})") from None
    try:
        report = CalendarReport.model_validate_json(done.stdout)
    except ValidationError:
        raise _no_report(done.returncode) from None
    return _accepted(report)


def _no_report(exit_code: int) -> ScheduleRefused:
    if exit_code < 0 or exit_code == OUT_OF_MEMORY:
        fix = "Look for an event with a rule that never fits, such as one on 30 February, and remove it."
        return ScheduleRefused("The calendar takes more time or memory to read than a calendar may", fix)
    fix = "Install the libraries anew with `pip install --upgrade 'countersign[ical]'`."
    return ScheduleRefused(f"The process that reads calendars failed with exit code {exit_code}", fix)


def read_here(task: CalendarTask, feed: bytes) -> CalendarReport:
    """The same in this process, for feeds that are known to be harmless. Raises ScheduleRefused."""
    return _accepted(make_report(task, feed))


def _accepted(report: CalendarReport) -> CalendarReport:
    if report.problem is not None:
        raise ScheduleRefused(report.problem, report.fix)
    return report


def read_from_stdin() -> None:
    """What runs in the process: reads the task and the feed, and writes the report."""
    line = sys.stdin.buffer.readline()
    task = CalendarTask.model_validate_json(line)
    limit_process(task.cpu_seconds)
    try:
        report = make_report(task, sys.stdin.buffer.read())
        sys.stdout.write(report.model_dump_json())
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)


def make_report(task: CalendarTask, feed: bytes) -> CalendarReport:
    """The report on a feed."""
    # Only this process needs them, and not every installation has them.
    from core.schedules.ical_events import CalendarReading, read_calendar  # noqa: PLC0415

    wanted = task.format
    zone = ZoneInfo(wanted.timezone) if wanted.timezone is not None else None
    reading = CalendarReading(wanted.name_from, wanted.name_format, zone)
    try:
        found = read_calendar(feed, task.since, task.until, reading)
    except ScheduleRefused as error:
        return CalendarReport(problem=error.problem, fix=error.fix)
    return CalendarReport(title=found.title, shifts=found.shifts)


def limit_process(cpu_seconds: int) -> None:
    """How much this process may use from now on. Where memory is short, the system ends it first, and not the bot."""
    with suppress(OSError):
        _OOM_SCORE.write_text("1000", encoding="ascii")
    try:
        import resource  # noqa: PLC0415 - there is none on Windows, where only the waiting is limited
    except ImportError:
        return
    for kind, most in ((resource.RLIMIT_CPU, cpu_seconds), (resource.RLIMIT_AS, MEMORY_BYTES)):
        # The machine may allow less already, and that can't be raised.
        allowed = [each for each in resource.getrlimit(kind) if each != resource.RLIM_INFINITY]
        least = min([most, *allowed])
        resource.setrlimit(kind, (least, least))
