"""Checking a ticket: what a ticket system is asked, and what it can say.

Invariant: an answer is a value. What couldn't be said is `TicketUnchecked`, never a ticket that is open. Text of the
ticket system is one line of visible characters, of a bounded length.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from pydantic import JsonValue

from core.access.principals import SoughtPerson
from core.targets.words import one_line

MAX_TICKET_LENGTH: Final = 80
MAX_TITLE_LENGTH: Final = 200
CHECK_SECONDS: Final = 1.5
"""How long a ticket system may take for all that it is asked about one ticket: a click waits 2 seconds in all."""


@dataclass(frozen=True, slots=True)
class TicketAnswer:
    """What a ticket system says about a ticket. `is_requesters` is None where it can't tell whose it is.

    `name` is what the system calls the ticket, where that is another name than the one that was asked about.
    """

    is_open: bool
    is_requesters: bool | None = None
    title: str = ""
    status: str = ""
    name: str | None = None

    def to_details(self) -> dict[str, JsonValue]:
        """What an audit entry keeps of it."""
        said: dict[str, JsonValue] = {"is_open": self.is_open, "is_requesters": self.is_requesters}
        words = {"title": self.title, "status": self.status, "known_as": self.name}
        return said | {name: one_line(text, MAX_TITLE_LENGTH) for name, text in words.items() if text}


@dataclass(frozen=True, slots=True)
class TicketUnknown:
    """The ticket system says that there is no such ticket, or none that Countersign may see."""


@dataclass(frozen=True, slots=True)
class TicketUnchecked:
    """The ticket system couldn't say now: it is slow, away, or refuses Countersign. `problem` names no secret.

    `retry_after` is how long it asks not to be asked again.
    """

    problem: str
    retry_after: timedelta | None = None


TicketFound = TicketAnswer | TicketUnknown | TicketUnchecked
"""What a check can come to."""


class TicketChecker(Protocol):
    """Asks one ticket system. Safe for threads."""

    @property
    def name(self) -> str:
        """What people call it, such as `Jira (example.atlassian.net)`."""
        ...

    def check(self, ticket: str, requester: SoughtPerson) -> TicketFound:
        """What the system says. Ends within `CHECK_SECONDS`. Never raises.

        `requester.mapped` is the policy's word for them there: an account, or an e-mail address.
        """
        ...
