"""How long a session of a permission set lasts, and so how long one can outlive a revoke.

Invariant: what isn't known is the longest that AWS allows. People are never promised a shorter time than the true one.
"""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta
from typing import Final

from core.clock import Clock
from core.targets.aws_names import MAX_SESSION
from core.targets.identity_center.instance import SsoInstance

_AWS_DEFAULT: Final = "PT1H"
_REMEMBER: Final = timedelta(hours=1)
_MAX_REMEMBERED: Final = 4000
"""More permission sets than an instance can have."""
_ISO_DURATION: Final = re.compile(
    r"P(?:(?P<days>[0-9]{1,3})D)?"
    r"(?:T(?:(?P<hours>[0-9]{1,4})H)?(?:(?P<minutes>[0-9]{1,6})M)?(?:(?P<seconds>[0-9]{1,8})(?:\.[0-9]+)?S)?)?"
)


class SessionDurations:
    """What AWS said about the sessions of permission sets. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[datetime, timedelta]] = {}

    def get(self, permission_set: str) -> timedelta:
        """How long a session lasts, as AWS said last; 12 hours if it never said."""
        with self._lock:
            return self._known.get(permission_set, (None, MAX_SESSION))[1]

    def is_due(self, permission_set: str) -> bool:
        """Whether AWS should be asked (again)."""
        with self._lock:
            known = self._known.get(permission_set)
        return known is None or self._clock.now() - known[0] >= _REMEMBER

    def set(self, permission_set: str, duration: timedelta) -> None:
        """AWS said so."""
        with self._lock:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[permission_set] = (self._clock.now(), duration)


def read_session_duration(instance: SsoInstance, permission_set: str) -> timedelta:
    """Ask AWS how long a session of the permission set lasts. Raises CallFailed."""
    answer = instance.admin.read("describe_permission_set", InstanceArn=instance.arn, PermissionSetArn=permission_set)
    found = answer.get("PermissionSet", {}).get("SessionDuration")
    return parse_session_duration(_AWS_DEFAULT if found is None else found)


def parse_session_duration(text: object) -> timedelta:
    """An ISO 8601 duration such as PT1H30M, at most 12 hours; 12 hours for anything else."""
    found = _ISO_DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None or not any(found.groups()):
        return MAX_SESSION
    return min(timedelta(**{name: int(value) for name, value in found.groupdict().items() if value}), MAX_SESSION)
