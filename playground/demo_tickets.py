"""The playground's pretend ticket system: the newest incidents are open, the older ones are closed.

Invariant: it always answers, and says the same of a ticket each time.
"""

from __future__ import annotations

import re
from typing import Final

from core.access.principals import SoughtPerson
from core.tickets.base import TicketAnswer, TicketFound, TicketUnknown

_TICKET: Final = re.compile(r"INC-([1-9]\d?)")
OLDEST_OPEN: Final = 12
"""The week before the playground begins ends with INC-11, which is done."""
_TITLES: Final = {
    9: "The database doesn't answer",
    11: "Add the missing index",
    12: "Orders are slow",
    13: "The database doesn't answer",
    14: "Payments hang",
    15: "Payments hang again",
}


class DemoTickets:
    """Knows INC-1 to INC-99. Safe for threads."""

    name: Final = "the pretend ticket system"

    def check(self, ticket: str, requester: SoughtPerson) -> TicketFound:
        """Whether it is open. It can't tell whose it is."""
        del requester
        found = _TICKET.fullmatch(ticket)
        if found is None:
            return TicketUnknown()
        number = int(found[1])
        is_open = number >= OLDEST_OPEN
        title = _TITLES.get(number, f"Incident {number}")
        return TicketAnswer(is_open=is_open, title=title, status="open" if is_open else "done")
