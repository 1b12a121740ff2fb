"""Access on cards, in messages and in lists: true to the target, within Slack's limits, and people's text is text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.views.access import alarms, notices
from bot.views.access.buttons import END_ACCESS, EXTEND_ACCESS
from bot.views.access.list import AccessListKind, AccessRow, access_list_page, access_row
from bot.views.access.replies import access_ended, access_revoked
from bot.views.access.state import state_words
from bot.views.access.target_words import by_hand, find_way_in
from bot.views.access.way_in import PortalLink, SsoLogin, WayIn
from bot.views.block_kit import MAX_UPDATE_TEXT, Message
from bot.views.break_glass.card import CLOSE, break_glass_card
from bot.views.break_glass.list import BreakGlassListKind, EventRow, event_list_page, event_row
from bot.views.home import HomePage, HomeRow, HomeSection, home_tab
from bot.views.home_state import SectionKey
from bot.views.links import NO_PLACE, CardPlace
from bot.views.pagination import PER_PAGE
from bot.views.request.card import TIMELINE, request_card
from bot.views.request.list import ListKind, RequestRow, list_page
from core.access.right import Right
from core.access.summary import summarize
from core.policy.profile import MAX_RIGHTS
from core.policy.target_config import AwsRoleConfig, IdentityCenterConfig, WebhookConfig
from core.request import Request
from localslack.block_kit import check_message_blocks, check_view
from tests.bot.views.access.accesses import (
    BY,
    EVENT,
    FALLBACKS,
    GRANTEE,
    HOUR,
    LONGEST,
    MID,
    REQUEST,
    SOON,
    STATES,
    a_grant,
    a_right,
    access_in,
    opened,
)
from tests.bot.views.test_break_glass_card import DUE, MENTIONS, answered, live, shut
from tests.bot.views.test_request_card import STATES as REQUESTS
from tests.bot.views.test_request_card import formatted, pressable, with_every_vote
from tests.harness.clock import A_MOMENT

PORTAL = "https://d-1234567890.awsapps.com/start"
WAY_IN = WayIn(
    (PortalLink("Open the AWS access portal", PORTAL + "x" * 900),) * 2,
    SsoLogin("p" * 80, "eu-west-1", tuple(f"{number:012}" for number in range(MAX_RIGHTS)), PORTAL),
    "p" * 80,
)
CENTER = IdentityCenterConfig(
    type="identity-center",
    region="eu-west-1",
    instance="arn:aws:sso:::instance/ssoins-0123456789abcdef",
    identity_store="d-1234567890",
    portal=PORTAL,
)
HOOK = WebhookConfig(type="webhook", url="https://hooks.example.com/access", secret="env:SECRET")
USER = "90676a1b2c-11111111-2222-3333-4444-555555555555"
GROUP = "90676a1b2c-99999999-2222-3333-4444-555555555555"
PERMISSION_SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"
ASSIGNMENT = Right(target="aws", resource="111122223333", level=PERMISSION_SET, principal=USER)


def approved() -> Request:
    return with_every_vote().replace(rights=(a_right(0),))


def check(message: Message) -> None:
    check_message_blocks(list(message.blocks))
    assert len(message.text) <= MAX_UPDATE_TEXT
    # What people, targets and policies wrote is plain text everywhere.
    assert "evil.example" not in formatted(message)


PLACE = CardPlace("C0ACCESS1", "https://acme.slack.com/archives/C0ACCESS1/p1768450800000100")


@pytest.mark.parametrize("state", STATES)
def test_cards_are_valid_at_the_longest_inputs(state: str) -> None:
    access, now = access_in(state)
    check(request_card(approved(), now, access=access, way_in=WAY_IN))
    access, now = access_in(state, EVENT)
    for event in (live(), answered(shut())):
        broken = event.replace(rights=(a_right(0),), access_problem=LONGEST)
        check(break_glass_card(broken, now, MENTIONS, DUE, access=access, way_in=WAY_IN, fallbacks=FALLBACKS))
        check(break_glass_card(broken, now, access=None, fallbacks=FALLBACKS))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("source", [REQUEST, EVENT])
def test_messages_are_valid_at_the_longest_inputs(state: str, source: str) -> None:
    access, now = access_in(state, source)
    for message in (
        notices.settled(access, now, FALLBACKS),
        notices.opened_for_grantee(access, WAY_IN, PLACE, FALLBACKS),
        notices.failed_for_grantee(access, PLACE, FALLBACKS),
        notices.failed_for_approver(access, PLACE),
        notices.delayed(access, LONGEST, FALLBACKS),
        notices.delayed_for_grantee(access, LONGEST, NO_PLACE, FALLBACKS),
        notices.ended_early(access),
        notices.ended_early_for_grantee(access, now, PLACE),
        notices.closed(access, now),
        notices.closed_for_grantee(access, now, PLACE),
        notices.ending_soon(access, PLACE),
        access_ended(access),
        access_revoked([access] * 20, GRANTEE),
    ):
        check(message)


@pytest.mark.parametrize("state", STATES)
def test_lists_and_home_are_valid_at_the_longest_inputs(state: str) -> None:
    access, now = access_in(state)
    rows = [AccessRow(access, may_end=number % 2 == 0, may_revoke=True) for number in range(PER_PAGE)]
    check(access_list_page(AccessListKind.LIVE, rows[:1], page=2, has_more=True, now=now))
    with_ids = [row for row in rows if not row.may_end]
    check(access_list_page(AccessListKind.LIVE, with_ids, page=2, has_more=True, now=now))
    check(
        list_page(
            ListKind.MINE, [RequestRow(approved(), may_cancel=True, access=access)], page=1, has_more=True, now=now
        )
    )
    event = EventRow(live(), DUE, may_close=True, access=access)
    check(event_list_page(BreakGlassListKind.ACTIVE, [event], page=1, has_more=False, now=now))
    row = HomeRow("0" * 16, access_row(AccessRow(access, may_end=True), now))
    sections = [HomeSection(key, [row], 1) for key in (SectionKey.ACCESS, SectionKey.REQUESTS)]
    check_view(home_tab(HomePage(sections), now), "home")


def test_access_taken_before_it_was_announced_was_open() -> None:
    given = a_grant(0, REQUEST).end_early(BY, MID, LONGEST).close(MID, residual_until=MID + HOUR)
    access = summarize([given], MID)
    shown = formatted(request_card(approved(), MID, access=access, way_in=WAY_IN))
    assert "never open" not in shown
    assert "can live until" in shown


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        ("opening", True),
        ("open", True),
        ("partly open", True),
        ("could not be opened", False),
        ("closing, overdue", False),
        ("closing, ended by another", False),
        ("closed", False),
    ],
)
def test_only_buttons_that_can_work_are_drawn(state: str, ends: bool) -> None:  # noqa: FBT001
    access, now = access_in(state)
    expected = [END_ACCESS] if ends else []
    assert pressable(request_card(approved(), now, access=access)) == [*expected, TIMELINE]
    assert pressable(notices.ending_soon(access, NO_PLACE)) == [*expected, *([EXTEND_ACCESS] if ends else [])]
    emergency, now = access_in(state, EVENT)
    assert EXTEND_ACCESS not in pressable(notices.ending_soon(emergency, NO_PLACE))
    # Closing an emergency takes a reason.
    assert END_ACCESS not in pressable(break_glass_card(live(), now, access=emergency))
    assert CLOSE in pressable(break_glass_card(live(), A_MOMENT, access=emergency))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("opening", "*Opening*, until"),
        ("opening, delayed", "It takes longer than usual"),
        ("opening, one is open", "Open so far: 1 of 2 rights"),
        ("open", "*Open until"),
        ("open, stood before", "already, from elsewhere. It stays when this ends."),
        ("partly open", "*Partly open until"),
        ("could not be opened", "*Could not be opened* in"),
        ("closing, ended by another", "ended early by <@U0APPROVER>"),
        ("closing, overdue", "isn't removed from"),
        ("closed, residue", "A session that was already open can live until"),
        ("closed, stays", "had this access already, from elsewhere. It stays."),
        ("closed, kept", "<@U0REQUESTER> still has the access, by another decision or from elsewhere"),
        ("closed, never open", "it was never open"),
    ],
)
def test_card_says_the_true_state(state: str, says: str) -> None:
    access, now = access_in(state)
    assert says in formatted(request_card(approved(), now, access=access, way_in=WAY_IN))


@pytest.mark.parametrize(
    "state", sorted(set(STATES) - {"open", "open, all rights", "open, stood before", "partly open"})
)
def test_how_to_use_it_is_shown_only_while_it_is_open(state: str) -> None:
    access, now = access_in(state)
    card = formatted(request_card(approved(), now, access=access, way_in=WAY_IN))
    assert "aws sso login" not in card
    assert "Open until" not in card
    assert "open until" not in state_words(access)


def test_decision_without_access_keeps_its_words() -> None:
    card = formatted(request_card(REQUESTS["approved"](), A_MOMENT))
    assert "*Approved*" in card
    assert "access until" in card
    assert not any(word in card for word in (":unlock:", "Open", "Closed", "Opening"))


def test_access_that_is_not_known_is_not_called_open() -> None:
    card = formatted(request_card(approved(), A_MOMENT, access=None, way_in=WAY_IN))
    assert "access until" not in card
    assert "pen until" not in card


def test_residue_that_has_passed_is_not_shown() -> None:
    grant = opened().expire(A_MOMENT + HOUR).close(A_MOMENT + HOUR, residual_until=A_MOMENT + 2 * HOUR)
    shown = []
    for now in (A_MOMENT + HOUR, A_MOMENT + 2 * HOUR):
        access = summarize([grant], now)
        assert access is not None
        shown.append("can live until" in formatted(notices.closed(access, now)))
    assert shown == [True, False]


def test_end_of_an_emergency_is_said_once() -> None:
    access, now = access_in("open", EVENT)
    event = live()
    lasting = replace(access, until=event.expires_at)
    row = event_row(EventRow(event, DUE, access=lasting), now)
    for shown in (formatted(break_glass_card(event, now, access=lasting)), json.dumps(row)):
        assert shown.count("ends <!date") == 1
    # What failed says no end, so the event does.
    failed, now = access_in("could not be opened", EVENT)
    assert "*Until <!date" in formatted(break_glass_card(event, now, access=failed))


def test_failed_emergency_shows_what_the_policy_says_instead() -> None:
    access, now = access_in("could not be opened", EVENT)
    card = break_glass_card(live(), now, access=access, fallbacks=("Call the on-call manager",))
    assert "Call the on-call manager" in json.dumps(card.blocks)
    assert LONGEST in [block["text"]["text"] for block in card.blocks if block["type"] == "section"]
    without = formatted(break_glass_card(live(), now, access=access))
    assert "Follow your team's procedure" in without
    ordinary, now = access_in("could not be opened")
    assert "request the access again" in formatted(notices.failed_for_grantee(ordinary, NO_PLACE))


def test_approver_reads_who_requests_again() -> None:
    access, _ = access_in("could not be opened")
    told = formatted(notices.failed_for_approver(access, NO_PLACE))
    assert f"<@{GRANTEE}> can request the access again" in told
    assert "Send:" not in told
    access, _ = access_in("partly open")
    assert "rights could be opened" in notices.failed_for_approver(access, NO_PLACE).text


def test_reason_is_shown_when_another_person_ended_it() -> None:
    def typed(state: str) -> list[str]:
        blocks = request_card(
            approved().replace(justification="Deploy the fix"), MID, access=access_in(state)[0]
        ).blocks
        return [block["text"]["text"] for block in blocks if block.get("text", {}).get("type") == "plain_text"]

    assert LONGEST in typed("closing, ended by another")
    assert LONGEST not in typed("closing, done")


def test_way_in_is_the_portal_and_what_people_type() -> None:
    right = Right(target="aws", resource="111122223333", level=PERMISSION_SET, principal=USER)
    grant = a_grant(is_long=False)
    one = summarize([type(grant).make(
        grantee=GRANTEE, profile=grant.profile, right=right, source=REQUEST, decided_by=grant.decided_by,
        justification="Deploy", starts_at=A_MOMENT, ends_at=A_MOMENT + HOUR, now=A_MOMENT,
    ).open(SOON)], SOON)  # fmt: skip
    assert one is not None
    way_in = find_way_in({"aws": CENTER}, one)
    assert way_in is not None
    said = formatted(notices.opened_for_grantee(one, way_in, NO_PLACE))
    assert f"<{PORTAL}|Open the AWS access portal>" in said
    assert "`aws sso login --profile prod`" in said
    assert "`aws configure sso --profile prod`" in said
    assert "`111122223333`" in said
    role = AwsRoleConfig(type="aws-role", role="arn:aws:iam::111122223333:role/ops", region="eu-west-1")
    assert "`countersign exec prod -- COMMAND`" in formatted(
        notices.opened_for_grantee(one, find_way_in({"aws": role}, one), NO_PLACE)
    )
    assert find_way_in({"aws": HOOK}, one) is None
    assert find_way_in({}, one) is None


def test_what_to_do_by_hand_is_a_command_that_works() -> None:
    assignment = by_hand({"aws": CENTER}, ASSIGNMENT)
    assert assignment.command is not None
    assert assignment.command.startswith("aws sso-admin delete-account-assignment --region eu-west-1 --instance-arn ")
    assert f"--principal-type USER --principal-id {USER}" in assignment.command
    member = by_hand({"aws": CENTER}, Right(target="aws", resource=GROUP, level="member", principal=USER))
    assert member.command is not None
    assert f"--group-id {GROUP} --member-id UserId={USER}" in member.command
    for right in (ASSIGNMENT.model_copy(update={"principal": "$(reboot)"}), a_right(0)):
        assert by_hand({right.target: CENTER}, right).command is None
    assert by_hand({"aws": HOOK}, ASSIGNMENT) == alarms.ByHand(ASSIGNMENT)


@pytest.mark.parametrize("failures", [0, 7])
def test_alarms_are_valid_at_the_longest_inputs(failures: int) -> None:
    access, now = access_in("closing, overdue")
    rights = [by_hand({"aws": CENTER}, ASSIGNMENT)] * 4 + [alarms.ByHand(a_right(each)) for each in range(4)]
    failing = alarms.FailedRevoke(access, rights, now - HOUR, failures, LONGEST)
    for message in (
        alarms.revoke_failing(failing, PLACE),
        alarms.revoke_failing_in_thread(failing),
        alarms.removed_elsewhere(access_in("open")[0], a_right(0), now, PLACE),
        alarms.came_back(access, a_right(0), now, NO_PLACE),
        alarms.drift_in_thread(a_right(0), is_removed=True),
    ):
        check(message)
    said = formatted(alarms.revoke_failing(failing, PLACE))
    assert f"<@{GRANTEE}>" in said
    assert "singlesignon" in said
    assert USER in said


def test_live_list_marks_what_is_overdue() -> None:
    overdue, now = access_in("closing, overdue")
    page = access_list_page(AccessListKind.LIVE, [AccessRow(overdue)], page=1, has_more=False, now=now)
    assert ":warning: *Overdue*" in formatted(page)
    assert "decided by <@U0APPROVER>" in formatted(page)
    revocable = access_row(AccessRow(access_in("open")[0], may_revoke=True), SOON)
    assert "/access revoke 0123456789abcdef" in json.dumps(revocable)


def test_links_are_shown_whole_or_not_at_all() -> None:
    access, now = access_in("open")
    portals = tuple(PortalLink(f"Open {number}", f"https://{number}.example.com/{'x' * 900}") for number in range(8))
    said = formatted(request_card(approved(), now, access=access, way_in=WayIn(portals)))
    shown = [each for each in portals if f"<{each.url}|{each.text}>" in said]
    assert [each.text for each in shown] == ["Open 0"]
    assert said.count("example.com") == 1
