"""Reading Slack's JSON: what is looked for, of the type that it must have, or nothing.

Invariant: a payload of any shape at all is read without an error; what is missing or of another type is not there.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, Final

Payload = Mapping[str, Any]
"""What Slack sends, before anything in it is believed."""


def find_text(payload: object, *path: str) -> str | None:
    """The text at this path of keys, or None."""
    found = _find(payload, path)
    return found if isinstance(found, str) else None


def find_object(payload: object, *path: str) -> Payload:
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


_OBJECTS: Final = frozenset({"container", "channel", "enterprise", "event", "message", "team", "user", "view"})
_LISTS: Final = frozenset({"actions", "authorizations"})
_TEXTS: Final = frozenset(
    {
        *("action_id", "action_ts", "api_app_id", "block_id", "callback_id", "channel_id", "command", "enterprise_id"),
        *("id", "response_url", "team_id", "text", "trigger_id", "type", "user_id"),
    }
)
_WITH_TEXTS: Final = frozenset({"channel", "enterprise", "team", "user", "view"})


def has_slacks_shape(body: object) -> bool:
    """True when what Bolt takes for granted is there: objects, lists of objects and texts, where they stand at all."""
    if not isinstance(body, Mapping):
        return False
    return (
        all(isinstance(body.get(key), Mapping | None) for key in _OBJECTS)
        and all(_is_list_of_objects(body[key]) for key in _LISTS & body.keys())
        and all(
            _has_texts(part) for part in (body, *(body.get(key) for key in _WITH_TEXTS), *(body.get("actions") or ()))
        )
        and isinstance(find_object(body, "event").get("type"), str | None)
    )


def _is_list_of_objects(value: object) -> bool:
    # Bolt reads the first one of a list that is there.
    return isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)


def _has_texts(part: object) -> bool:
    # The text of an action is an object; everywhere else `text` is text.
    if not isinstance(part, Mapping):
        return part is None
    names = _TEXTS - {"text"} if "action_id" in part else _TEXTS
    return all(isinstance(part.get(name), str | None) for name in names)


def is_raised_by_bolt(error: Exception) -> bool:
    """True when Bolt itself tripped over a payload of another shape than Slack's, such as a press without a button."""
    if not isinstance(error, AttributeError | LookupError | TypeError | ValueError):
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith("slack_bolt.")
