"""Replies about access that was named in words, and the form to extend it, keep Slack's limits and what was typed."""

from __future__ import annotations

from bot.views.access.choice import RevokedAccess, nothing_to_extend, person_revoked, which_access
from bot.views.break_glass.list import EventRow
from bot.views.pagination import PER_PAGE
from bot.views.request.form import BegunRequest, Offer, request_form
from core.actor import ProfileName
from localslack.block_kit import check_message_blocks, check_view
from tests.builders import HOUR, PROD, a_request, an_event
from tests.harness.clock import A_MOMENT

LONGEST = ProfileName("p" * 80)
OFFER = Offer(PROD, "Production", 4 * HOUR, 1, ("U0LEAD",))


def test_slack_takes_the_longest_list_of_choices() -> None:
    events = [an_event(profile=LONGEST, justification="x" * 1000) for _ in range(3 * PER_PAGE)]
    rows = [EventRow(each, each.expires_at, may_close=True) for each in events]
    asked = which_access("Which access are you done with?", [], rows, A_MOMENT, more="Send `/access end prod`.")

    check_message_blocks(list(asked.blocks))
    assert str(asked.blocks).count("Close…") == PER_PAGE
    assert "Send `/access end prod`." in str(asked.blocks[-1])


def test_slack_takes_the_longest_report_of_a_revoke() -> None:
    outcomes = [RevokedAccess(f"REQUEST#{number:016x}", LONGEST, "x" * 200) for number in range(50)]
    report = person_revoked("U0ANN", [RevokedAccess(outcomes[0].source, LONGEST), *outcomes])

    check_message_blocks(list(report.blocks))


def test_report_of_a_revoke_says_what_ended_and_what_did_not() -> None:
    ended, failed = RevokedAccess("REQUEST#0", "prod"), RevokedAccess("BREAKGLASS#1", "vault", "the store is down")
    report = person_revoked("U0ANN", [ended, failed]).text

    first, _, second = report.partition("Not ended")
    assert "`prod`" in first
    assert "`vault`" not in first
    assert "`vault` · `1`: the store is down" in second


def test_words_for_an_extension_can_be_sent_as_a_request() -> None:
    assert "`/access prod 2h the migration is slow`" in nothing_to_extend("prod", "2h the migration is slow").text


def test_form_to_extend_has_the_words_of_the_first_request() -> None:
    first = a_request(duration=2 * HOUR, justification="Deploy the fix for INC-12")
    form = request_form([OFFER], BegunRequest((PROD,), extended=first, until=A_MOMENT))

    check_view(form, "modal")
    _, profile, duration, words, _ = form["blocks"]
    assert profile["element"]["initial_option"]["value"] == "prod"
    assert duration["element"]["initial_option"]["value"] == "2h"
    assert words["element"]["initial_value"] == "Deploy the fix for INC-12"
    assert f"the words of your request {first.id}" in words["hint"]["text"]


def test_form_to_extend_has_what_was_typed_instead() -> None:
    first = a_request(duration=2 * HOUR, justification="Deploy the fix for INC-12")
    form = request_form([OFFER], BegunRequest((PROD,), HOUR, "It takes longer", extended=first))

    _, _, duration, words, _ = form["blocks"]
    assert duration["element"]["initial_option"]["value"] == "1h"
    assert words["element"]["initial_value"] == "It takes longer"
    assert "the words of" not in words["hint"]["text"]


def test_form_to_extend_offers_no_more_time_than_the_rule() -> None:
    first = a_request(duration=8 * HOUR)
    form = request_form([OFFER], BegunRequest((PROD,), extended=first))

    assert form["blocks"][2]["element"]["initial_option"]["value"] == "4h"
