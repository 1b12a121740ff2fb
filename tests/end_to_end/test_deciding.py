"""Deciding: whatever is pressed, by whom and how often, there is one right state and one plain answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from bot.views.request.card import APPROVE, CANCEL, DENY, MORE
from core.request import RequestStatus
from core.stores.base import Stores
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from tests.end_to_end.stage import AIKO, GUEST, JON, MIRA, ROBOT, SAM, STRANGER, Harness, walk_text
from tests.harness.clock import FrozenClock

APPROVED, DENIED, PENDING = RequestStatus.APPROVED, RequestStatus.DENIED, RequestStatus.PENDING
NO_ID = {"value": "0" * 16}


def test_approve_opens_the_window_and_says_until_when(stage: Harness) -> None:
    request = stage.ask()
    stage.slack.press(JON, stage.card(request), APPROVE)

    assert stage.status(request) is APPROVED
    assert f"Approved. <@{MIRA}> has `prod` until" in stage.told(JON)


def test_two_approvers_at_once_decide_once_and_both_learn_who(stage: Harness) -> None:
    request = stage.ask()
    card, together = stage.card(request), Barrier(2)

    def press(user: str) -> None:
        together.wait()
        stage.slack.press(user, card, APPROVE)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(press, (JON, AIKO)))

    winner = stage.stored(request).approver
    loser = {JON, AIKO} - {winner}
    assert f"This was already approved by <@{winner}> just now" in stage.told(*loser)
    assert "Approved." in stage.told(str(winner))


def test_action_in_another_instance_is_judged_by_the_record(stage: Harness, tmp_path: Path) -> None:
    request, waiting = stage.ask(), stage.ask()
    card, other = stage.card(request), stage.card(waiting)
    stage.slack.press(JON, card, APPROVE)
    with (
        closing(SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(clock=stage.clock))) as stores,
        Harness(stores, stage.clock, slack=stage.slack) as second,
    ):
        second.slack.press(AIKO, card, APPROVE)
        assert f"already approved by <@{JON}>" in stage.told(AIKO)
        second.slack.press(AIKO, other, APPROVE)

    assert stage.stored(request).approver == JON
    assert stage.stored(waiting).approver == AIKO


def test_a_double_click_counts_once_and_says_the_same_twice(stage: Harness) -> None:
    request = stage.ask(SAM, "vault", "1h")
    card = stage.card(request)
    stage.slack.press(JON, card, APPROVE)
    first = stage.told(JON)
    stage.slack.press(JON, card, APPROVE)

    assert first == stage.told(JON) == "Your approval counts. 1 more is needed."
    assert len(stage.stored(request).approvals) == 1


def test_action_that_slack_delivers_again_changes_nothing(stage: Harness) -> None:
    request = stage.ask()
    answer = stage.slack.press(JON, stage.card(request), APPROVE)
    decided = stage.stored(request)
    stage.slack.redeliver(answer)

    assert stage.stored(request) == decided


def test_action_after_the_deadline_expires_the_request(stage: Harness) -> None:
    request = stage.ask()
    card = stage.card(request)
    stage.clock.advance(timedelta(hours=24))
    stage.slack.press(JON, card, APPROVE)

    assert stage.status(request) is RequestStatus.EXPIRED
    assert "This expired just now. Nothing was changed." in stage.told(JON)


def test_action_on_a_cancelled_request_says_who_cancelled_it(stage: Harness) -> None:
    request = stage.ask()
    card = stage.card(request)
    stage.slack.press(MIRA, card, CANCEL)
    stage.clock.advance(timedelta(minutes=2))
    stage.slack.press(JON, card, APPROVE)

    assert stage.status(request) is RequestStatus.CANCELLED
    assert stage.told(MIRA) == "Your request for `prod` is cancelled."
    assert f"This was already cancelled by <@{MIRA}> 2 minutes ago. Nothing was changed." in stage.told(JON)


def test_requester_never_decides_though_the_policy_names_them(stage: Harness) -> None:
    request = stage.ask(MIRA)
    stage.slack.press(MIRA, stage.card(request), APPROVE)

    assert stage.status(request) is PENDING
    assert "you are the requester, and nobody decides on their own request" in stage.told(MIRA)


@pytest.mark.parametrize("user", [SAM, GUEST, ROBOT, STRANGER])
@pytest.mark.parametrize("button", [APPROVE, CANCEL])
def test_person_without_the_right_changes_nothing_and_reads_why(stage: Harness, user: str, button: str) -> None:
    request = stage.ask()
    stage.slack.press(user, stage.card(request), button)

    assert stage.status(request) is PENDING
    assert "Nothing was changed." in stage.told(user)


def test_a_denial_asks_why_and_ends_the_request(stage: Harness) -> None:
    request = stage.ask()
    stage.slack.press(JON, stage.card(request), DENY)
    answer = stage.slack.submit(JON, stage.modal(JON), {"reason": {"answer": "Not during the freeze"}})

    decided = stage.stored(request)
    assert (decided.status, decided.approver, decided.approver_comment) == (DENIED, JON, "Not during the freeze")
    assert answer.view is not None
    assert f"Denied. <@{MIRA}> will be notified, with your reason." in " ".join(walk_text(answer.view.blocks))


def test_a_denial_without_a_reason_is_a_mistake_in_its_field(stage: Harness) -> None:
    request = stage.ask()
    stage.slack.press(JON, stage.card(request), DENY)
    answer = stage.slack.submit(JON, stage.modal(JON), {"reason": {"answer": "  no  "}})

    assert "at least 3" in answer.errors["reason"]
    assert stage.status(request) is PENDING


def test_a_denial_that_comes_too_late_says_who_was_quicker(stage: Harness) -> None:
    request = stage.ask()
    card = stage.card(request)
    stage.slack.press(JON, card, DENY)
    stage.modal(JON)
    stage.slack.press(AIKO, card, APPROVE)
    answer = stage.slack.submit(JON, stage.modal(JON), {"reason": {"answer": "Not during the freeze"}})

    assert stage.status(request) is APPROVED
    assert answer.view is not None
    assert f"already approved by <@{AIKO}>" in " ".join(walk_text(answer.view.blocks))


def test_an_approval_may_carry_a_comment(stage: Harness) -> None:
    request = stage.ask()
    stage.slack.press(JON, stage.card(request), MORE, f"comment:{request.id}")
    stage.slack.submit(JON, stage.modal(JON), {"comment": {"answer": "Tell me when it is done"}})

    assert stage.stored(request).approver_comment == "Tell me when it is done"


@pytest.mark.parametrize("where", ["home", "list"])
def test_pending_request_can_be_decided_from_home_and_the_list(stage: Harness, where: str) -> None:
    request = stage.ask()
    if where == "home":
        home = stage.home(JON)
        stage.slack.press(JON, home, APPROVE)
        told = stage.slack.wait_until(lambda: _shown_at_home(stage, home.hash))
    else:
        stage.access(JON, "pending")
        (shown,) = stage.slack.ephemerals(JON)
        stage.told(JON)
        stage.slack.press(JON, shown, APPROVE)
        told = stage.told(JON)

    assert stage.status(request) is APPROVED
    assert f"Approved. <@{MIRA}> has `prod` until" in told


def test_list_shows_only_ones_own_and_what_waits_for_one(stage: Harness) -> None:
    stage.ask()
    answer = stage.access(SAM, "pending")

    assert answer.message is not None
    assert "Nothing is waiting for your decision." in str(answer.message.blocks)
    assert APPROVE not in str(stage.home(SAM).blocks)


def test_voted_request_does_not_wait_for_the_voter_any_more(stage: Harness) -> None:
    request = stage.ask(SAM, "vault", "1h")
    stage.slack.press(JON, stage.card(request), APPROVE)

    def waiting(user: str) -> str:
        return str(stage.access(user, "pending").message)

    assert request.id not in waiting(JON)
    assert request.id in waiting(AIKO)


def test_record_decides_and_not_the_message_acted_on(stage: Harness) -> None:
    """The button of another request's card, as no client would send it: only the id counts."""
    mine, other = stage.ask(), stage.ask(JON)
    payload = stage.slack.press(AIKO, stage.card(mine), APPROVE).payload
    forged = {**payload, "actions": [{**payload["actions"][0], "value": other.id}]}
    stage.slack.send_forged("interactive", forged)

    assert stage.status(other) is APPROVED
    assert stage.stored(other).approver == AIKO


