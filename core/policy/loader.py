"""Load the policy from its file: once, or again whenever the file changes.

Invariant: the policy in force is always one whole version that passed every check. A version with a mistake is refused
loudly and changes nothing; so is a file that went missing.
"""

from __future__ import annotations

import hashlib
import logging
import os
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from core.clock import Clock, SystemClock
from core.errors import InvalidPolicy, PolicyProblem
from core.policy.evaluator import Policy
from core.policy.lint import find_mistakes
from core.policy.schema_errors import line_of, validate_values
from core.policy.yaml_source import MAX_BYTES, read_values, write_path
from core.text import quoted

_LOG = logging.getLogger("countersign.policy")
_SETTLED_AFTER: Final = timedelta(seconds=2)
Signature = tuple[int, int, int]
"""What the file system says about a file: when it was written, how large it is, and which file it is."""


def parse_policy(content: bytes, source: str = "policy.yml") -> Policy:
    """Parse the policy from these bytes. Raises InvalidPolicy, with every mistake found."""
    reading = read_values(content)
    document, problems = validate_values(reading) if reading.lines else (None, ())
    problems = (*reading.problems, *problems)
    if document is not None and not problems:
        problems = tuple(
            PolicyProblem(line_of(each.path, reading.lines), write_path(each.path), each.problem, each.fix)
            for each in find_mistakes(document)
        )
    if document is None or problems:
        raise InvalidPolicy(source, tuple(sorted(problems, key=lambda each: (each.line, each.path))))
    return Policy(digest=hashlib.sha256(content).hexdigest(), document=document)


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in the file. Raises InvalidPolicy when the file cannot be read or has a mistake."""
    content, _ = _read(Path(path))
    return parse_policy(content, str(path))


class PolicyFile:
    """A policy file whose changes take effect while the bot runs. Safe for threads.

    `problem` is the InvalidPolicy that the file has now, or None; the version before it stays in force.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, clock: Clock | None = None, check_interval_seconds: float = 1.0
    ) -> None:
        """Load the file. Raises InvalidPolicy: a bot does not start on a policy with a mistake."""
        self._path = Path(path)
        self._clock = clock or SystemClock()
        self._interval = timedelta(seconds=check_interval_seconds)
        self._lock = Lock()
        self._checked_at = self._read_at = self._clock.now()
        content, self._signature = _read(self._path)
        self._refused: bytes | None = None
        self._policy = parse_policy(content, str(path))
        self.problem: InvalidPolicy | None = None

    def current(self) -> Policy:
        """The policy in force. Checks the file first, at most once per interval. Never raises."""
        # A caller doesn't wait while another one checks the file: the policy in force is right for both.
        if self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._policy

    def _look(self) -> None:
        now = self._clock.now()
        # A clock that was set back must not stop the checks until it has caught up.
        if self._checked_at <= now < self._checked_at + self._interval:
            return
        self._checked_at = now
        try:
            # A refused file is read every time: one that was moved away and back looks as if nothing had happened.
            if self.problem is None and self._is_unchanged():
                return
            content, self._signature = _read(self._path)
            self._read_at = now
        except InvalidPolicy as problem:
            self._refuse(problem, None)
            return
        if content != self._refused:
            self._take(content)

    def _is_unchanged(self) -> bool:
        signature = _sign(self._path)
        # Two writes within one tick of the file system's clock look the same. What was read when it was fresh may have
        # been the first of them, however long ago that was by now.
        written_at = timedelta(microseconds=signature[0] // 1000)
        age_when_read = timedelta(seconds=self._read_at.timestamp()) - written_at
        return signature == self._signature and age_when_read > _SETTLED_AFTER

    def _take(self, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != self._policy.digest:
            try:
                self._policy = parse_policy(content, str(self._path))
            except InvalidPolicy as problem:
                self._refuse(problem, content)
                return
            _LOG.info("policy %s is in force now, from %s", self._policy.digest[:12], self._path)
        elif self.problem is not None:
            _LOG.info("policy %s is in the file again, and stays in force", self._policy.digest[:12])
        self._refused, self.problem = None, None

    def _refuse(self, problem: InvalidPolicy, content: bytes | None) -> None:
        is_known = self.problem is not None and self.problem.problems == problem.problems
        self._refused, self.problem = content, problem
        if is_known:
            return
        _LOG.error("the policy file was refused; policy %s stays in force", self._policy.digest[:12])
        for each in problem.problems:
            _LOG.error("%s:%d: %s: %s", self._path, each.line, each.path, quoted(f"{each.problem}. {each.fix}"))


def _read(path: Path) -> tuple[bytes, Signature]:
    try:
        with path.open("rb") as file:
            # The signature is older than the bytes: a write in between shows at the next check.
            status = os.fstat(file.fileno())
            return file.read(MAX_BYTES + 1), (status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError as error:
        raise _unreadable(path, error) from error


def _sign(path: Path) -> Signature:
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return status.st_mtime_ns, status.st_size, status.st_ino


def _unreadable(path: Path, error: OSError) -> InvalidPolicy:
    reason = (error.strerror or type(error).__name__).lower()
    fix = "Create it (start from policy.example.yml), make it readable, or set COUNTERSIGN_POLICY."
    return InvalidPolicy(str(path), (PolicyProblem(1, "file", f"it cannot be read: {reason}", fix),))
