"""What happened to requests and events, and where to find in AWS what was done, for those who may see it.

Invariant: nobody sees a timeline that isn't theirs to see; the reader is judged by the policy at each look.
"""

from __future__ import annotations

from core.actor import Actor
from core.break_glass import EventId
from core.clock import Clock
from core.directory import Directory
from core.policy import PolicySource
from core.request import RequestId
from core.services.activity import GrantActivity
from core.services.timeline import (
    RequestTimeline,
    Timeline,
    read_event_activity,
    read_request_timeline,
    read_timeline,
)
from core.stores.base import Stores


class TimelineQueries:
    """Reads timelines for one person. Safe for threads."""

    def __init__(self, stores: Stores, policy: PolicySource, clock: Clock, directory: Directory) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._directory = directory

    def of_event(self, event_id: EventId, person: Actor) -> Timeline:
        """The timeline of an event. Raises EventNotFound, NotAllowed, StoreError."""
        return read_timeline(self._stores, self._policy, event_id, person, self._directory, self._clock.now())

    def of_request(self, request_id: RequestId, person: Actor) -> RequestTimeline:
        """The timeline of a request. Raises RequestNotFound, NotAllowed, StoreError."""
        now = self._clock.now()
        return read_request_timeline(self._stores, self._policy, request_id, person, self._directory, now)

    def activity(self, event_id: EventId, person: Actor) -> tuple[GrantActivity, ...]:
        """Where to find what was done with the access of an event. Raises like `of_event`."""
        return read_event_activity(self._stores, self._policy, event_id, person, self._directory, self._clock.now())
