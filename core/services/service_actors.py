"""What a service may do to a record: only what it asked for itself.

Invariant: a service acts on the records that are for it, and on no other of its owner's. Its owner acts on all of them.
"""

from __future__ import annotations

from core.actor import Actor
from core.errors import NotAllowed


def refuse_other_service(actor: Actor, service: str | None, action: str) -> None:
    """Raises NotAllowed when the actor is a service, and the record is not for this service."""
    if actor.service is not None and actor.service != service:
        raise NotAllowed(action, (f"{actor.service} may only {action} what it asked for itself",), unmet=("service",))


def refuse_service(actor: Actor, action: str) -> None:
    """Raises NotAllowed when the actor is a service."""
    if actor.service is not None:
        raise NotAllowed(action, (f"{actor.service} is a service: only people may {action}",), unmet=("service",))
