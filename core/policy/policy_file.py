"""The policy file of a running bot: a change takes effect once the file is complete.

Invariant: the policy in force is always one whole version that passed every check. A version counts only after two
looks, a settle time apart, found the same bytes: a file that is still being written never comes into force, though its
first half may be a valid policy that allows more. A version with a mistake is refused loudly and changes nothing; so
is a file that went missing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from core.clock import Clock, SystemClock
from core.invalid_policy import InvalidPolicy, PolicyProblem
from core.policy.evaluator import Policy
from core.policy.loader import Signature, parse_policy, read_file, sign_file
from core.text import quoted

SETTLE_SECONDS: Final = 2.0
"""How long the file must stay the same. Programs write a file of this size within milliseconds."""
_MAX_WAITS: Final = 15
"""A bot that starts waits half a minute at most for a file that keeps changing."""
_MAX_LOGGED: Final = 50
"""How many mistakes of one version are logged; `countersign policy check` lists all of them."""
_LOG = logging.getLogger("countersign.policy")


@dataclass(frozen=True, slots=True)
class PolicyState:
    """One look at a policy file: the policy in force with its bytes, since when, and what is wrong with the file now.

    `refused` are the bytes of the refused version; None when there is none, or when the file cannot be read.
    """

    policy: Policy
    content: bytes
    in_force_since: datetime
    problem: InvalidPolicy | None = None
    refused: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What the file was found to hold, or why it can't be read, and when that was first seen."""

    content: bytes | None
    problem: InvalidPolicy | None
    seen_at: datetime


class PolicyFile:
    """A policy file whose changes take effect while the bot runs. Safe for threads."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        check_interval_seconds: float = 1.0,
        settle_seconds: float = SETTLE_SECONDS,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """Load the file; one that was just written is read again after the settle time.

        Raises InvalidPolicy: a bot does not start on a policy with a mistake.
        """
        self._path = Path(path)
        self._clock = clock or SystemClock()
        self._interval = timedelta(seconds=check_interval_seconds)
        self._settle = timedelta(seconds=settle_seconds)
        self._lock = Lock()
        content, self._signature = self._read_settled(wait)
        self._checked_at = self._read_at = now = self._clock.now()
        self._state = PolicyState(parse_policy(content, str(path)), content, now)
        self._candidate: _Candidate | None = None

    @property
    def problem(self) -> InvalidPolicy | None:
        """What is wrong with the file now, so that the version before it stays in force; None when nothing is."""
        return self._state.problem

    @property
    def state(self) -> PolicyState:
        """What the last look found. Doesn't look."""
        return self._state

    def current(self) -> Policy:
        """The policy in force. Checks the file first, at most once per interval. Never raises."""
        # A caller doesn't wait while another one checks the file: the policy in force is right for both.
        if self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._state.policy

    def _read_settled(self, wait: Callable[[float], object]) -> tuple[bytes, Signature]:
        content, signature = read_file(self._path)
        for _ in range(_MAX_WAITS):
            if self._clock.now() - _written_at(signature) >= self._settle:
                return content, signature
            wait(self._settle.total_seconds())
            before = content
            content, signature = read_file(self._path)
            if content == before:
                return content, signature
        fix = "Write it once, best under another name, and rename it into place."
        raise InvalidPolicy(str(self._path), (PolicyProblem(1, "file", "it keeps changing", fix),))

    def _look(self) -> None:
        now = self._clock.now()
        # A clock that was set back must not stop the checks until it has caught up.
        if self._checked_at <= now < self._checked_at + self._interval:
            return
        self._checked_at = now
        found = self._find(now)
        if found is None or not self._is_settled(found, now):
            return
        if found.problem is not None:
            self._refuse(found.problem, None)
        elif found.content is not None:
            self._take(found.content, now)
        self._candidate = None

    def _find(self, now: datetime) -> _Candidate | None:
        """What the file holds, unless it is as it was and nothing is wrong with it."""
        try:
            # A refused file is read every time: one that was moved away and back looks as if nothing had happened.
            if self._state.problem is None and self._candidate is None and self._is_unchanged():
                return None
            content, self._signature = read_file(self._path)
            self._read_at = now
        except InvalidPolicy as problem:
            return _Candidate(None, problem, now)
        return _Candidate(content, None, now)

    def _is_settled(self, found: _Candidate, now: datetime) -> bool:
        """True when the file has held this for the settle time, or nothing would change. Remembers a newer content."""
        state = self._state
        if found.content is not None and found.content == (state.refused if state.problem else state.content):
            return True
        seen = self._candidate
        if seen is None or seen.content != found.content or now < seen.seen_at:
            self._candidate = seen = found
        return now >= seen.seen_at + self._settle

    def _is_unchanged(self) -> bool:
        signature = sign_file(self._path)
        # Two writes within one tick of the file system's clock look the same. What was read when it was fresh may have
        # been the first of them, however long ago that was by now.
        age_when_read = timedelta(seconds=self._read_at.timestamp()) - _since_epoch(signature)
        return signature == self._signature and age_when_read > timedelta(seconds=SETTLE_SECONDS)

    def _take(self, content: bytes, now: datetime) -> None:
        state = self._state
        if content == state.refused:
            return
        if content == state.content:
            if state.problem is not None:
                _LOG.info("policy %s is in the file again, and stays in force", state.policy.digest[:12])
            self._state = PolicyState(state.policy, content, state.in_force_since)
            return
        try:
            policy = parse_policy(content, str(self._path), after=state.policy)
        except InvalidPolicy as problem:
            self._refuse(problem, content)
            return
        self._state = PolicyState(policy, content, now)
        _LOG.info("policy %s is in force now, from %s", policy.digest[:12], self._path)

    def _refuse(self, problem: InvalidPolicy, content: bytes | None) -> None:
        state = self._state
        self._state = PolicyState(state.policy, state.content, state.in_force_since, problem, content)
        if state.problem is not None and state.problem.problems == problem.problems:
            return
        _LOG.error("the policy file was refused; policy %s stays in force", state.policy.digest[:12])
        for each in problem.problems[:_MAX_LOGGED]:
            _LOG.error("%s:%d: %s: %s", self._path, each.line, each.path, quoted(f"{each.problem}. {each.fix}"))


def digest_of(content: bytes) -> str:
    """The digest that names a version of the policy: SHA-256 of the file's bytes, as hex."""
    return hashlib.sha256(content).hexdigest()


def _since_epoch(signature: Signature) -> timedelta:
    return timedelta(microseconds=signature[0] // 1000)


def _written_at(signature: Signature) -> datetime:
    return datetime.fromtimestamp(0, tz=UTC) + _since_epoch(signature)
