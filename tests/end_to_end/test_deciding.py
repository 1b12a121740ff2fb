"""Deciding: whatever is clicked, by whom and how often, there is one right state and one clear answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from bot.views.request.card import APPROVE, CANCEL, DENY, MORE
from core.actor import CLOCK
from core.audit.trail import AuditAction, EntryDraft
from core.record import UNDERSTOOD
from core.request import RequestStatus
from core.stores.base import Stores
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from localslack.faults import Refuse
from tests.end_to_end.harness import AIKO, GUEST, JON, MIRA, ROBOT, SAM, STRANGER, Harness, text_of, walk_text
from tests.harness.clock import FrozenClock

APPROVED, DENIED, PENDING = RequestStatus.APPROVED, RequestStatus.DENIED, RequestStatus.PENDING
NO_ID = {"value": "0" * 16}


def test_approve_opens_the_window_and_says_until_when(harness: Harness) -> None:
    request = harness.ask()
    harness.slack.press(JON, harness.card(request), APPROVE)

    assert harness.status(request) is APPROVED
    assert f"Approved. <@{MIRA}> has `prod` until" in harness.next_reply(JON)


def test_what_needs_a_newer_version_is_refused_in_words(harness: Harness) -> None:
    request = harness.ask()
    newer = request.remind(harness.clock.now()).replace(needs=UNDERSTOOD + 1)
    harness.stores.requests.update(newer, EntryDraft.of(newer, AuditAction.REQUEST_REMINDED, CLOCK))
    harness.slack.press(JON, harness.card(request), APPROVE)

    said = "A newer version of Countersign made this request. Nothing was changed. Press again, or finish the upgrade."
    assert said in harness.next_reply(JON)
    assert harness.status(request) is PENDING
    harness.slack.press(MIRA, harness.older_card(request), CANCEL)
    harness.next_reply(MIRA)
    assert harness.status(request) is RequestStatus.CANCELLED


def test_two_approvers_at_once_decide_once_and_both_learn_who(harness: Harness) -> None:
    request = harness.ask()
    card, together = harness.card(request), Barrier(2)

    def press(user: str) -> None:
        together.wait()
        harness.slack.press(user, card, APPROVE)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(press, (JON, AIKO)))

    winner = harness.stored(request).approver
    loser = {JON, AIKO} - {winner}
    assert f"This was already approved by <@{winner}> just now" in harness.next_reply(*loser)
    assert "Approved." in harness.next_reply(str(winner))


def test_action_in_another_instance_is_judged_by_the_record(harness: Harness, tmp_path: Path) -> None:
    request, waiting = harness.ask(), harness.ask()
    card, other = harness.card(request), harness.card(waiting)
    harness.slack.press(JON, card, APPROVE)
    with (
        closing(SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(clock=harness.clock))) as stores,
        Harness(stores, harness.clock, slack=harness.slack) as second,
    ):
        second.slack.press(AIKO, card, APPROVE)
        assert f"already approved by <@{JON}>" in harness.next_reply(AIKO)
        second.slack.press(AIKO, other, APPROVE)

    assert harness.stored(request).approver == JON
    assert harness.stored(waiting).approver == AIKO


@pytest.mark.parametrize("is_refused", [False, True])
def test_outcome_of_another_instances_form_is_beside_or_sent(
    harness: Harness, tmp_path: Path, *, is_refused: bool
) -> None:
    request = harness.ask()
    harness.slack.press(JON, harness.card(request), DENY)
    form = harness.modal(JON)
    with (
        closing(SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(clock=harness.clock))) as stores,
        Harness(stores, harness.clock, slack=harness.slack) as second,
    ):
        if is_refused:
            second.slack.faults.next(Refuse("user_not_in_channel"), "chat.postEphemeral")
        second.slack.submit(JON, form, {"reason": {"answer": "Not during the freeze"}})
        assert harness.reads(JON, "You denied `prod` for 2h")
        assert [bool(second.slack.dm(JON)), bool(second.slack.ephemerals(JON))] == [is_refused, not is_refused]


def test_double_click_counts_once_and_the_second_says_so(harness: Harness) -> None:
    request = harness.ask(SAM, "vault", "1h")
    card = harness.card(request)
    harness.slack.press(JON, card, APPROVE)
    first = harness.next_reply(JON)
    harness.slack.press(JON, card, APPROVE)

    assert first == "Your approval counts. One more is needed."
    assert harness.next_reply(JON) == "You already approved this just now. One more is needed."
    assert len(harness.stored(request).approvals) == 1


def test_action_that_slack_delivers_again_changes_nothing(harness: Harness) -> None:
    request = harness.ask()
    answer = harness.slack.press(JON, harness.card(request), APPROVE)
    decided = harness.stored(request)
    harness.slack.redeliver(answer)

    assert harness.stored(request) == decided


def test_action_after_the_deadline_expires_the_request(harness: Harness) -> None:
    request = harness.ask()
    card = harness.card(request)
    harness.clock.advance(timedelta(hours=24))
    harness.slack.press(JON, card, APPROVE)

    assert harness.status(request) is RequestStatus.EXPIRED
    assert "This expired just now. Nothing was changed." in harness.next_reply(JON)


def test_action_on_a_cancelled_request_says_who_cancelled_it(harness: Harness) -> None:
    request = harness.ask()
    card = harness.card(request)
    harness.cancel(MIRA, request)
    harness.clock.advance(timedelta(minutes=2))
    harness.slack.press(JON, card, APPROVE)

    assert harness.status(request) is RequestStatus.CANCELLED
    assert harness.reads(MIRA, "Your request for `prod` is cancelled.")
    # The list is drawn anew, without the button that can't work any more.
    assert CANCEL not in str(harness.slack.ephemerals(MIRA)[-1].blocks)
    assert f"This was already cancelled by <@{MIRA}> 2 minutes ago. Nothing was changed." in harness.next_reply(JON)


def test_requester_never_decides_though_the_policy_names_them(harness: Harness) -> None:
    request = harness.ask(MIRA)
    harness.slack.press(MIRA, harness.card(request), APPROVE)

    assert harness.status(request) is PENDING
    assert "Nobody decides on their own request. Nothing was changed." in harness.next_reply(MIRA)
    harness.slack.press(MIRA, harness.slack.ephemerals(MIRA)[-1], CANCEL)
    assert harness.status(request) is RequestStatus.CANCELLED


@pytest.mark.parametrize("user", [SAM, GUEST, ROBOT, STRANGER])
@pytest.mark.parametrize("button", [APPROVE, CANCEL])
def test_person_without_the_right_changes_nothing_and_reads_why(harness: Harness, user: str, button: str) -> None:
    request = harness.ask()
    harness.slack.press(user, harness.older_card(request) if button == CANCEL else harness.card(request), button)

    assert harness.status(request) is PENDING
    assert "Nothing was changed." in harness.next_reply(user)


def test_denial_asks_why_and_ends_the_request(harness: Harness) -> None:
    request = harness.ask()
    harness.slack.press(JON, harness.card(request), DENY)
    answer = harness.slack.submit(JON, harness.modal(JON), {"reason": {"answer": "Not during the freeze"}})

    decided = harness.stored(request)
    assert (decided.status, decided.approver, decided.approver_comment) == (DENIED, JON, "Not during the freeze")
    assert answer.view is None
    assert harness.reads(JON, f"You denied `prod` for 2h. <@{MIRA}> will be notified, with your reason.")


def test_deny_opens_no_form_that_could_not_be_used(harness: Harness) -> None:
    request = harness.ask()
    card = harness.card(request)
    for person in (SAM, JON):
        harness.actor(person)
    harness.slack.press(SAM, card, DENY)
    assert "You can't do this" in harness.next_reply(SAM)
    harness.slack.press(AIKO, card, APPROVE)
    harness.slack.press(JON, card, DENY)
    assert f"already approved by <@{AIKO}>" in harness.next_reply(JON)
    assert (harness.slack.modal(SAM), harness.slack.modal(JON)) == (None, None)


def test_denial_without_a_reason_is_a_mistake_in_its_field(harness: Harness) -> None:
    request = harness.ask()
    harness.slack.press(JON, harness.card(request), DENY)
    answer = harness.slack.submit(JON, harness.modal(JON), {"reason": {"answer": "  no  "}})

    assert "at least 3" in answer.errors["reason"]
    assert harness.status(request) is PENDING


def test_denial_that_comes_too_late_says_who_was_quicker(harness: Harness) -> None:
    request = harness.ask()
    card = harness.card(request)
    harness.slack.press(JON, card, DENY)
    harness.modal(JON)
    harness.slack.press(AIKO, card, APPROVE)
    answer = harness.slack.submit(JON, harness.modal(JON), {"reason": {"answer": "Not during the freeze"}})

    assert harness.status(request) is APPROVED
    assert answer.view is not None
    assert f"already approved by <@{AIKO}>" in " ".join(walk_text(answer.view.blocks))


def test_approval_may_carry_a_comment(harness: Harness) -> None:
    request = harness.ask()
    harness.slack.press(JON, harness.card(request), MORE, f"comment:{request.id}")
    harness.slack.submit(JON, harness.modal(JON), {"comment": {"answer": "Tell me when it is done"}})

    assert harness.stored(request).approver_comment == "Tell me when it is done"


@pytest.mark.parametrize("where", ["home", "list"])
def test_pending_request_can_be_decided_from_home_and_the_list(harness: Harness, where: str) -> None:
    request = harness.ask()
    if where == "home":
        home = harness.home(JON)
        harness.slack.press(JON, home, APPROVE)
        told = harness.slack.wait_until(lambda: _shown_at_home(harness, home.hash))
    else:
        harness.access(JON, "pending")
        (shown,) = harness.slack.ephemerals(JON)
        harness.next_reply(JON)
        harness.slack.press(JON, shown, APPROVE)
        assert harness.reads(JON, "Approved.")
        (now,) = harness.slack.ephemerals(JON)
        told = text_of(now)
        assert "Nothing is waiting for your decision." in told

    assert harness.status(request) is APPROVED
    assert f"Approved. <@{MIRA}> has `prod` until" in told


def test_list_shows_only_ones_own_and_what_waits_for_one(harness: Harness) -> None:
    harness.ask()
    answer = harness.access(SAM, "pending")

    assert answer.message is not None
    assert "Nothing is waiting for your decision." in str(answer.message.blocks)
    assert APPROVE not in str(harness.home(SAM).blocks)


def test_voted_request_does_not_wait_for_the_voter_any_more(harness: Harness) -> None:
    request = harness.ask(SAM, "vault", "1h")
    harness.slack.press(JON, harness.card(request), APPROVE)

    def waiting(user: str) -> str:
        return str(harness.access(user, "pending").message)

    assert request.id not in waiting(JON)
    assert request.id in waiting(AIKO)


def test_record_decides_and_not_the_message_acted_on(harness: Harness) -> None:
    """The button of another request's card, as no client would send it: only the id counts."""
    mine, other = harness.ask(), harness.ask(JON)
    payload = harness.slack.press(AIKO, harness.card(mine), APPROVE).payload
    forged = {**payload, "actions": [{**payload["actions"][0], "value": other.id}]}
    harness.slack.send_forged("interactive", forged)

    assert harness.status(other) is APPROVED
    assert harness.stored(other).approver == AIKO


