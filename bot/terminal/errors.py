"""What can go wrong between a terminal and its server, each with the exit code that a script can act on.

    CountersignError
    └── TerminalError
        ├── ServerFailed       the server can't be reached, or gave no usable answer
        ├── NotPaired          this terminal has no valid token: run `countersign login`
        ├── FilesFailed        the configuration or the token can't be read or written
        └── ServerRefused      the server understood, and the answer is no; carries its problem+json

Invariant: each is one line that says what happened and what to do next. None contains a token or a device code.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Final

from bot.api.problems import Problem
from core.errors import CountersignError

LOG_IN: Final = "Run: countersign login"


class ExitCode(IntEnum):
    """How a command for people ends; documented in each command's help."""

    DONE = 0
    REFUSED = 1
    BAD_INPUT = 2
    DENIED = 3
    EXPIRED = 4
    TIMED_OUT = 5
    NO_SERVER = 6
    NOT_PAIRED = 7


class TerminalError(CountersignError):
    """Something that a command for people can't get past."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED


class ServerFailed(TerminalError):
    """The server can't be reached, or gave no usable answer. `is_outcome_unknown`: it may have acted nonetheless.

    `retry_after` is the pause in seconds that the server asked for.
    """

    exit_code = ExitCode.NO_SERVER

    def __init__(
        self, problem: str, fix: str, *, is_outcome_unknown: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{problem}. {fix}")
        self.problem = problem
        self.fix = fix
        self.is_outcome_unknown = is_outcome_unknown
        self.retry_after = retry_after


class NotPaired(TerminalError):
    """There is no token for the server, or it is no longer valid."""

    exit_code = ExitCode.NOT_PAIRED

    def __init__(self, problem: str, fix: str = LOG_IN) -> None:
        super().__init__(f"{problem}. {fix}")
        self.problem = problem


class FilesFailed(TerminalError):
    """The person's files can't be read or written, for instance because the disk is full."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}. {fix}")


class ServerRefused(TerminalError):
    """The server's answer is no. `problem` says why; `retry_after` is the pause in seconds that it asks for."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after = retry_after

    @property
    def code(self) -> str:
        """The problem's code: a `ProblemCode`, or one that only a newer server has."""
        return self.problem.code
