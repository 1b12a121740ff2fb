"""Tickets in what people type: a word of its own is one, a word of the sentence stays there, and none is lost."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from bot.interactions.commands.access import parse_access
from bot.views.request.form import BegunRequest, RequestDraft
from core.tickets.pattern import matches

HOUR = timedelta(hours=1)
PROFILES = ("prod", "staging")
parse = partial(parse_access, profiles=PROFILES, is_ticket=partial(matches, r"INC-\d+"))


@pytest.mark.parametrize(
    ("typed", "begun"),
    [
        ("prod INC-12 2h deploy the fix", BegunRequest(("prod",), 2 * HOUR, "deploy the fix", ticket="INC-12")),
        ("INC-12 prod 2h deploy the fix", BegunRequest(("prod",), 2 * HOUR, "deploy the fix", ticket="INC-12")),
        ("prod 2h INC-12", BegunRequest(("prod",), 2 * HOUR, ticket="INC-12")),
        ("prod (INC-12) tomorrow 22:00", BegunRequest(("prod",), ticket="INC-12")),
        ("prod INC-12 deploy the fix", BegunRequest(("prod",), None, "INC-12 deploy the fix")),
        ("prod INC-12 2h INC-13 too", BegunRequest(("prod",), 2 * HOUR, "INC-13 too", ticket="INC-12")),
    ],
)
def test_ticket_is_a_word_of_its_own(typed: str, begun: BegunRequest) -> None:
    found = parse(typed)
    assert isinstance(found, BegunRequest)
    assert (found.profiles, found.duration, found.justification, found.ticket) == (
        begun.profiles,
        begun.duration,
        begun.justification,
        begun.ticket,
    )


def test_ticket_of_a_whole_line_stays_in_the_sentence() -> None:
    assert parse("prod 2h INC-12 deploy the fix") == RequestDraft(("prod",), 2 * HOUR, "INC-12 deploy the fix")


def test_word_is_no_ticket_where_no_rule_asks_for_one() -> None:
    found = parse_access("prod INC-12 2h deploy the fix", PROFILES)
    assert isinstance(found, BegunRequest)
    assert found.ticket == ""
    assert "INC-12" in f"{found.justification} {found.unread}"
