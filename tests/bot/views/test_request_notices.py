"""The notices about a request: who may decide, votes, reminders and outcomes, within Slack's limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.views.block_kit import Message
from bot.views.links import CardPlace
from bot.views.mentions import MAX_IN_STEP, MAX_MENTIONED, mention_deciders, name_silently
from bot.views.request.card import request_card
from bot.views.request.notices import (
    approval_added,
    ended,
    escalated_in_thread,
    outcome,
    please_decide,
    still_waiting,
)
from bot.views.request.waiting import WaitingTerms
from core.actor import ProfileName, UserId
from core.policy.escalation_config import TimedStep
from core.policy.escalation_lint import MAX_PER_STEP
from core.policy.principals import PrincipalKind, PrincipalSelector
from core.policy.time_window import TimeWindow
from core.request import COMMENT_LENGTH, JUSTIFICATION_LENGTH, MAX_APPROVALS, Request
from localslack.block_kit import check_message_blocks
from tests.builders import APPROVER, HOUR, REQUESTER, a_request
from tests.harness.clock import A_MOMENT

# One character that JSON writes as two, and one that Slack would format, however it is counted.
LONGEST = '<!channel>"\\\n😀' * 100
COMMENT = LONGEST[: COMMENT_LENGTH[1] - 1] + "."


def user(user_id: str) -> PrincipalSelector:
    return PrincipalSelector(kind=PrincipalKind.USER, value=user_id)


def group(group_id: str) -> PrincipalSelector:
    return PrincipalSelector(kind=PrincipalKind.USER_GROUP, value=group_id)


def email(address: str) -> PrincipalSelector:
    return PrincipalSelector(kind=PrincipalKind.EMAIL, value=address)


def asked(required_approvals: int = 1) -> Request:
    return a_request(
        profile=ProfileName("p" * 80),
        justification=LONGEST[: JUSTIFICATION_LENGTH[1] - 1] + ".",
        rule="r" * 100,
        required_approvals=required_approvals,
    )


def voted(votes: int) -> Request:
    request = asked(MAX_APPROVALS)
    for number in range(votes):
        request = request.approve(UserId(f"U{number}{'V' * 30}"), A_MOMENT, COMMENT)
    return request


EVERYBODY = mention_deciders([group(f"S{number}{'G' * 30}") for number in range(50)], leave_out=())
EVERY_STEP = mention_deciders([group(f"S{number}{'G' * 30}") for number in range(100)], leave_out=(), most=MAX_IN_STEP)
LONGEST_STEP = tuple(
    PrincipalSelector(kind=PrincipalKind.ON_CALL, value=f"{number:02}{'s' * 78}") for number in range(MAX_PER_STEP)
)
LONGEST_WAIT = WaitingTerms(
    EVERYBODY,
    A_MOMENT,
    TimedStep(2, A_MOMENT, LONGEST_STEP),
    TimeWindow.model_validate({"days": ["mon", "tue"], "hours": "09:00-17:00", "timezone": "America/Indiana/Knox"}),
    name_silently(LONGEST_STEP),
)
MESSAGES: dict[str, Callable[[], Message]] = {
    "card with nine votes": lambda: request_card(voted(9), A_MOMENT, EVERYBODY),
    "card with ten votes": lambda: request_card(voted(10), A_MOMENT, EVERYBODY),
    "vote": lambda: approval_added(f"U0{'V' * 30}", voted(3)),
    "reminder": lambda: still_waiting(voted(3), EVERYBODY),
    "step": lambda: escalated_in_thread(voted(3), EVERY_STEP, HOUR),
    "to decide": lambda: please_decide(voted(3), CardPlace(f"C{'0' * 30}"), HOUR),
    "card with steps and hours": lambda: request_card(voted(9), A_MOMENT, EVERYBODY, waiting=LONGEST_WAIT),
    "approved": lambda: ended(voted(10)),
    "denied": lambda: ended(asked().deny(APPROVER, A_MOMENT, COMMENT)),
    "approval told": lambda: outcome(voted(10), CardPlace(f"C{'0' * 30}")),
    "denial told": lambda: outcome(asked().deny(APPROVER, A_MOMENT, COMMENT)),
    "policy's approval told": lambda: outcome(asked().approve_by_policy(A_MOMENT)),
    "expiry told": lambda: outcome(asked().expire(A_MOMENT + timedelta(days=2))),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_notice_at_the_longest_inputs_is_valid_without_mentions(name: str) -> None:
    message = MESSAGES[name]()
    blocks = list(message.blocks)
    check_message_blocks(blocks)
    # Slack publishes no way of counting; this is the most that any way gives.
    assert len(json.dumps(blocks)) < 13_000
    assert len(message.text) <= 4_000
    assert "<!channel>" not in message.text
    formatted = [part for part in _texts(blocks) if part["type"] == "mrkdwn"]
    assert not any("<!channel>" in part["text"] for part in formatted)


def test_handful_is_mentioned_groups_first_and_others_counted() -> None:
    deciders = [*(user(f"U0{number}X") for number in range(9)), group("S0SRE"), email("ann@example.com")]
    said = mention_deciders(deciders, leave_out={REQUESTER})
    assert said == "<!subteam^S0SRE>, <@U00X>, <@U01X>, <@U02X>, <@U03X> and 6 more"
    assert said.count("<") == MAX_MENTIONED


def test_address_is_counted_and_not_shown() -> None:
    assert mention_deciders([user("U0ANN"), email("ann@example.com")], leave_out=()) == "<@U0ANN> and 1 more"
    assert mention_deciders([email("ann@example.com")], leave_out=()) == ""


def test_person_who_cannot_decide_is_not_mentioned() -> None:
    assert mention_deciders([user(REQUESTER), user(APPROVER)], leave_out={REQUESTER}) == f"<@{APPROVER}>"
    assert mention_deciders([user(REQUESTER)], leave_out={REQUESTER}) == ""


def test_decided_card_mentions_nobody() -> None:
    decided = request_card(asked().deny(APPROVER, A_MOMENT, "not today"), A_MOMENT, "<!subteam^S0SRE>")
    assert "S0SRE" not in str(decided.blocks)
    assert "S0SRE" in str(request_card(asked(), A_MOMENT, "<!subteam^S0SRE>").blocks)


def test_card_comment_is_shown_beside_its_author() -> None:
    request = a_request(required_approvals=2).approve(APPROVER, A_MOMENT, "seen the change")
    (comment,) = (block for block in request_card(request, A_MOMENT).blocks if "seen the change" in str(block))
    assert [part["text"] for part in comment["elements"]] == [f"<@{APPROVER}> said:", "seen the change"]


def test_reminder_without_anybody_to_name_is_still_a_sentence() -> None:
    assert still_waiting(asked(), "").text.startswith("This request still needs one approval by")


def _texts(value: object) -> list[dict[str, str]]:
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if not isinstance(value, dict):
        return []
    found = [value] if value.get("type") in {"mrkdwn", "plain_text"} else []
    return found + [text for each in value.values() for text in _texts(each)]
