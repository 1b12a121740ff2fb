"""The card, forms, lists, notices and timeline of an event: true to the record, within Slack's limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.views.block_kit import MAX_UPDATE_TEXT, Message
from bot.views.break_glass.card import CLOSE, REVIEW, TIMELINE, break_glass_card
from bot.views.break_glass.follow_up_forms import close_form, read_close_form, read_review_form, review_form
from bot.views.break_glass.list import (
    BreakGlassListKind,
    EventRow,
    event_list_page,
)
from bot.views.break_glass.notices import (
    ended,
    ended_for_invoker,
    escalated,
    is_it_over,
    refused,
    review_for_invoker,
    review_overdue,
    reviewed,
)
from bot.views.break_glass.replies import NOT_DECLARED_YET, closed, declared, review_recorded, without_store
from bot.views.help import ALL_ABILITIES, break_glass_help
from bot.views.links import NO_PLACE, CardPlace
from bot.views.pagination import MAX_PAGES, PER_PAGE, read_page_button
from bot.views.replies import explain, explain_in_field, reply
from bot.views.timeline import MAX_LINES, timeline
from core.actor import ProfileName
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, AuditEntry, EntryDraft, seal
from core.break_glass import JUSTIFICATION_LENGTH, REASON_LENGTH, BreakGlassEvent, EventId
from core.errors import (
    BrokenChain,
    CodeRefused,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    NotAllowed,
    StoreUnavailable,
)
from core.policy.lint import MAX_MENTIONS
from core.request import Request
from core.review import LINK_LENGTH, NOTES_LENGTH, Verdict
from core.services.timeline import Timeline
from core.stores.messages import MessageRef
from core.usage import LIVE_EVENT
from localslack.block_kit import check_message_blocks, check_view
from tests.bot.views.test_request_card import SPITEFUL, formatted, pressable
from tests.builders import APPROVER, HOUR, INVOKER, REVIEWER, a_draft, a_refusal, a_request, an_event
from tests.harness.clock import A_MOMENT


def at_most(bounds: tuple[int, int]) -> str:
    return (SPITEFUL * 60)[: bounds[1] - 1] + "."


PLACE = CardPlace("C0ACCESS1", "https://acme.slack.com/archives/C0ACCESS1/p1768450800000100")


def live() -> BreakGlassEvent:
    return an_event(
        profile=ProfileName("p" * 80),
        justification=at_most(JUSTIFICATION_LENGTH),
        rule="r" * 80,
        mfa_method="totp",
        instead_of="f" * 16,
    )


def shut() -> BreakGlassEvent:
    return live().close(APPROVER, A_MOMENT + HOUR / 2, at_most(REASON_LENGTH))


def answered(event: BreakGlassEvent) -> BreakGlassEvent:
    notes, link = at_most(NOTES_LENGTH), at_most(LINK_LENGTH)
    return event.add_review(REVIEWER, A_MOMENT + HOUR, Verdict.PARTLY_JUSTIFIED, notes, link)


STATES: dict[str, Callable[[], BreakGlassEvent]] = {
    "active": live,
    "closed": shut,
    "expired": lambda: live().expire(A_MOMENT + HOUR),
    "closed and reviewed": lambda: answered(shut()),
    "expired and reviewed": lambda: answered(live().expire(A_MOMENT + HOUR)),
}
MENTIONS = ", ".join(f"<!subteam^S{'0' * 29}{number:02d}>" for number in range(MAX_MENTIONS))
DUE = A_MOMENT + timedelta(days=3)


def card(event: BreakGlassEvent) -> Message:
    return break_glass_card(event, A_MOMENT, MENTIONS, DUE)


@pytest.mark.parametrize("state", STATES)
def test_card_of_every_state_is_valid_at_the_longest_inputs(state: str) -> None:
    shown = card(STATES[state]())
    check_message_blocks(list(shown.blocks))
    assert len(shown.text) <= MAX_UPDATE_TEXT


@pytest.mark.parametrize("state", STATES)
def test_typed_text_mentions_nobody_and_formats_nothing(state: str) -> None:
    told = formatted(card(STATES[state]()))
    assert "<!channel>" not in told
    assert "evil.example" not in told


@pytest.mark.parametrize("state", STATES)
def test_card_offers_what_can_still_be_done(state: str) -> None:
    expected = {"active": [CLOSE, TIMELINE], "closed": [REVIEW, TIMELINE], "expired": [REVIEW, TIMELINE]}
    assert pressable(card(STATES[state]())) == expected.get(state, [TIMELINE])


def test_active_card_counts_down_and_mentions_approvers() -> None:
    event = live()
    told = formatted(card(event))
    assert MENTIONS in told
    assert f"<!date^{int(event.expires_at.timestamp())}^{{ago}}|" in told
    assert MENTIONS not in formatted(card(shut())), "nobody is called again when it is over"


def test_card_past_its_end_shows_it_before_it_is_recorded() -> None:
    event = live()
    shown = break_glass_card(event, event.expires_at)
    assert pressable(shown) == [REVIEW, TIMELINE]
    assert "Expired" in formatted(shown)


def test_buttons_carry_the_id_and_nothing_else() -> None:
    event = live()
    (row,) = (block for block in card(event).blocks if block["type"] == "actions")
    assert {element["value"] for element in row["elements"]} == {event.id}


def refusals() -> list[AuditEntry]:
    details: list[dict[str, object]] = [
        {"limit": "cooldown", "value": "30m", "ends_at": "2026-01-15T04:53:45.120000Z", "times": 7},
        {"limit": LIVE_EVENT, "value": "abc", "ends_at": "2026-01-15T04:53:45.120000Z"},
        {"unmet": [f"{APPROVER} is not among the users: S0ONCALL"]},
        {"unmet": [at_most((1, 3000)), "x"]},
        {"limit": SPITEFUL, "value": SPITEFUL, "ends_at": "soon"},
        {"why": "the code is wrong; 3 more may be wrong"},
        {"status": "approved", "wanted": "cancelled"},
        {},
        {"unmet": ["U0SAM is not enrolled for MFA; ask an operator to run `countersign mfa enrol`"]},
    ]
    drafts = [a_refusal(AuditAction.INVOKE_REFUSED, details=each) for each in details]  # type: ignore[arg-type]
    return [_sealed(draft.model_copy(update={"profile": ProfileName("p" * 80)})) for draft in drafts]


def _sealed(draft: EntryDraft, number: int = 1) -> AuditEntry:
    at = A_MOMENT + number * timedelta(seconds=1)
    return seal(draft, AuditKeyring(), chain=f"BREAKGLASS#{'0' * 16}", seq=number, previous="", at=at)


MESSAGES: dict[str, Callable[[], Message]] = {
    "closed, in the thread": lambda: ended(shut()),
    "expired, in the thread": lambda: ended(live().expire(A_MOMENT + HOUR)),
    "reviewed, in the thread": lambda: reviewed(answered(shut())),
    "is it over": lambda: is_it_over(live()),
    "closed, to the invoker": lambda: ended_for_invoker(shut(), PLACE),
    "expired, to the invoker": lambda: ended_for_invoker(live().expire(A_MOMENT + HOUR), NO_PLACE),
    "reviewed, to the invoker": lambda: review_for_invoker(answered(shut()), PLACE),
    "overdue": lambda: review_overdue(shut(), MENTIONS, DUE),
    "escalated": lambda: escalated(live(), PLACE),
    **{f"refused {number}": lambda number=number: refused(refusals()[number]) for number in range(9)},  # type: ignore[misc]
    "declared": lambda: declared(live()),
    "declared, and over by now": lambda: declared(shut()),
    "closed": lambda: closed(shut()),
    "review recorded": lambda: review_recorded(answered(shut())),
    "without a store": lambda: without_store(StoreUnavailable("x"), (SPITEFUL * 4,)),
    "nobody knows": lambda: without_store(StoreUnavailable("x", is_outcome_unknown=True), ()),
    "not yet": lambda: reply(NOT_DECLARED_YET),
    "help": lambda: break_glass_help(ALL_ABILITIES),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_message_at_the_longest_inputs_is_valid_and_unformatted(name: str) -> None:
    message = MESSAGES[name]()
    check_message_blocks(list(message.blocks))
    assert len(message.text) <= MAX_UPDATE_TEXT
    assert "<!channel>" not in formatted(message)
    assert "evil.example" not in formatted(message)


def test_store_outage_never_reports_access() -> None:
    for error in (BrokenChain("x"), StoreUnavailable("x")):
        assert "No access was given" in without_store(error, ("Call the duty manager",)).text
    unknown = without_store(StoreUnavailable("x", is_outcome_unknown=True), ()).text
    assert "Don't count on access" in unknown
    assert "nothing was recorded" not in unknown
    assert "until" not in declared(shut()).text


def test_refusal_says_which_limit_its_value_and_until_when() -> None:
    (context,) = [block for block in refused(refusals()[0]).blocks if "cooldown" in str(block)]
    until = int((A_MOMENT + HOUR).timestamp())
    assert context["elements"][0]["text"] == "limit reached: cooldown (30m)"
    assert context["elements"][1]["text"].startswith(f"until <!date^{until}^")
    assert "7 times" in refused(refusals()[0]).text
    live = str(refused(refusals()[1]).blocks)
    assert "they already have this access through break-glass event abc" in live
    assert f"until <!date^{until}^" in live


def test_refusal_shows_the_persons_name_and_mentions_nobody_else() -> None:
    told = str(refused(refusals()[2]).blocks)
    assert "they are not among the users: S0ONCALL" in told
    assert "subteam" not in told


def test_refusal_and_form_field_show_no_backticks_of_a_sentence() -> None:
    reason = "U0SAM is not enrolled for MFA; ask an operator to run `countersign mfa enrol`"
    (context,) = [block for block in refused(refusals()[8]).blocks if "enrolled" in str(block)]
    assert context["elements"][0]["text"] == reason.replace("`", "")
    assert explain_in_field(NotAllowed("break glass", (reason,))) == f"{reason}.".replace("`", "")
    assert "`countersign mfa enrol`" in explain(NotAllowed("break glass", (reason,)), A_MOMENT).text


# Forms


def test_slack_takes_the_forms_and_they_are_read_back() -> None:
    event_id = EventId("0123456789abcdef")
    for form in (close_form(live()), review_form(shut()), review_form(answered(shut()))):
        check_view(form, "modal")
        for said in (f"<@{live().invoker}>", live().profile, f"Why: {live().justification}"):
            assert said in json.dumps(form, ensure_ascii=False)
    assert f"Closed: {shut().closed_reason}" in json.dumps(review_form(shut()), ensure_ascii=False)
    view = {"private_metadata": event_id, "state": {"values": {"reason": {"answer": {"value": "it is up"}}}}}
    assert read_close_form(view) == (event_id, "it is up")
    values = {
        "verdict": {"answer": {"selected_option": {"value": "justified"}}},
        "notes": {"answer": {"value": "all well done"}},
        "follow-up link": {"answer": {"value": None}},
    }
    read_id, found = read_review_form({"private_metadata": event_id, "state": {"values": values}})
    assert (read_id, found.verdict, found.notes, found.follow_up) == (
        event_id,
        Verdict.JUSTIFIED,
        "all well done",
        None,
    )


@pytest.mark.parametrize("view", [{}, {"private_metadata": 7}, {"private_metadata": "x", "state": {"values": None}}])
def test_foreign_form_is_reported(view: dict[str, object]) -> None:
    for read in (read_close_form, read_review_form):
        with pytest.raises(InvalidInput):
            read(view)


# Lists


@pytest.mark.parametrize("kind", BreakGlassListKind)
@pytest.mark.parametrize("count", [0, 1, PER_PAGE])
def test_slack_takes_every_list_at_the_longest_inputs(kind: BreakGlassListKind, count: int) -> None:
    make = live if kind is BreakGlassListKind.ACTIVE else shut
    rows = [EventRow(make(), DUE, may_close=True, may_review=True) for _ in range(count)]
    rows = [
        EventRow(row.event.replace(id=f"{number:016x}"), row.review_due, may_close=True, may_review=True)
        for number, row in enumerate(rows)
    ]
    page = event_list_page(kind, rows, page=2, has_more=True, now=A_MOMENT)
    check_message_blocks(list(page.blocks))


def test_list_offers_what_its_reader_may_do_and_what_is_overdue() -> None:
    row = EventRow(shut(), DUE, may_review=True)
    waiting = event_list_page(BreakGlassListKind.REVIEWS, [row], page=1, has_more=False, now=DUE - HOUR)
    assert pressable(waiting) == [REVIEW, TIMELINE]
    assert "overdue" not in formatted(waiting)
    late = event_list_page(BreakGlassListKind.REVIEWS, [EventRow(shut(), DUE)], page=1, has_more=False, now=DUE)
    assert pressable(late) == [TIMELINE]
    assert "overdue" in formatted(late)


def test_no_button_leads_beyond_the_last_page_that_can_be_read() -> None:
    def leads_on(page: int) -> bool:
        return "More" in str(event_list_page(BreakGlassListKind.ACTIVE, [], page=page, has_more=True, now=A_MOMENT))

    assert leads_on(MAX_PAGES - 1)
    assert read_page_button(BreakGlassListKind, f"active:{MAX_PAGES}", "Look again.")
    assert not leads_on(MAX_PAGES)


def test_page_button_leads_to_the_page_it_names() -> None:
    assert read_page_button(BreakGlassListKind, "reviews:2", "Look again.") == (BreakGlassListKind.REVIEWS, 2)
    for value in (None, "", "reviews", "reviews:0", "reviews:101", "mine:1", "active:x"):
        with pytest.raises(InvalidInput):
            read_page_button(BreakGlassListKind, value, "Look again.")


# The timeline


def a_timeline(count: int, requests: tuple[Request, ...] = ()) -> Timeline:
    event = live().replace(id="0" * 16)
    entries = [_sealed(a_draft(AuditAction.REVIEW_REMINDED, actor=INVOKER), number) for number in range(2, count)]
    first = _sealed(a_draft(AuditAction.BREAK_GLASS_INVOKED, actor=INVOKER, details={"is_escalated": True}))
    places = {
        "card": MessageRef(channel="C0ACCESS1", ts=f"{A_MOMENT.timestamp():.6f}"),
        "dm:3:U0INVOKER": MessageRef(channel="D0X", ts=f"{A_MOMENT.timestamp() + 3:.6f}"),
        "odd": MessageRef(channel="C0ACCESS1", ts="no time"),
    }
    return Timeline(event, (first, *entries), requests, places)


@pytest.mark.parametrize("count", [1, 20, MAX_LINES, 500])
def test_timeline_of_any_length_is_valid_and_says_what_it_omits(count: int) -> None:
    message = timeline(a_timeline(count, (a_request(),)))
    check_message_blocks(list(message.blocks))
    assert ("aren't shown" in formatted(message)) == (count + 1 > MAX_LINES)


def test_timeline_has_the_declaration_and_the_notifications() -> None:
    read = a_timeline(3)
    told = formatted(timeline(read))
    assert told.index("broke the glass") < told.index("reviewers were reminded")
    assert "card posted in <#C0ACCESS1>" in told
    assert "direct message sent to <@U0INVOKER>" in told


def test_card_and_timeline_promise_no_trace_in_cloudtrail() -> None:
    """No AWS session carries an id of ours: a query for one would find nothing, and look like nothing was done."""
    for event in (live(), shut(), answered(shut())):
        shown = formatted(break_glass_card(event, A_MOMENT, "", DUE)) + formatted(timeline(a_timeline(3)))
        assert event.request_id not in shown
        assert a_timeline(3).event.request_id not in shown
        assert "cloudtrail" not in shown.lower()


# Answers to what went wrong


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CodeRefused("wrong", 3), "Wrong code; 3 attempts left."),
        (CodeRefused("wrong", 1), "Wrong code; 1 attempt left."),
        (CodeRefused("used", 5), "This code was already used."),
        (LimitReached("cooldown", "30m", DUE), "This profile is in its cooldown (30m). You can try again after"),
        (LimitReached("wrong codes", "5 in 15m", DUE), "Too many wrong codes (5 in 15m). You can try again after"),
        (LimitReached("live event", "0" * 16, DUE), "You already have this access through break-glass event"),
    ],
)
def test_refusal_says_what_is_in_the_way_in_and_out_of_a_field(error: CodeRefused | LimitReached, told: str) -> None:
    assert told in explain_in_field(error)
    assert told in explain(error, A_MOMENT).text
    assert "Nothing was changed." in explain(error, A_MOMENT).text


def test_early_review_is_refused_in_words() -> None:
    with pytest.raises(InvalidStateTransition) as refusal:
        live().add_review(REVIEWER, A_MOMENT, Verdict.JUSTIFIED, "too early to say")
    assert "it's active, and it has not ended" in explain(refusal.value, A_MOMENT).text
