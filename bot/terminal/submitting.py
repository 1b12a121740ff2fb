"""Making a request once, even when its answer is lost.

Invariant: a call whose answer is lost is repeated with the same key, which the server knows again. The key is noted
before the call and forgotten after its answer, so that the same command, run again soon, makes no second request.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from bot.api.models import NewRequest, RequestInfo
from bot.api.problems import ProblemCode
from bot.terminal.client import ApiClient
from bot.terminal.errors import ServerFailed, ServerRefused
from bot.terminal.pacing import MAX_PAUSE_SECONDS, Backoff, PassageOfTime
from bot.terminal.private_files import read_private, remove, write_private
from core.clock import Clock, format_time, parse_time

MAX_TRIES: Final = 4
KEPT_FOR: Final = timedelta(minutes=15)
_MAX_KEPT_ERRORS: Final = (OSError, ValueError, KeyError, TypeError)


class RequestSubmitter:
    """Makes one request. `folder` is where keys without an answer are noted; None when there is no such place."""

    def __init__(self, client: ApiClient, folder: Path | None, clock: Clock, timing: PassageOfTime) -> None:
        self._client = client
        self._folder = folder
        self._clock = clock
        self._timing = timing

    def submit(self, asked: NewRequest, idempotency_key: str | None = None) -> RequestInfo:
        """Make the request. Raises ServerFailed, ServerRefused or NotPaired."""
        with self._noted(asked, idempotency_key) as key:
            return self._submit(asked, key)

    def _submit(self, asked: NewRequest, key: str) -> RequestInfo:
        backoff, is_unknown = Backoff(self._timing), False
        for tries_left in reversed(range(MAX_TRIES)):
            try:
                return self._client.submit(asked, key)
            except ServerRefused as error:
                if error.code != ProblemCode.RATE_LIMITED or not tries_left or _is_long(error.retry_after):
                    raise
                backoff.pause(error.retry_after)
            except ServerFailed as error:
                is_unknown = is_unknown or error.is_outcome_unknown
                may_help = is_unknown or error.retry_after is not None
                if not tries_left or not may_help or _is_long(error.retry_after):
                    raise _with_key(error, key) if is_unknown else error from error
                backoff.pause(error.retry_after)
        raise AssertionError("unreachable: the last try returns or raises")

    @contextmanager
    def _noted(self, asked: NewRequest, given: str | None) -> Iterator[str]:
        """The key for the call, noted for as long as it has no answer."""
        if self._folder is None or given is not None:
            yield given or _new_key()
            return
        told = json.dumps([self._client.server, asked.profile, asked.duration, asked.justification, *_start(asked)])
        note = self._folder / f"unanswered-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
        key = _read_note(note, self._clock.now()) or _new_key()
        # Without a note the request is as good; only a repeated command would make a second one.
        with suppress(OSError):
            write_private(note, json.dumps({"key": key, "at": format_time(self._clock.now())}).encode())
        try:
            yield key
        except ServerFailed as error:
            if not error.is_outcome_unknown:
                _forget(note)
            raise
        except Exception:
            _forget(note)
            raise
        _forget(note)


def _start(asked: NewRequest) -> tuple[str, ...]:
    # What has none is noted as an older version noted it.
    start = (asked.starts_at.isoformat(),) if asked.starts_at is not None else ()
    return (*start, f"ticket {asked.ticket}") if asked.ticket is not None else start


def _with_key(error: ServerFailed, key: str) -> ServerFailed:
    fix = "It isn't known whether the request was made. Run the same command again"
    return ServerFailed(
        error.problem, f"{fix} with --idempotency-key {key}: it makes no second request.", is_outcome_unknown=True
    )


def _read_note(note: Path, now: datetime) -> str | None:
    with suppress(*_MAX_KEPT_ERRORS):
        content = read_private(note)
        if content is not None:
            found = json.loads(content)
            if abs(now - parse_time(found["at"])) <= KEPT_FOR and isinstance(found["key"], str):
                return str(found["key"])
    return None


def _forget(note: Path) -> None:
    with suppress(OSError):
        remove(note)


def _is_long(retry_after: float | None) -> bool:
    return retry_after is not None and retry_after > MAX_PAUSE_SECONDS


def _new_key() -> str:
    return secrets.token_hex(16)
