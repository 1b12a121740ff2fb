"""Reading Slack's JSON: what is looked for, of the type that it must have, or nothing.

Invariant: a payload of any shape at all is read without an error; what is missing or of another type is not there.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

Payload = Mapping[str, Any]
"""What Slack sends, before anything in it is believed."""


def get_str(payload: object, *path: str) -> str | None:
    """The text at this path of keys, or None."""
    found = _find(payload, path)
    return found if isinstance(found, str) else None


def get_dict(payload: object, *path: str) -> Payload:
    """The object at this path of keys; an empty one where there is none."""
    found = _find(payload, path)
    return found if isinstance(found, Mapping) else {}


def is_true(payload: object, *path: str) -> bool:
    """True when there is a true at this path of keys."""
    return _find(payload, path) is True


def _find(payload: object, path: tuple[str, ...]) -> object:
    for key in path:
        if not isinstance(payload, Mapping):
            return None
        payload = payload.get(key)
    return payload


def is_raised_by_bolt(error: Exception) -> bool:
    """True when Bolt itself tripped over a payload of another shape than Slack's, such as a press without a button."""
    if not isinstance(error, AttributeError | LookupError | TypeError | ValueError):
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith("slack_bolt.")