@pytest.mark.parametrize("value", ["0" * 16, "", "REQUEST#1", "x" * 2000])
def test_button_that_leads_to_no_request_is_answered_in_words(harness: Harness, value: str) -> None:
    request = harness.ask()
    harness.slack.press(SAM, harness.card(request), APPROVE)
    harness.next_reply(SAM)
    payload = harness.slack.press(SAM, harness.card(request), APPROVE).payload
    harness.next_reply(SAM)
    answer = harness.slack.send_forged(
        "interactive", {**payload, "actions": [{**payload["actions"][0], "value": value}]}
    )

    assert answer.status == 200
    assert "Nothing was changed." in harness.next_reply(SAM)


def test_button_of_an_older_version_is_answered_in_words(harness: Harness) -> None:
    payload = harness.slack.press(SAM, harness.card(harness.ask()), APPROVE).payload
    harness.next_reply(SAM)
    old = {**payload, "actions": [{**payload["actions"][0], "action_id": "approve_v0"}]}

    assert harness.slack.send_forged("interactive", old).status == 200
    assert "another version of Countersign" in harness.next_reply(SAM)


def _shown_at_home(harness: Harness, before: str) -> str:
    home = harness.slack.home(JON)
    return " ".join(walk_text(home.blocks)) if home is not None and home.hash != before else ""


def test_environment_of_another_slack_app_changes_nothing(
    stores: Stores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bolt reads these on its own, and assumes an OAuth app if the first two are set.
    for name in ("CLIENT_ID", "CLIENT_SECRET", "BOT_TOKEN", "SIGNING_SECRET", "VERIFICATION_TOKEN"):
        monkeypatch.setenv(f"SLACK_{name}", "of-another-app")
    with Harness(stores, clock) as harness:
        request = harness.ask()
        harness.slack.press(JON, harness.card(request), APPROVE)

        assert harness.status(request) is RequestStatus.APPROVED
        assert "Approved." in harness.next_reply(JON)
