"""Typed access to Slack's JSON.

Invariant: reading never raises, whatever the payload contains; a value of another type counts as missing.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

Payload = Mapping[str, Any]
"""What Slack sends, before it is validated."""


def get_str(payload: object, *path: str) -> str | None:
    """The text at this path of keys, or None."""
    found = _find(payload, path)
    return found if isinstance(found, str) else None


def get_dict(payload: object, *path: str) -> Payload:
    """The object at this path of keys, or an empty one."""
    found = _find(payload, path)
    return found if isinstance(found, Mapping) else {}


def get_strings(payload: object, *path: str) -> frozenset[str]:
    """The texts in the list at this path of keys."""
    found = _find(payload, path)
    return frozenset(each for each in found if isinstance(each, str)) if isinstance(found, list) else frozenset()


def is_true(payload: object, *path: str) -> bool:
    """True if the value at this path of keys is true."""
    return _find(payload, path) is True


def _find(payload: object, path: tuple[str, ...]) -> object:
    for key in path:
        if not isinstance(payload, Mapping):
            return None
        payload = payload.get(key)
    return payload


def is_raised_by_bolt(error: Exception) -> bool:
    """True if Bolt itself failed on a payload that doesn't have Slack's format, such as a click without an action."""
    if not isinstance(error, AttributeError | LookupError | TypeError | ValueError):
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith("slack_bolt.")
