"""Slack: cards, lists, Home, notices in threads and direct messages, posts in the security channel, the timeline.

Invariant: each function of the views that makes a message is called here, in every state that reads differently.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.home import cut_home
from bot.interactions.list_pages import HomeList
from bot.interactions.request_queries import RequestQueries
from bot.slack.membership import GUEST
from bot.views.break_glass import notices as break_glass_notices
from bot.views.break_glass.card import break_glass_card
from bot.views.break_glass.list import BreakGlassListKind, EventRow, event_list_page
from bot.views.directory_notices import user_group_changed
from bot.views.home import HomeOutcome, HomePage, HomeRow, HomeSection, home_notice, home_tab, not_let_in
from bot.views.home_state import HomeFilter, HomeState, SectionKey, read_home_state, read_show_button
from bot.views.inputs import ANSWER
from bot.views.links import linked, linked_view, with_link
from bot.views.mentions import mention_all, mention_deciders
from bot.views.mfa_notices import mfa_changed, your_mfa_changed
from bot.views.pagination import ListPlace, in_list, read_list_place
from bot.views.paging import with_page
from bot.views.policy_notices import policy_in_force, policy_refused
from bot.views.preferences import KINDS, notify_form, notify_saved, read_notify_form
from bot.views.replies import notice, reply
from bot.views.report.monthly import monthly_summary
from bot.views.request import notices as request_notices
from bot.views.request.card import request_card
from bot.views.request.decision_forms import deny_form
from bot.views.request.list import ListKind, RequestRow, list_page, list_row
from bot.views.request.waiting import WaitingTerms
from bot.views.seal_notices import seal_broken, store_restored
from bot.views.timeline import timeline
from core.actor import CLOCK, OPERATOR, SLACK
from core.audit.trail import AuditAction
from core.break_glass import EventStatus
from core.directory import FixedDirectory
from core.duty import Duty, on_call_name
from core.pagers.base import PageAcknowledgement
from core.pagers.page_ledger import PageLedger
from core.policy.escalation_config import TimedStep
from core.policy.principals import parse_selector
from core.policy.time_window import TimeWindow
from core.preferences import DmKind
from core.request import RequestStatus
from core.review import Verdict
from core.services.timeline import Timeline
from core.stores.messages import MessageRef
from tests.builders import APPROVER, HOUR, INVOKER, REQUESTER, REVIEWER, SECOND_APPROVER
from tests.harness.clock import FrozenClock
from tests.texts import records
from tests.texts.records import AFTER, CHANNEL, EVENT, LATER, NOW, PLACE, POLICY, REQUEST, SECURITY
from tests.texts.writing import Text, write_message, write_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from bot.views.block_kit import Message
    from core.stores.base import Stores

_DUE: Final = AFTER + 24 * HOUR


def slack_messages(stores: Stores) -> Iterator[Text]:
    """All of them. `stores` is empty and stays so: Home and lists show what they say then."""
    yield from _on("Slack: the card of a request", _request_cards())
    yield from _on("Slack: the card of a break-glass event", _event_cards())
    yield from _on("Slack: in the thread of a request", _request_notices())
    yield from _on("Slack: in the thread of a break-glass event, and to its invoker", _event_notices())
    yield from _on("Slack: in the security channel", _security_posts())
    yield from _on("Slack: links", _links())
    yield from _on("Slack: lists", _lists())
    yield from _home(stores)
    yield from _on("Slack: the timeline of a break-glass event", _timelines())


def _links() -> Iterator[tuple[str, Message]]:
    hosts = ("tickets.example.com",)
    asked = records.pending().replace(justification="See https://tickets.example.com/INC-12, not http://evil.example")
    yield "to the ticket system, on a card", linked(request_card(asked, NOW), hosts)
    form = linked_view(deny_form(asked), hosts)
    assert read_list_place(in_list(form["blocks"], ListKind.MINE, 2)[-1]["block_id"]) == ListPlace("mine", 2)
    yield "a refusal leads to its card", with_link(reply("This was already approved. Nothing was changed."), PLACE.url)


def _on(surface: str, messages: Iterator[tuple[str, Message]] | list[tuple[str, Message]]) -> Iterator[Text]:
    return (Text(surface, title, write_message(message)) for title, message in messages)


def _request_cards() -> Iterator[tuple[str, Message]]:
    deciders = mention_deciders(POLICY.notifications.deciders_of("prod"), leave_out={REQUESTER})
    yield "pending", request_card(records.pending(), NOW, deciders)
    yield "pending, starts later", request_card(records.scheduled(), NOW, deciders)
    yield "approved, starts later", request_card(records.scheduled().approve(APPROVER, LATER), LATER)
    ticket_url = "https://example.atlassian.net/browse/INC-12"
    yield "pending, with a ticket", request_card(records.ticketed(), NOW, deciders, ticket_url=ticket_url)
    yield "pending, with a ticket that wasn't checked", request_card(records.ticket_unchecked(), NOW, deciders)
    yield "pending, a vote lapsed", request_card(records.half_approved_again(), NOW, deciders)
    yield "pending, with one of two votes", request_card(records.half_approved(), LATER, deciders)
    yield from _waiting_cards(deciders)
    yield "approved by one", request_card(records.approved_by_one(), LATER)
    yield "approved by two", request_card(records.approved(), LATER)
    yield "denied", request_card(records.denied(), LATER)
    yield "cancelled", request_card(records.cancelled(), LATER)
    yield "cancelled for break-glass", request_card(records.replaced(), LATER)
    yield "expired", request_card(records.expired(), AFTER)
    page = PageLedger.of(records.pending().chain).page("PagerDuty", NOW)
    yield (
        "paged, and acknowledged",
        with_page(
            request_card(records.pending(), NOW, deciders), page.acknowledge(PageAcknowledgement("Sam Example", LATER))
        ),
    )


def _waiting_cards(deciders: str) -> Iterator[tuple[str, Message]]:
    to = (parse_selector("on-call:secondary"), parse_selector("group:leads"), parse_selector("U0LEA"))
    step = TimedStep(2, LATER + timedelta(minutes=30), to)
    hours = TimeWindow.model_validate({"days": ["mon", "tue"], "hours": "09:00-17:00", "timezone": "Europe/Berlin"})
    terms = {
        "pending, it escalates": WaitingTerms(next_step=step),
        "pending, it escalated": WaitingTerms(f"<@{APPROVER}>", NOW, step),
        "pending, outside of the approver hours": WaitingTerms(hours=hours),
        "pending, and who is on call approves at any hour": WaitingTerms(hours=hours, anytime="`on-call:primary`"),
    }
    for title, each in terms.items():
        yield title, request_card(records.pending(), NOW, deciders, waiting=each)


def _event_cards() -> Iterator[tuple[str, Message]]:
    mentions = mention_all(POLICY.notifications.mentioned_by("on-call"))
    yield "active", break_glass_card(records.active(), NOW, mentions, _DUE)
    yield "active, without a code, in the place of a request", break_glass_card(records.without_code(), NOW)
    yield "closed, review due", break_glass_card(records.closed(REVIEWER), LATER, mentions, _DUE)
    yield "expired, review due", break_glass_card(records.ended(), AFTER, mentions, _DUE)
    for verdict in Verdict:
        yield f"reviewed: {verdict}", break_glass_card(records.reviewed(verdict), AFTER)


def _request_notices() -> Iterator[tuple[str, Message]]:
    yield "one vote of two", request_notices.approval_added(APPROVER, records.half_approved())
    yield "a vote, and one that lapsed", request_notices.approval_added(SECOND_APPROVER, records.half_approved_again())
    yield "a reminder", request_notices.still_waiting(records.pending(), "")
    deciders = mention_deciders(POLICY.notifications.deciders_of("prod"), leave_out={REQUESTER})
    yield "a reminder to those who may decide", request_notices.still_waiting(records.pending(2), deciders)
    later = records.scheduled()
    yield "a reminder of one that starts later", request_notices.still_waiting(later, deciders)
    approved_later = later.approve(APPROVER, LATER)
    yield "approved, starts later", request_notices.ended(approved_later)
    yield "approved, starts later, to the requester", request_notices.outcome(approved_later, PLACE)
    asked, waited = records.pending(2), timedelta(minutes=10)
    yield "a step of the escalation", request_notices.escalated_in_thread(asked, f"<@{APPROVER}>", waited, PLACE)
    yield "a step that names nobody", request_notices.escalated_in_thread(asked, "", waited)
    yield "to who is on call", request_notices.please_decide(asked, PLACE)
    yield "to whom it escalated", request_notices.please_decide(asked, PLACE, waited)
    ends = (records.approved_by_one(), records.denied(), records.cancelled(), records.replaced(), records.expired())
    for request in ends:
        instead = " for break-glass" if request.replaced_by else ""
        yield f"{request.status}{instead}", request_notices.ended(request)
    for request in ends:
        if request.status is not RequestStatus.CANCELLED:
            yield f"{request.status}, to the requester", request_notices.outcome(request, PLACE)


def _event_notices() -> Iterator[tuple[str, Message]]:
    yield "closed", break_glass_notices.ended(records.closed())
    yield "expired", break_glass_notices.ended(records.ended())
    yield "reviewed", break_glass_notices.reviewed(records.reviewed())
    yield "reviewed, but there is no review", break_glass_notices.reviewed(records.closed())
    reviewers = mention_deciders(POLICY.notifications.reviewers_of("prod"), leave_out={INVOKER})
    yield "review overdue", break_glass_notices.review_overdue(records.closed(), reviewers, _DUE)
    yield "soon over, to the invoker", break_glass_notices.is_it_over(records.active())
    yield "closed by another, to the invoker", break_glass_notices.ended_for_invoker(records.closed(REVIEWER), PLACE)
    yield "expired, to the invoker", break_glass_notices.ended_for_invoker(records.ended(), PLACE)
    yield "closed and reviewed, to the invoker", break_glass_notices.ended_for_invoker(records.reviewed(), PLACE)
    yield "reviewed, to the invoker", break_glass_notices.review_for_invoker(records.reviewed(), PLACE)
    yield (
        "reviewed, but there is no review, to the invoker",
        break_glass_notices.review_for_invoker(records.closed(), PLACE),
    )


def _security_posts() -> Iterator[tuple[str, Message]]:
    yield "escalation", break_glass_notices.escalated(records.active(), PLACE)
    yield "closed by another", break_glass_notices.closed_by_other(records.closed(REVIEWER), PLACE)
    yield "review overdue", break_glass_notices.review_overdue(records.closed(), "", _DUE)
    damage: dict[str, JsonValue] = {"ledger": "PROFILE#prod", "problem": "it has no seal"}
    unreadable = records.an_entry(AuditAction.LEDGER_UNREADABLE, "clock", "REFUSALS#1", details=damage)
    yield "a ledger can't be read", break_glass_notices.ledger_unreadable(unreadable)
    for title, details in _REFUSALS.items():
        entry = records.an_entry(AuditAction.INVOKE_REFUSED, INVOKER, f"REFUSALS#{INVOKER}", details=details)
        yield f"refused: {title}", break_glass_notices.refused(entry)
    for title, changed in _GROUP_CHANGES.items():
        details = {"user_group": "S0SRE", "rules": ["approvers of prod", "break-glass users of on-call"], **changed}
        yield (
            f"user group changed: {title}",
            user_group_changed(records.an_entry(AuditAction.USER_GROUP_CHANGED, SLACK, "DIRECTORY", details=details)),
        )
    for title, event, details in _POLICY_VERSIONS:
        notice = policy_in_force if event is AuditAction.POLICY_IN_FORCE else policy_refused
        yield f"policy: {title}", notice(records.an_entry(event, OPERATOR, "POLICY", details=details))
    for title, said in _SUMMARIES.items():
        entry = records.an_entry(AuditAction.MONTHLY_SUMMARY, CLOCK, "SUMMARIES", details=said)
        yield f"monthly summary: {title}", monthly_summary(entry, "F00000001" if "series" in said else None)
    for name in ("REQUEST#00000000000000a1", f"LEDGER#CODES#{INVOKER}"):
        problem: dict[str, JsonValue] = {"problem": "its seal doesn't match its content"}
        entry = records.an_entry(AuditAction.SEAL_BROKEN, CLOCK, f"REFUSALS#{EVENT}", details=problem)
        yield f"seal: {name}", seal_broken(entry.model_copy(update={"record": name}))
    for title, restored in _RESTORES.items():
        entry = records.an_entry(AuditAction.STORE_RESTORED, OPERATOR, "STORE", details=restored)
        yield f"store restored: {title}", store_restored(entry)
    for event in _MFA_CHANGES:
        entry = records.an_entry(event, OPERATOR, "MFA").model_copy(update={"subject": INVOKER})
        yield f"MFA: {event.value}", mfa_changed(entry)
        yield f"MFA: {event.value}, to the person", your_mfa_changed(entry)


_SUMMARIES: Final[dict[str, dict[str, JsonValue]]] = {
    "a quiet month": {"month": "2026-01", "timezone": "UTC", "requests": 1, "outcomes": {"approved": 1}},
    "with a picture, and something to do": {
        "month": "2026-02", "timezone": "Europe/Berlin", "requests": 1204, "events": 1, "median_seconds": 504,
        "outcomes": {"approved": 900, "approved by a rule": 200, "denied": 54, "expired": 50}, "refusals": 17,
        "access_open": 3, "reviews_overdue": 1, "unusable": 2, "weeks": ["2 Feb"], "series": {"approved": [900]},
    },
}  # fmt: skip
_RESTORES: Final[dict[str, dict[str, JsonValue]]] = {
    "from a sound backup": {
        "file": "countersign-20260115T020004Z.db", "login": "ann", "host": "bastion",
        "as_of": "2026-01-15T01:58:45.120000Z",
    },
    "empty, despite findings": {"file": "kept.db", "login": "root", "host": "bastion", "findings": 3},
}  # fmt: skip
_GROUP_CHANGES: Final[dict[str, dict[str, JsonValue]]] = {
    "one removed": {"removed": ["U0BEN"], "removed_count": 1, "updated_by": "U0ANN"},
    "many added, one removed": {
        "added": [f"U0NEW{number}" for number in range(50)],
        "added_count": 200,
        "removed": ["U0BEN"],
        "removed_count": 1,
    },
    "it isn't known who": {},
}


_REFUSALS: Final[dict[str, dict[str, JsonValue]]] = {
    "no rule": {"unmet": [f"no rule lets {INVOKER} break the glass for vault", f"{INVOKER} is not among the users"]},
    "already open": {"limit": "live event", "value": str(EVENT), "ends_at": "2026-01-15T04:53:45.120000Z"},
    "cooldown": {"limit": "cooldown", "value": "30m", "ends_at": "2026-01-15T04:53:45.120000Z", "times": 3},
    "the replaced request is decided": {"status": "approved", "wanted": "cancelled"},
    "something else": {"why": "the code is wrong"},
    "nothing is known": {},
}


_MFA_CHANGES: Final = (
    AuditAction.MFA_ENROLLED,
    AuditAction.MFA_REPLACED,
    AuditAction.MFA_REMOVED,
    AuditAction.MFA_UNLOCKED,
)
_POLICY_VERSIONS: Final[tuple[tuple[str, AuditAction, dict[str, JsonValue]], ...]] = (
    ("the first", AuditAction.POLICY_IN_FORCE, {"digest": "c1" * 32, "added_lines": 9, "removed_lines": 0}),
    (
        "changed",
        AuditAction.POLICY_IN_FORCE,
        {
            "digest": "c2" * 32,
            "previous_digest": "c1" * 32,
            "added_lines": 1,
            "removed_lines": 1,
            "diff": "@@ -3 +3 @@\n-max_duration: 4h\n+max_duration: 8h",
        },
    ),
    (
        "refused",
        AuditAction.POLICY_REFUSED,
        {
            "digest": "c3" * 32,
            "in_force": "c2" * 32,
            "problems": ["line 3: approval.0.aprovers: there is no key 'aprovers' here. Did you mean approvers?"],
        },
    ),
)


def _lists() -> Iterator[tuple[str, Message]]:
    mine = [
        RequestRow(each, may_cancel=True, may_declare=True)
        for each in (
            records.pending(),
            records.half_approved(),
            records.approved(),
            records.denied(),
            records.cancelled(),
            records.expired(),
        )
    ]
    yield "/access mine", list_page(ListKind.MINE, mine, page=2, has_more=True, now=LATER)
    to_decide = [RequestRow(records.pending(), may_decide=True)]
    yield "/access pending", list_page(ListKind.PENDING, to_decide, page=1, has_more=True, now=LATER)
    live = [EventRow(records.active(), _DUE, may_close=True)]
    yield "/breakglass active", event_list_page(BreakGlassListKind.ACTIVE, live, page=1, has_more=True, now=LATER)
    waiting = [EventRow(each, _DUE, may_review=True) for each in (records.closed(), records.ended())]
    reviews = BreakGlassListKind.REVIEWS
    yield "/breakglass reviews", event_list_page(reviews, waiting, page=2, has_more=False, now=AFTER)
    yield "/breakglass reviews, overdue", event_list_page(reviews, waiting, page=1, has_more=False, now=_DUE)
    for kind in ListKind:
        yield f"/access {kind}, nothing", list_page(kind, [], page=1, has_more=False, now=NOW)
    for each in BreakGlassListKind:
        yield f"/breakglass {each}, nothing", event_list_page(each, [], page=1, has_more=False, now=NOW)
    yield "/access mine, beyond the last page", list_page(ListKind.MINE, [], page=2, has_more=False, now=NOW)
    yield (
        "/breakglass active, beyond the last page",
        event_list_page(BreakGlassListKind.ACTIVE, [], page=2, has_more=False, now=NOW),
    )


def _home(stores: Stores) -> Iterator[Text]:
    clock = FrozenClock(NOW)
    invoker = records.person(INVOKER)
    requests = RequestQueries(stores.requests, POLICY, clock, FixedDirectory(), stores.access, stores.sessions)
    events = BreakGlassQueries(stores.break_glass, POLICY, clock, FixedDirectory(), stores.access)
    lists: list[HomeList[Any]] = [*events.home_lists(invoker), *requests.home_lists(invoker)]
    surface = "Slack: Home"
    for each in HomeFilter:
        page = cut_home(lists, HomeState(each))
        yield Text(surface, f"nothing yet, {each.label}", write_view(home_tab(page, NOW, may_break=True)))
    yield Text(surface, "with more than it shows", write_view(_full_home()))
    yield Text(
        surface, "for somebody who can request nothing", write_view(home_tab(HomePage(()), NOW, may_request=False))
    )
    duty = Duty(
        name=on_call_name("primary"), is_on_call=True, may_approve=True, source="pagerduty", schedule="P1",
        ends_at=LATER, answered_at=NOW,
    )  # fmt: skip
    yield Text(surface, "for somebody on call", write_view(home_tab(HomePage(()), NOW, duties=[duty])))
    yield Text(surface, "for somebody who is not let in", write_view(home_notice(not_let_in([GUEST]))))
    assert read_home_state(HomeState(HomeFilter.MINE, 2).write()) == read_show_button("mine:2")
    for muted in (frozenset[DmKind](), frozenset({DmKind.REMINDERS})):
        yield Text("Slack: direct messages", f"form, {len(muted)} muted", write_view(notify_form(muted)))
        chosen = [{"value": kind.value} for kind in DmKind if kind not in muted]
        state = {"values": {KINDS: {ANSWER: {"selected_options": chosen}}}}
        assert read_notify_form({**notify_form(()), "state": state})[1] == muted
        saved = notify_saved(muted)
        yield Text("Slack: direct messages", f"saved, {len(muted)} muted", write_view(notice(saved)))


def _full_home() -> dict[str, object]:
    row = list_row(RequestRow(records.pending(), may_cancel=True), NOW)
    sections = [HomeSection(key, [HomeRow(REQUEST, row)], 9) for key in SectionKey]
    outcome = HomeOutcome(reply("Closed."), f"list:{REQUEST}:{SectionKey.EVENTS}")
    counts = dict.fromkeys(HomeFilter, 9)
    return home_tab(HomePage(sections, counts=counts, pages=2), NOW, outcome=outcome)


def _timelines() -> Iterator[tuple[str, Message]]:
    event = records.closed().model_copy(update={"instead_of": REQUEST})
    chain, before = event.chain, records.replaced().chain
    of_request = [each for each in AuditAction if each.startswith(("request_", "approval_"))]
    of_event = [each for each in AuditAction if each.startswith(("break_glass_", "review_")) and "refused" not in each]
    entries = [
        records.an_entry(
            each,
            "clock" if each in _BY_CLOCK else str(APPROVER),
            before if each in of_request else chain,
            seq,
            details=_DETAILS.get(each),
        )
        for seq, each in enumerate([*of_request, *of_event], start=1)
    ]
    # 2026-01-15 04:20:00 UTC and after.
    posted = {
        "card": MessageRef(channel=CHANNEL, ts="1768450800.000100"),
        "thread:2": MessageRef(channel=CHANNEL, ts="1768450860.000100"),
        f"dm:outcome:{INVOKER}": MessageRef(channel="D0INVOKER", ts="1768450920.000100"),
        f"post:1:{SECURITY}": MessageRef(channel=SECURITY, ts="1768450980.000100"),
    }
    page = PageLedger.of(chain).page("PagerDuty", NOW).acknowledge(PageAcknowledgement("Sam Example", LATER))
    yield "every step", timeline(Timeline(event, tuple(entries), (records.replaced(),), posted, page=page))
    many = tuple(records.an_entry(AuditAction.REVIEW_REMINDED, "clock", chain, seq) for seq in range(1, 63))
    long = timeline(Timeline(records.ended(), many, (), {}))
    yield "more steps than a message holds (its end)", type(long)(long.text, long.blocks[-3:])
    assert records.ended().status is EventStatus.EXPIRED


_BY_CLOCK: Final = frozenset(
    {
        AuditAction.REQUEST_EXPIRED,
        AuditAction.REQUEST_REMINDED,
        AuditAction.BREAK_GLASS_EXPIRED,
        AuditAction.BREAK_GLASS_ENDING_SOON,
        AuditAction.REVIEW_REMINDED,
    }
)
_DETAILS: Final[dict[AuditAction, dict[str, JsonValue]]] = {
    AuditAction.BREAK_GLASS_INVOKED: {"is_escalated": True},
    AuditAction.REQUEST_CANCELLED: {"replaced_by": str(EVENT)},
}
