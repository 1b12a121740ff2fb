"""The playground's terminals: each person's `countersign` commands, really run, one at a time.

Invariant: a command runs in its person's own home, in an environment that holds nothing of this machine's user: no
credentials, no configuration, no keyring. It is ended with the playground, after MAX_SECONDS, or by Ctrl-C.
"""

from __future__ import annotations

import codecs
import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from localslack.journal import Journal
from localslack.records import Json
from localslack.refusals import NotOnScreen
from playground.people import PEOPLE
from playground.terminal_line import MAX_LINE, read_line
from playground.terminal_programs import PACKAGES

MAX_OUTPUT: Final = 32_000
"""Characters of one command that are shown."""
MAX_RUNS: Final = 30
"""Commands of one person that are shown."""
MAX_SECONDS: Final = 900.0
_CANT_RUN: Final = 126
_NOT_FOUND: Final = 127
_PATIENCE_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.2
_READ_BYTES: Final = 8192
_CONTROLS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_PEOPLE: Final = frozenset(each.person.id for each in PEOPLE)


class _TerminalRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    person: str


class RunLine(_TerminalRequest):
    """Run what somebody typed."""

    do: Literal["run"]
    line: Annotated[str, Field(min_length=1, max_length=MAX_LINE)]
    columns: Annotated[int, Field(ge=20, le=400)] = 80


class PressCtrlC(_TerminalRequest):
    """Interrupt what runs; a second time, end it."""

    do: Literal["interrupt"]


TerminalRequest: TypeAlias = Annotated[RunLine | PressCtrlC, Field(discriminator="do")]
_REQUEST: TypeAdapter[TerminalRequest] = TypeAdapter(TerminalRequest)


@dataclass(slots=True)
class TerminalRun:
    """One command. `code` is None while it runs."""

    number: int
    line: str
    text: str = ""
    code: int | None = None
    is_interrupted: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    thread: threading.Thread | None = field(default=None, repr=False)

    def show(self) -> Json:
        """The command as the page shows it."""
        return {"number": self.number, "line": self.line, "text": self.text, "code": self.code}


