"""The ticket of a request: on its card, in the forms that show it, and in the form that asks for it."""

from __future__ import annotations

import json

import pytest

from bot.views.block_kit import Block
from bot.views.request.card import request_card
from bot.views.request.decision_forms import approve_form
from bot.views.request.form import (
    BegunRequest,
    Offer,
    fields_of,
    read_begun_form,
    read_request_form,
    request_form,
)
from bot.views.request.ticket import TICKET
from core.actor import ProfileName
from core.policy.decision import ApprovalNeeds
from core.request import Request
from localslack.block_kit import check_message_blocks, check_view
from tests.builders import APPROVER, HOUR, a_request
from tests.harness.clock import A_MOMENT

URL = "https://example.atlassian.net/browse/INC-12"
AWAY = "Jira (example.atlassian.net) gave no answer (TimeoutError) <!channel>"


def ticketed(problem: str | None = None, ticket: str = "INC-12") -> Request:
    return a_request().replace(ticket=ticket, ticket_problem=problem)


def shown(request: Request, url: str | None = URL) -> str:
    card = request_card(request, A_MOMENT, ticket_url=url)
    check_message_blocks(list(card.blocks))
    return json.dumps(card.blocks)


def an_offer(name: str, ticket: str | None = None) -> Offer:
    return Offer(ProfileName(name), "", 4 * HOUR, 1, (), ticket=ticket)


def block_of(view: Block, name: str) -> Block | None:
    check_view(view, "modal")
    return next((each for each in view["blocks"] if each.get("block_id") == name), None)


def box_of(view: Block, name: str = TICKET) -> Block:
    found = block_of(view, name)
    assert found is not None
    element: Block = found["element"]
    return element


def test_card_links_to_the_ticket() -> None:
    assert f"Ticket: <{URL}|INC-12>" in shown(ticketed())
    assert "Ticket: `INC-12`" in shown(ticketed(), None)
    assert "Ticket:" not in shown(a_request())


@pytest.mark.parametrize("url", ["http://example.com/INC-12", "https://example.com/|x", "https://example.com/<x>"])
def test_card_links_to_https_only(url: str) -> None:
    assert "Ticket: `INC-12`" in shown(ticketed(), url)


def test_card_warns_of_a_ticket_that_was_not_checked() -> None:
    pending = shown(ticketed(AWAY))
    assert ":warning: *This ticket couldn't be checked*: Jira (example.atlassian.net)" in pending
    assert "Look at it before you approve." in pending
    assert "<!channel>" not in pending
    assert "before you approve" not in shown(ticketed(AWAY).approve(APPROVER, A_MOMENT))


def test_card_takes_the_longest_ticket() -> None:
    assert "9" * 80 in shown(ticketed("x" * 200, "9" * 80))


def test_form_to_approve_shows_the_ticket() -> None:
    form = approve_form(ticketed(AWAY), ApprovalNeeds(confirm=True))
    assert "Ticket: `INC-12`" in json.dumps(form)
    assert "couldn't be checked" in json.dumps(form)


def test_form_asks_for_a_ticket_where_a_chosen_profile_needs_one() -> None:
    offers = [an_offer("prod", "INC-123"), an_offer("db", "CHG-1"), an_offer("free")]
    assert block_of(request_form(offers), TICKET) is None
    assert block_of(request_form(offers, BegunRequest(("free",))), TICKET) is None
    asked = request_form(offers, BegunRequest(("free", "prod")))
    assert box_of(asked)["placeholder"]["text"] == "INC-123"
    assert block_of(request_form(offers[:1]), TICKET) is not None


def test_typed_ticket_is_in_the_form_whatever_it_asks() -> None:
    offers = [an_offer("prod", "INC-123"), an_offer("free")]
    typed = BegunRequest(("prod",), None, "fix it", ticket="INC-12")
    assert box_of(request_form(offers, typed))["initial_value"] == "INC-12"
    free = request_form(offers, BegunRequest(("free",), None, "fix it", ticket="INC-12"))
    assert block_of(free, TICKET) is None
    assert box_of(free, "justification")["initial_value"] == "INC-12 fix it"
    redrawn = request_form(offers, BegunRequest(("free",), None, "fix it", ticket="INC-12", is_redrawn=True))
    assert box_of(redrawn)["initial_value"] == "INC-12"


def test_extending_has_the_ticket_of_before() -> None:
    begun = BegunRequest(("prod",), extended=ticketed())
    assert box_of(request_form([an_offer("prod", "INC-123")], begun))["initial_value"] == "INC-12"


def test_ticket_is_read_back() -> None:
    state = {
        "profile": {"request:profile": {"selected_options": [{"value": "prod"}]}},
        "duration": {"answer": {"selected_option": {"value": "1h"}}},
        "justification": {"answer": {"value": "Deploy the fix"}},
        TICKET: {"answer": {"value": "INC-12"}},
    }
    view = {"state": {"values": state}}
    assert read_request_form(state).ticket == "INC-12"
    assert read_begun_form(view).ticket == "INC-12"
    assert TICKET in fields_of(view)
    del state[TICKET]
    assert read_request_form(state).ticket is None
    assert TICKET not in fields_of(view)
