"""When Slack's API or the store stalls: clicks are acknowledged truthfully, and each person learns the outcome."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.interactions import decision_queue
from bot.views.request.card import APPROVE, DENY
from core.request import RequestStatus
from core.stores.base import Stores
from localslack.faults import HangUp, Refuse, Stall
from tests.end_to_end.harness import JON, MIRA, SAM, WHY, Harness, text_of, walk_text
from tests.harness.clock import FrozenClock


@contextmanager
def a_stalled_store(path: Path) -> Iterator[None]:
    """Somebody else's transaction keeps the database busy, and decisions have only a moment for it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(decision_queue, "TIMEOUT_SECONDS", 0.5)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def store_of(tmp_path: Path) -> Path:
    return tmp_path / "countersign.db"


def test_acknowledgement_does_not_wait_for_slack(harness: Harness) -> None:
    request = harness.ask()
    card = harness.card(request)
    # Everybody was looked up once; from now on Slack answers nothing.
    harness.access(JON, "mine")
    harness.next_reply(JON)
    harness.slack.faults.next(stall := Stall(), times=None)

    press = harness.slack.press(JON, card, APPROVE)
    command = harness.access(MIRA, f"staging 2h {WHY}")
    opening = harness.slack.press(JON, card, DENY)
    home = harness.slack.open_home(JON)

    assert [each.failure for each in (press, command, opening, home)] == [None] * 4
    assert harness.status(request) is RequestStatus.APPROVED
    assert len(list(harness.stores.requests.iterate())) == 2
    harness.slack.faults.clear()
    stall.release()
    # Two replies to one person are sent side by side, so either of them may be the first.
    harness.slack.wait_until(lambda: any("Approved." in text_of(each) for each in harness.slack.ephemerals(JON)))


def test_action_on_a_stalled_store_is_reported_once_known(harness: Harness, tmp_path: Path) -> None:
    request = harness.ask()
    card = harness.card(request)
    with a_stalled_store(store_of(tmp_path)):
        answer = harness.slack.press(JON, card, APPROVE)
        assert answer.failure is None
        assert "This isn't recorded yet" in harness.next_reply(JON)
        assert harness.status(request) is RequestStatus.PENDING

    assert "Approved." in harness.next_reply(JON)
    assert harness.status(request) is RequestStatus.APPROVED


def test_command_on_a_stalled_store_says_so_and_reports_later(harness: Harness, tmp_path: Path) -> None:
    harness.access(MIRA, "mine")
    with a_stalled_store(store_of(tmp_path)):
        answer = harness.access(MIRA, f"prod 2h {WHY}")
        assert answer.message is not None
        assert "This isn't recorded yet" in text_of(answer.message)
        told = len(harness.slack.ephemerals(MIRA))

    harness.slack.wait_until(lambda: len(harness.slack.ephemerals(MIRA)) > told)
    assert "You requested `prod`" in text_of(harness.slack.ephemerals(MIRA)[-1])
    assert len(list(harness.stores.requests.iterate())) == 1


def test_form_on_a_stalled_store_says_so_and_then_the_outcome(harness: Harness, tmp_path: Path) -> None:
    request = harness.ask()
    harness.slack.press(JON, harness.card(request), DENY)
    form = harness.modal(JON)
    with a_stalled_store(store_of(tmp_path)):
        answer = harness.slack.submit(JON, form, {"reason": {"answer": "Not during the freeze"}})
        assert answer.view is not None
        assert "This isn't recorded yet" in " ".join(walk_text(answer.view.blocks))

    harness.slack.wait_until(lambda: "You denied" in " ".join(walk_text(harness.modal(JON).blocks)))
    assert harness.status(request) is RequestStatus.DENIED


def test_outcome_of_a_closed_form_comes_as_a_direct_message(harness: Harness, tmp_path: Path) -> None:
    request = harness.ask()
    harness.slack.press(JON, harness.card(request), DENY)
    form = harness.modal(JON)
    with a_stalled_store(store_of(tmp_path)):
        harness.slack.submit(JON, form, {"reason": {"answer": "Not during the freeze"}})
        harness.slack.close(JON, harness.modal(JON))

    harness.slack.wait_until(lambda: harness.slack.dm(JON))
    assert "You denied" in text_of(harness.slack.dm(JON)[-1])


def test_damaged_record_is_reported_to_the_person_and_operators(
    harness: Harness, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    request = harness.ask()
    card = harness.card(request)
    with closing(sqlite3.connect(store_of(tmp_path))) as connection, connection:
        connection.execute("UPDATE requests SET body = '{}'")
    harness.slack.press(JON, card, APPROVE)

    assert "Tell your security team" in harness.next_reply(JON)
    assert "a click could not be decided: BrokenSeal" in caplog.text
    assert request.chain in caplog.text


def test_overload_tells_the_person_that_nothing_was_recorded(
    stores: Stores, clock: FrozenClock, tmp_path: Path
) -> None:
    with Harness(stores, clock, max_waiting=1) as harness:
        request, other = harness.ask(), harness.ask(SAM, "staging", "2h")
        first, second = harness.card(request), harness.card(other)
        with a_stalled_store(store_of(tmp_path)):
            harness.slack.press(JON, first, APPROVE)
            assert "isn't recorded yet" in harness.next_reply(JON)
            assert harness.slack.press(JON, second, APPROVE).failure is None
            assert "Countersign is overloaded. Nothing was recorded; try again in a moment." in harness.next_reply(JON)

        assert "Approved." in harness.next_reply(JON)
        assert harness.status(other) is RequestStatus.PENDING


def test_form_that_does_not_open_is_reported(harness: Harness) -> None:
    card = harness.card(harness.ask())
    harness.slack.faults.next(Refuse("internal_error"), "views.open")
    harness.slack.press(JON, card, DENY)

    assert "The form didn't open" in harness.next_reply(JON)


def test_answer_that_slack_refused_comes_as_a_direct_message(harness: Harness) -> None:
    card = harness.card(harness.ask())
    harness.slack.faults.next(HangUp(), "response_url")
    harness.slack.press(JON, card, APPROVE)

    harness.slack.wait_until(lambda: harness.slack.dm(JON))
    assert "Approved." in text_of(harness.slack.dm(JON)[-1])
