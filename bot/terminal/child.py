"""Running a command so that it behaves as if it had been started without `countersign exec`.

Invariant: a signal reaches the command once. Ctrl-C goes to the terminal's whole foreground group, so the command gets
it from the terminal; what was sent to this process alone is passed on. The exit code is the command's own, or 128 and
the number of the signal that ended it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final

from bot.terminal.errors import TerminalError

NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
_SIGNALLED: Final = 128
_WAKE_BYTES: Final = 4096
_FROM_TERMINAL: Final = frozenset({"SIGINT", "SIGQUIT"})
_PASSED_ON: Final = ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


class CommandNotStarted(TerminalError):
    """The command can't be run. `code` is what a shell would exit with."""

    def __init__(self, problem: str, code: int) -> None:
        super().__init__(problem)
        self.code = code


def run_child(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command to its end, and return what a shell would. Raises CommandNotStarted."""
    relay = _SignalRelay()
    with relay.listening():
        process = _start(command, environment)
        relay.pass_to(process)
        code = _wait(process)
    return code if code >= 0 else _SIGNALLED - code


def _start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    name = command[0]
    try:
        # In this process's own group, so that pipes, job control and the terminal work as without it. Files that the
        # shell opened for it, such as for <(…), stay open; nothing that Python opens is inherited.
        return subprocess.Popen(command, env=dict(environment), close_fds=False)  # noqa: S603 - running it is what was asked for
    except FileNotFoundError as error:
        problem = f"{name}: its interpreter isn't there" if os.path.isfile(name) else f"{name}: command not found"  # noqa: PTH113
        raise CommandNotStarted(problem, NOT_FOUND) from error
    except NotADirectoryError as error:
        raise CommandNotStarted(f"{name}: not a directory", NOT_FOUND) from error
    except (OSError, ValueError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        raise CommandNotStarted(f"{name}: can't be executed: {why}", NOT_EXECUTABLE) from error


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Its exit code. A signal is taken at once, whenever it comes and whichever thread gets it.

    `Popen.wait` isn't enough: a signal just before its system call, or in another thread, waits there for the command.
    """
    with _woken_by_signals() as woken:
        while (code := process.poll()) is None:
            woken.recv(_WAKE_BYTES)
    return code


@contextmanager
def _woken_by_signals() -> Iterator[socket.socket]:
    """Something to read for each signal, also for the end of a child."""
    woken, waking = socket.socketpair()
    with woken, waking:
        waking.settimeout(0)
        before = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        # The command runs already, so it has what was set for SIGCHLD before. Without a handler, nothing would wake.
        handler = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield woken
        finally:
            signal.signal(signal.SIGCHLD, handler)
            signal.set_wakeup_fd(before)


class _SignalRelay:
    """Passes signals on to the command; those that come before it runs, as soon as it does."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals. One that is ignored stays so, here and in the command: `nohup` asks for that."""
        found: dict[int, Any] = {}
        try:
            for name in _PASSED_ON:
                number = getattr(signal, name)
                if signal.getsignal(number) is not signal.SIG_IGN:
                    # A handler of ours ends with exec, so the command begins with the default. SIG_IGN would stay.
                    found[number] = signal.signal(number, self._take)
            yield
        finally:
            for number, handler in found.items():
                signal.signal(number, handler)

    def pass_to(self, process: subprocess.Popen[bytes]) -> None:
        """From now on, signals go to this process."""
        self._process = process
        while self._early:
            process.send_signal(self._early.pop(0))

    def _take(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._process is None:
            self._early.append(number)
        elif not _comes_from_terminal(number, self._process.pid):
            self._process.send_signal(number)


def _comes_from_terminal(number: int, process: int) -> bool:
    """Whether the terminal sends this signal to the command, too: both are in its foreground group."""
    return signal.Signals(number).name in _FROM_TERMINAL and _is_with_us(process) and _is_in_foreground()


def _is_with_us(process: int) -> bool:
    with suppress(OSError):
        return os.getpgid(process) == os.getpgrp()
    return False


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
