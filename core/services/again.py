"""Ask again for what somebody asked for before: one press, with the profile, the time and the words of then.

Invariant: nobody asks again with somebody else's words, nor for what still waits or is still open. The new request is
judged by the policy in force, like any other.
"""

from __future__ import annotations

from typing import Final

from core.actor import Actor
from core.clock import Clock
from core.errors import InvalidInput, NotAllowed
from core.policy import PolicySource
from core.request import Request, RequestId, RequestStatus
from core.services.requests import RequestService
from core.services.scheduling import find_start_mistake
from core.stores.base import Stores

_OTHERS: Final = "only {requester} can ask for this again"
_OF_SERVICE: Final = "it was the request of {service}, which asks for itself"
_NOT_ENDED: Final = "this request has not ended: it still waits, or its access is still open"


class AskAgain:
    """Submits an ended request of somebody's own anew. Safe for threads."""

    def __init__(self, stores: Stores, service: RequestService, policy: PolicySource, clock: Clock) -> None:
        self._stores = stores
        self._service = service
        self._policy = policy
        self._clock = clock

    def find(self, request_id: RequestId, person: Actor) -> Request:
        """The ended request that this person can ask for again. Raises RequestNotFound, NotAllowed, StoreError."""
        request = self._stores.requests.get(request_id)
        if request.requester not in self._policy.current().ids_of(person.id):
            raise NotAllowed("ask again", (_OTHERS.format(requester=request.requester),))
        if request.service is not None:
            raise NotAllowed("ask again", (_OF_SERVICE.format(service=request.service),), unmet=("service",))
        now = self._clock.now()
        is_waiting = request.status is RequestStatus.PENDING and not request.is_overdue(now)
        if is_waiting or request.has_time_left(now):
            raise NotAllowed("ask again", (_NOT_ENDED,), unmet=("ended",))
        return request

    def again(self, request_id: RequestId, person: Actor, key: str | None) -> Request:
        """A new request like an ended one. The same `key` gives the same request. Raises like RequestService.submit.

        Raises InvalidInput when somebody else wrote the justification: people ask in their own words.
        """
        earlier = self.find(request_id, person)
        if earlier.asked_by is not None:
            raise InvalidInput(
                "justification", "somebody else wrote why you needed it", "Say in your own words why you need it now."
            )
        key = f"again:{request_id}:{key}" if key else None
        now, starts_at = self._clock.now(), earlier.starts_at
        # A start that is still ahead is asked for again; after it, access from now on is.
        later = starts_at if starts_at is not None and find_start_mistake(starts_at, now) is None else None
        return self._service.submit(
            person, earlier.profile, earlier.duration, earlier.justification, idempotency_key=key, starts_at=later,
            ticket=earlier.ticket,
        )  # fmt: skip
