"""Access in Slack, from the approval to its end: the card tells the truth, and each event is announced once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from bot.notifications.access_news import WAIT_FOR_ANNOUNCER
from bot.views.access.buttons import END_ACCESS, EXTEND_ACCESS
from bot.views.break_glass.card import CLOSE
from bot.views.request.card import TIMELINE
from core.errors import DeliveryFailed
from core.outbox.outbox import deliver_due
from core.targets.base import Held, TargetRefused, Unknown
from localslack.faults import Refuse, Stall
from localslack.records import Channel
from tests.bot.notifications.access_office import PORTAL, SECURITY, USER, AccessOffice
from tests.bot.notifications.harness import HOUR, MINUTE, buttons, says
from tests.core.services.harness import ANN, BOB, CLEO, EVE, RITA

if TYPE_CHECKING:
    from core.stores.base import Stores
    from localslack.server import LocalSlack
    from tests.core.services.harness import ChangingPolicy
    from tests.harness.clock import FrozenClock

REFUSAL = TargetRefused("The account 111122223333 is closed <!channel>")
DOWN = Unknown("no answer from AWS")


@pytest.fixture
def office(slack: LocalSlack, stores: Stores, policy: ChangingPolicy, clock: FrozenClock) -> AccessOffice:
    members = tuple(each.id for each in (ANN, BOB, CLEO, EVE, RITA))
    slack.workspace.add(Channel(id=SECURITY, name="security", members=(*members, slack.backend.app.bot_user)))
    return AccessOffice(slack, stores, policy, clock)


def test_card_follows_access_from_opening_to_closed(office: AccessOffice) -> None:
    office.approved()
    office.deliver()
    assert "*Opening*" in says(office.card())
    assert "*Approved*" in says(office.card())
    assert buttons(office.card()) == [END_ACCESS, TIMELINE]
    assert "aws sso login" not in says(office.card())

    office.reconcile()
    office.deliver()
    assert "*Open until" in says(office.card())
    assert f"<{PORTAL}|Open the AWS access portal>" in says(office.card())
    assert "`aws sso login --profile prod`" in says(office.card())

    office.clock.advance(HOUR)
    office.target.always["take"] = DOWN
    office.reconcile()
    office.deliver()
    assert "*Closing*" in says(office.card())
    assert buttons(office.card()) == [TIMELINE]

    del office.target.always["take"]
    office.reconcile_until_settled()
    office.deliver()
    assert ":lock: *Closed*" in says(office.card())
    assert "A session that was already open can live until" in says(office.card())
    assert len(office.cards()) == 1


def test_grantee_is_told_once_that_it_is_open(office: AccessOffice) -> None:
    office.approved()
    office.reconcile()
    office.deliver_all()

    # The entries of the request and of its grant are two chains: either may come first.
    (approval,) = [each for each in office.slack.dm(RITA.id) if "was approved by" in each.text]
    (opened,) = [each for each in office.slack.dm(RITA.id) if each is not approval]
    assert ":unlock: Your access to `prod` is open, until" in opened.text
    assert "`aws sso login --profile prod`" in says(opened)
    assert buttons(opened) == [END_ACCESS]
    assert len([text for text in office.thread() if text.startswith("<@U0RITA>'s access is open until")]) == 1


def test_refusal_is_told_to_grantee_and_approvers(office: AccessOffice) -> None:
    office.target.always["give"] = REFUSAL
    office.approved()
    office.tell()

    assert "*Could not be opened* in `aws`" in says(office.card())
    assert REFUSAL.reason in says(office.card())
    assert buttons(office.card()) == [TIMELINE]
    assert any("could not be opened. You don't have it." in text for text in office.directs())
    assert [office.directs(each.id)[-1] for each in (ANN, BOB)] == [
        ":x: You approved `prod` for <@U0RITA>, but it could not be opened."
    ] * 2
    assert office.directs(CLEO.id) == []


def test_emergency_that_fails_shows_the_fallback_to_its_invoker(office: AccessOffice) -> None:
    office.target.always["give"] = REFUSAL
    office.declared()
    office.tell()

    assert "Call the on-call manager" in says(office.card())
    assert CLOSE in buttons(office.card())
    assert "could not be opened" in office.directs(ANN.id)[-1]
    assert "Call the on-call manager" in says(office.slack.dm(ANN.id)[-1])


def test_emergency_that_cannot_open_is_told_within_a_minute(office: AccessOffice) -> None:
    office.target.always["give"] = DOWN
    event = office.declared()
    while office.clock.now() < event.created_at + MINUTE:
        office.reconcile(seconds=5)
        office.deliver()

    direct = office.slack.dm(ANN.id)[-1]
    assert "isn't open yet. Countersign keeps trying" in direct.text
    assert DOWN.problem in says(direct)
    assert "Call the on-call manager" in says(direct)
    assert "It takes longer than usual" in says(office.card())


def test_emergency_whose_person_is_unknown_says_so(office: AccessOffice) -> None:
    office.users.problem = "no user has the name ann <!channel>"
    office.declared()
    office.tell()
    assert "*No access was opened*" in says(office.card())
    assert office.users.problem in says(office.card())
    assert "Call the on-call manager" in says(office.card())
    (direct,) = office.slack.dm(ANN.id)
    assert "No access was opened for your break-glass event" in direct.text
    assert office.users.problem in says(direct)


def test_two_rights_that_open_are_one_message(office: AccessOffice) -> None:
    office.approved_with_two_rights()
    office.tell()

    assert len([text for text in office.directs(EVE.id) if "is open, until" in text]) == 1
    assert len([text for text in office.thread() if "'s access is open" in text]) == 1
    assert "*Open until" in says(office.card())


def test_nothing_is_announced_while_a_right_is_pending(office: AccessOffice) -> None:
    office.target.script["give"].append(Held())
    office.target.always["give"] = DOWN
    office.approved_with_two_rights()
    office.deliver()
    office.target.held.update(office.first_rights())
    office.reconcile()
    office.deliver()
    assert "Open so far: 1 of 2 rights" in says(office.card())
    assert not any("is open, until" in text for text in office.directs(EVE.id))
    assert not any("'s access is open" in text for text in office.thread())


def test_right_that_is_refused_leaves_the_others_open(office: AccessOffice) -> None:
    office.target.script["give"].append(REFUSAL)
    office.approved_with_two_rights()
    office.tell()

    assert "*Partly open until" in says(office.card())
    assert "1 of 2 rights" in says(office.card())
    (direct,) = [each for each in office.slack.dm(EVE.id) if "is open" in each.text]
    assert "is open in part: 1 of 2 rights" in direct.text
    assert REFUSAL.reason in says(direct)


def test_what_stood_before_is_said_to_stay(office: AccessOffice) -> None:
    office.target.always["inspect"] = Held()
    office.approved()
    office.tell()
    assert "already, from elsewhere. It stays when this ends." in says(office.card())
    office.clock.advance(HOUR)
    office.tell()
    assert "It stays." in says(office.card())
    assert "has ended" in office.directs()[-1]
    assert "You had this access already" in says(office.slack.dm(RITA.id)[-1])


def test_person_whose_access_another_ended_hears_who_and_why(office: AccessOffice) -> None:
    request = office.approved()
    office.tell()
    office.grants.revoke(request.chain, ANN, "wrong account")
    office.deliver()
    direct = office.slack.dm(RITA.id)[-1]
    assert "was ended early by <@U0ANN>. It's being closed." in direct.text
    assert "wrong account" in says(direct)
    assert "<@U0RITA>'s access was ended early by <@U0ANN>." in office.thread()


def test_person_who_is_done_gets_no_message_about_that(office: AccessOffice) -> None:
    request = office.approved()
    office.tell()
    office.grants.end(request.chain, RITA)
    office.deliver()
    assert not any("ended early" in text for text in office.directs())
    assert "<@U0RITA> is done: the access was ended early." in office.thread()
    office.reconcile_until_settled()
    office.deliver_all()
    assert office.directs()[-1] == ":lock: Your access to `prod` is closed."


def test_closed_event_says_that_access_is_being_removed(office: AccessOffice) -> None:
    event = office.declared()
    office.tell()
    office.grants.end(event.chain, ANN)
    office.deliver()
    assert any("The access is being removed; the card says when it's gone." in text for text in office.thread())
    assert "The access has ended." not in " ".join(office.thread())
    assert not any("ended early" in text for text in office.thread())


def test_reminder_offers_to_extend_and_to_end(office: AccessOffice) -> None:
    office.approved()
    office.reconcile()
    office.deliver()
    office.clock.advance(51 * MINUTE)
    assert office.grants.remind_due()
    office.deliver()
    reminder = office.slack.dm(RITA.id)[-1]
    assert "Your access to `prod` ends" in reminder.text
    assert buttons(reminder) == [END_ACCESS, EXTEND_ACCESS]


def test_reminder_that_comes_after_the_end_is_not_sent(office: AccessOffice) -> None:
    office.approved()
    office.reconcile()
    office.clock.advance(55 * MINUTE)
    assert office.grants.remind_due()
    office.clock.advance(HOUR)
    office.deliver_all()
    assert not any("ends" in text for text in office.directs())


def test_revoke_that_fails_is_an_alarm_with_what_to_do(office: AccessOffice) -> None:
    office.approved()
    office.tell()
    office.clock.advance(HOUR)
    office.target.always["take"] = DOWN
    office.reconcile(seconds=120)
    office.deliver()
    (alarm,) = office.slack.messages(SECURITY)
    assert "<@U0RITA>'s access to `prod` can't be removed" in alarm.text
    assert f"--principal-id {USER}" in says(alarm)
    assert "singlesignon" in says(alarm)
    assert DOWN.problem in says(alarm)
    assert any("can't be removed yet" in text for text in office.thread())

    office.reconcile(seconds=4000)
    office.deliver()
    assert len(office.security()) == 2
    assert len([text for text in office.thread() if "can't be removed yet" in text]) == 1

    office.target.always.clear()
    office.reconcile(seconds=4000)
    office.deliver()
    (_, _, end) = office.security()
    assert end.startswith(":white_check_mark: <@U0RITA>'s access to `prod` was removed")


def test_end_of_what_was_no_alarm_is_not_posted(office: AccessOffice) -> None:
    office.approved()
    office.tell()
    office.clock.advance(HOUR)
    office.reconcile(seconds=120)
    office.deliver()
    assert any("access is closed" in text for text in office.thread())
    assert office.security() == []


def test_several_rights_that_fail_to_go_are_one_alarm(office: AccessOffice) -> None:
    office.approved_with_two_rights()
    office.tell()
    office.clock.advance(HOUR)
    office.target.always["take"] = DOWN
    for _ in range(12):
        office.reconcile(seconds=10)
        office.deliver()
    assert len(office.security()) == 1


def test_alarm_that_is_over_is_not_sent(office: AccessOffice) -> None:
    office.approved()
    office.tell()
    office.clock.advance(HOUR)
    office.target.always["take"] = DOWN
    office.reconcile(seconds=120)
    del office.target.always["take"]
    office.reconcile(seconds=400)
    office.deliver_all()
    assert office.security() == []


def test_removal_by_hand_is_told_to_security(office: AccessOffice) -> None:
    office.approved()
    office.reconcile_until_settled()
    office.target.held.clear()
    office.reconcile(seconds=1900)
    office.deliver_all()
    (alarm,) = office.security()
    assert "Somebody removed <@U0RITA>'s access to `prod` in `aws`, without Countersign." in alarm
    assert "/access revoke" in alarm


def test_opening_that_is_over_is_not_announced(office: AccessOffice) -> None:
    request = office.approved()
    office.reconcile()
    office.grants.end(request.chain, RITA)
    office.deliver()
    assert not any("is open, until" in text for text in office.directs())
    assert not any("open until" in text for text in office.thread())


def test_grant_that_comes_before_the_card_posts_no_second_card(office: AccessOffice) -> None:
    request = office.approved()
    office.reconcile()
    # The entries of the request are held up; those of its grant aren't.
    entries = [each for each in office.waiting() if each.entry.chain.startswith("GRANT#")]
    for each in entries:
        if each.entry.event == "grant_opened":
            with pytest.raises(DeliveryFailed, match="the card isn't posted yet"):
                office.sink.deliver(each.entry)
    assert office.cards() == []
    assert ":unlock: Your access to `prod` is open" in office.directs()[0]
    office.deliver_all()
    assert len(office.cards()) == 1
    assert len([text for text in office.directs() if "is open, until" in text]) == 1
    assert request.chain


def test_retry_posts_nothing_twice(office: AccessOffice, slack: LocalSlack) -> None:
    office.approved()
    office.reconcile()
    slack.faults.next(Refuse("internal_error"), "chat.update", times=3)
    office.deliver_all()
    assert "*Open until" in says(office.card())
    assert len([text for text in office.directs() if "is open, until" in text]) == 1
    assert len([text for text in office.thread() if "'s access is open" in text]) == 1
    assert deliver_due(office.stores.outbox, [office.sink], office.clock).delivered == 0


def test_entry_of_another_right_waits_for_the_one_that_announces(office: AccessOffice) -> None:
    office.approved_with_two_rights()
    office.deliver()
    office.reconcile()
    first, last = office.opened()
    with pytest.raises(DeliveryFailed, match="waiting for another right"):
        office.sink.deliver(first)
    office.sink.deliver(last)
    office.sink.deliver(first)
    assert len([text for text in office.directs(EVE.id) if "is open, until" in text]) == 1


def test_right_announces_for_the_one_that_came_too_early(office: AccessOffice) -> None:
    office.approved_with_two_rights()
    office.deliver()
    office.reconcile()
    first, _ = office.opened()
    with pytest.raises(DeliveryFailed, match="waiting for another right"):
        office.sink.deliver(first)
    office.clock.advance(WAIT_FOR_ANNOUNCER)
    office.sink.deliver(first)
    assert len([text for text in office.directs(EVE.id) if "is open, until" in text]) == 1


def test_deliveries_of_one_decision_take_turns(office: AccessOffice, slack: LocalSlack) -> None:
    office.approved_with_two_rights()
    office.deliver()
    office.reconcile()
    first, last = office.opened()
    with pytest.raises(DeliveryFailed, match="waiting for another right"):
        office.sink.deliver(first)
    office.clock.advance(WAIT_FOR_ANNOUNCER)
    stall = Stall()
    slack.faults.next(stall, "chat.postMessage")
    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(office.sink.deliver, first)
        assert stall.reached.wait(timeout=60)
        with pytest.raises(DeliveryFailed, match="is being announced"):
            office.sink.deliver(last)
        stall.release()
        posting.result(timeout=60)
    office.sink.deliver(last)
    assert len([text for text in office.directs(EVE.id) if "is open, until" in text]) == 1


def test_card_written_while_access_opened_shows_it(office: AccessOffice, slack: LocalSlack) -> None:
    request = office.approved()
    office.sink.deliver(office.entries(request)[0])
    stall = Stall()
    slack.faults.next(stall, "chat.update")
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(office.sink.deliver, office.entries(request)[-1])
        assert stall.reached.wait(timeout=60)
        office.reconcile()
        stall.release()
        writing.result(timeout=60)
    assert "*Open until" in says(office.card())


def test_delay_that_is_over_is_not_told(office: AccessOffice) -> None:
    office.target.always["give"] = DOWN
    office.approved()
    office.reconcile(seconds=150)
    assert any(each.entry.event == "grant_delayed" for each in office.waiting())
    del office.target.always["give"]
    office.reconcile_until_settled()
    office.deliver_all()
    assert not any("isn't open yet" in text for text in (*office.directs(), *office.thread()))
    assert any("is open, until" in text for text in office.directs())


def test_delay_is_not_told_after_the_end(office: AccessOffice) -> None:
    office.target.always["give"] = DOWN
    office.approved()
    office.reconcile(seconds=150)
    office.clock.advance(HOUR)
    office.deliver()
    assert "*Closing*" in says(office.card())
    assert not any("isn't open yet" in text for text in (*office.directs(), *office.thread()))


def test_person_who_left_loses_access_without_a_name(office: AccessOffice) -> None:
    office.approved()
    office.tell()
    office.grants.end_departed(RITA.id)
    office.deliver()
    assert "<@U0RITA>'s access was ended early." in office.thread()
    assert "No longer an active member" in says(office.card())


def test_approval_says_how_far_access_is(office: AccessOffice) -> None:
    office.approved()
    office.deliver()
    (approval,) = office.directs()
    assert "The access is opening, until" in approval
    assert "Access until" not in approval
