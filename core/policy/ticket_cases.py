"""Tickets in the cases of a policy: which one a request has, and what its check says.

Invariant: nothing is asked. What a case leaves out is a ticket that is open, and the requester's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field, StrictStr

from core.actor import Actor
from core.policy.decision import RequestDecision
from core.policy.document import PolicyModel
from core.policy.evaluator import Policy
from core.tickets.base import MAX_TICKET_LENGTH, TicketAnswer, TicketFound, TicketUnchecked, TicketUnknown


class TicketState(StrEnum):
    """What a case can say about a ticket."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"


class TicketOwner(StrEnum):
    """Whose it can be."""

    REQUESTER = "requester"
    OTHER = "other"
    UNKNOWN = "unknown"


_THEIRS: Final = {TicketOwner.REQUESTER: True, TicketOwner.OTHER: False}


class CaseTicket(PolicyModel):
    """The ticket of a case."""

    name: StrictStr = Field(min_length=1, max_length=MAX_TICKET_LENGTH)
    state: TicketState = TicketState.OPEN
    whose: TicketOwner = TicketOwner.REQUESTER

    def to_found(self) -> TicketFound:
        """What the check says."""
        match self.state:
            case TicketState.UNKNOWN:
                return TicketUnknown()
            case TicketState.UNREACHABLE:
                return TicketUnchecked("the ticket system can't be reached")
        return TicketAnswer(is_open=self.state is TicketState.OPEN, is_requesters=_THEIRS.get(self.whose))


def read_ticket(value: object) -> object:
    """A name alone is a ticket."""
    return {"name": value} if isinstance(value, str) else value


def with_case_ticket(
    policy: Policy, decision: RequestDecision, ticket: CaseTicket | None, requester: Actor
) -> RequestDecision:
    """The decision about a request with this ticket."""
    config = policy.tickets.config_of(decision.rule)
    if ticket is None or config is None:
        return policy.tickets.join(decision, None, requester.id, None)
    found = ticket.to_found() if config.check is not None else None
    return policy.tickets.join(decision, ticket.name, requester.id, found)
