"""What the page shows of the pretend AWS's trail: who called what with which session, as CloudTrail would record it.

Invariant: the newest calls only, and of each no more than CloudTrail itself shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.clock import format_time
from localslack.records import Json
from playground.pretend_aws import TrailEvent

MAX_SHOWN: Final = 6


def show_trail(events: Sequence[TrailEvent]) -> list[Json]:
    """The newest calls, the newest first."""
    return [_show(event) for event in reversed(events[-MAX_SHOWN:])]


def _show(event: TrailEvent) -> Json:
    role = str(event.request.get("RoleArn", event.user_arn)).split("/")[1]
    return {
        "at": format_time(event.event_time),
        "name": event.event_name,
        "role": role,
        "session": event.request.get("RoleSessionName") or event.role_session_name,
        "source_identity": event.source_identity,
        "error": event.error_code,
    }
