"""The pretend ticket system: what is open, what is closed, and what it doesn't know."""

from __future__ import annotations

import pytest

from core.access.principals import SoughtPerson
from core.tickets.base import TicketAnswer, TicketUnknown
from playground.demo_tickets import DemoTickets

MIRA = SoughtPerson("U0MIRA")


@pytest.mark.parametrize(
    ("ticket", "status"), [("INC-14", "open"), ("INC-12", "open"), ("INC-11", "done"), ("INC-1", "done")]
)
def test_newest_incidents_are_open(ticket: str, status: str) -> None:
    answer = DemoTickets().check(ticket, MIRA)
    assert isinstance(answer, TicketAnswer)
    assert (answer.status, answer.is_open, answer.is_requesters) == (status, status == "open", None)
    assert answer.title


@pytest.mark.parametrize("ticket", ["INC-0", "INC-100", "OPS-14", ""])
def test_other_tickets_are_unknown(ticket: str) -> None:
    assert DemoTickets().check(ticket, MIRA) == TicketUnknown()