@pytest.mark.parametrize("value", ["0" * 16, "", "REQUEST#1", "x" * 2000])
def test_a_button_that_leads_to_no_request_is_answered_in_words(stage: Harness, value: str) -> None:
    request = stage.ask()
    stage.slack.press(SAM, stage.card(request), APPROVE)
    stage.told(SAM)
    payload = stage.slack.press(SAM, stage.card(request), APPROVE).payload
    stage.told(SAM)
    answer = stage.slack.send_forged("interactive", {**payload, "actions": [{**payload["actions"][0], "value": value}]})

    assert answer.status == 200
    assert "Nothing was changed." in stage.told(SAM)


def test_a_button_of_an_older_version_is_answered_in_words(stage: Harness) -> None:
    payload = stage.slack.press(SAM, stage.card(stage.ask()), APPROVE).payload
    stage.told(SAM)
    old = {**payload, "actions": [{**payload["actions"][0], "action_id": "approve_v0"}]}

    assert stage.slack.send_forged("interactive", old).status == 200
    assert "another version of Countersign" in stage.told(SAM)


def _shown_at_home(stage: Harness, before: str) -> str:
    home = stage.slack.home(JON)
    return " ".join(walk_text(home.blocks)) if home is not None and home.hash != before else ""


def test_environment_of_another_slack_app_changes_nothing(
    stores: Stores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bolt reads these by itself, and takes an app with the first two for one that is installed by OAuth.
    for name in ("CLIENT_ID", "CLIENT_SECRET", "BOT_TOKEN", "SIGNING_SECRET", "VERIFICATION_TOKEN"):
        monkeypatch.setenv(f"SLACK_{name}", "of-another-app")
    with Harness(stores, clock) as stage:
        request = stage.ask()
        stage.slack.press(JON, stage.card(request), APPROVE)

        assert stage.status(request) is RequestStatus.APPROVED
        assert "Approved." in stage.told(JON)