class Terminals:
    """The terminals of all people. Safe for threads."""

    def __init__(self, homes: Path, programs: Path, journal: Journal) -> None:
        """`homes` gets a home for each person; `programs` holds all that can be run by its name."""
        # A command runs in its home, where a path relative to this process's folder leads nowhere.
        self._homes = homes.absolute()
        self._programs = programs.absolute()
        self._journal = journal
        self._environment: dict[str, str] = {}
        self._runs: dict[str, list[TerminalRun]] = {}
        self._number = 0
        self._is_closed = False

    def use(self, environment: Mapping[str, str]) -> None:
        """Give every later command these variables: where the API is, and the pretend AWS."""
        self._environment = dict(environment)

    def carry_out(self, body: object) -> Json:
        """Do what the page asks. Raises NotOnScreen, and pydantic's ValidationError."""
        asked = _REQUEST.validate_python(body)
        if asked.person not in _PEOPLE:
            raise NotOnScreen("There is nobody with this id.")
        if isinstance(asked, RunLine):
            return self._run(asked)
        return self._interrupt(asked.person)

    def show(self) -> Json:
        """Every terminal, as the page shows it. Hold the journal's lock."""
        return {person: [run.show() for run in runs] for person, runs in self._runs.items()}

    def stop(self) -> None:
        """End every command, and wait until it has ended. Idempotent."""
        with self._journal.lock:
            self._is_closed = True
            running = [run for runs in self._runs.values() for run in runs if run.code is None]
        for run in running:
            _kill(run, signal.SIGKILL)
        for run in running:
            if run.thread is not None:
                run.thread.join()

    def _run(self, asked: RunLine) -> Json:
        person, line = asked.person, asked.line.strip()
        with self._journal.lock:
            runs = self._runs.setdefault(person, [])
            if self._is_closed or any(run.code is None for run in runs):
                raise NotOnScreen("A command is still running. Press Ctrl-C to stop it.")
            self._number += 1
            run = TerminalRun(self._number, line)
            runs.append(run)
            del runs[:-MAX_RUNS]
            try:
                run.process = self._start(person, read_line(line), asked.columns)
            except NotOnScreen as refused:
                run.text, run.code = f"{refused}\n", _NOT_FOUND
            except OSError as error:
                run.text, run.code = f"countersign can't be started: {error.strerror}.\n", _CANT_RUN
            self._publish(person, run.show())
            if run.process is not None:
                run.thread = threading.Thread(target=self._follow, args=(person, run), name="terminal", daemon=True)
                run.thread.start()
        return {"number": run.number}

    def _interrupt(self, person: str) -> Json:
        with self._journal.lock:
            run = next((run for run in self._runs.get(person, []) if run.code is None), None)
            if run is None:
                return {}
            _kill(run, signal.SIGKILL if run.is_interrupted else signal.SIGINT)
            run.is_interrupted = True
        return {"number": run.number}

    def _start(self, person: str, arguments: list[str], columns: int) -> subprocess.Popen[bytes]:
        if os.name != "posix":
            raise NotOnScreen("The terminal needs Linux or macOS.")
        home = self._homes / person.lower()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return subprocess.Popen(  # noqa: S603 - of the commands that read_line knows
            [str(self._programs / "countersign"), *arguments, *_name_of(arguments, home)],
            cwd=home,
            env={**self._environment_in(home), "COLUMNS": str(columns)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _environment_in(self, home: Path) -> dict[str, str]:
        return {
            "HOME": str(home),
            # Only these two programs are there: exec finds nothing else by a name.
            "PATH": str(self._programs),
            "PYTHONPATH": str(PACKAGES),
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            # A token of the playground must not get into the keyring of the person who runs it.
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "AWS_EC2_METADATA_DISABLED": "true",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            **self._environment,
        }

    def _follow(self, person: str, run: TerminalRun) -> None:
        process = run.process
        if process is None or process.stdout is None:
            raise TypeError("the command was not started")
        code, ends_at = 1, time.monotonic() + MAX_SECONDS
        try:
            _read_all(process, lambda text: self._add(person, run, text), ends_at)
        finally:
            with self._journal.lock:
                # Whatever it left behind ends with it.
                _kill(run, signal.SIGKILL)
                code = process.wait()
                run.code = code if code >= 0 else 128 - code
                self._publish(person, {"number": run.number, "code": run.code})
            process.stdout.close()

    def _add(self, person: str, run: TerminalRun, text: str) -> None:
        with self._journal.lock:
            left = MAX_OUTPUT - len(run.text)
            if not text or left <= 0:
                return
            added = text if len(text) < left else f"{text[:left]}\n… The rest isn't shown.\n"
            run.text += added
            self._publish(person, {"number": run.number, "text": added})

    def _publish(self, person: str, change: Json) -> None:
        self._journal.publish("terminal", {"person": person, "run": change})


def _name_of(arguments: list[str], home: Path) -> list[str]:
    # Slack shows a machine by its name: each person has one of their own here.
    is_named = any(each in {"--name", "--help"} or each.startswith("--name=") for each in arguments)
    return [] if arguments[0] != "login" or is_named else ["--name", f"{home.name.removeprefix('u0')}-laptop"]


def _read_all(process: subprocess.Popen[bytes], add: Callable[[str], None], ends_at: float) -> None:
    """Hand on what the command writes, until it has ended or its time is over."""
    if process.stdout is None:
        return
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < ends_at:
            has_ended = process.poll() is not None
            if selector.select(_LOOK_SECONDS):
                read = os.read(process.stdout.fileno(), _READ_BYTES)
                if not read:
                    break
                add(_CONTROLS.sub("", decoder.decode(read)))
            elif has_ended:
                # Something that it started keeps the output open.
                break
        else:
            add("\nStopped: a command of the playground runs for 15 minutes at most.\n")
            return
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_SECONDS)


def _kill(run: TerminalRun, number: int) -> None:
    if run.process is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(run.process.pid, number)
