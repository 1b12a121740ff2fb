"""When Slack's API or the store stands still: clicks are acknowledged, truly, and each outcome is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.views.request.card import APPROVE, DENY
from core.request import RequestStatus
from core.stores.base import Stores
from localslack.faults import HangUp, Refuse, Stall
from tests.end_to_end.stage import JON, MIRA, SAM, WHY, Harness, text_of, walk_text
from tests.harness.clock import FrozenClock


@contextmanager
def a_stalled_store(path: Path) -> Iterator[None]:
    """Somebody else's transaction keeps the database busy."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def store_of(tmp_path: Path) -> Path:
    return tmp_path / "countersign.db"


def test_acknowledgement_does_not_wait_for_slack(stage: Harness) -> None:
    request = stage.ask()
    card = stage.card(request)
    # Everybody was looked up once; from now on Slack answers nothing.
    stage.access(JON, "mine")
    stage.told(JON)
    stage.slack.faults.next(stall := Stall(), times=None)

    press = stage.slack.press(JON, card, APPROVE)
    command = stage.access(MIRA, f"staging 2h {WHY}")
    opening = stage.slack.press(JON, card, DENY)

    assert [each.failure for each in (press, command, opening)] == [None, None, None]
    assert stage.status(request) is RequestStatus.APPROVED
    assert len(list(stage.stores.requests.iterate())) == 2
    stage.slack.faults.clear()
    stall.release()
    assert "Approved." in stage.told(JON)


def test_action_on_a_stalled_store_is_reported_once_known(stage: Harness, tmp_path: Path) -> None:
    request = stage.ask()
    card = stage.card(request)
    with a_stalled_store(store_of(tmp_path)):
        answer = stage.slack.press(JON, card, APPROVE)
        assert answer.failure is None
        assert "This isn't recorded yet" in stage.told(JON)
        assert stage.status(request) is RequestStatus.PENDING

    assert "Approved." in stage.told(JON)
    assert stage.status(request) is RequestStatus.APPROVED


def test_command_on_a_stalled_store_says_so_and_reports_later(stage: Harness, tmp_path: Path) -> None:
    stage.access(MIRA, "mine")
    with a_stalled_store(store_of(tmp_path)):
        answer = stage.access(MIRA, f"prod 2h {WHY}")
        assert answer.message is not None
        assert "This isn't recorded yet" in text_of(answer.message)
        told = len(stage.slack.ephemerals(MIRA))

    stage.slack.wait_until(lambda: len(stage.slack.ephemerals(MIRA)) > told)
    assert "You requested `prod`" in text_of(stage.slack.ephemerals(MIRA)[-1])
    assert len(list(stage.stores.requests.iterate())) == 1


def test_form_on_a_stalled_store_says_so_and_then_the_outcome(stage: Harness, tmp_path: Path) -> None:
    request = stage.ask()
    stage.slack.press(JON, stage.card(request), DENY)
    form = stage.modal(JON)
    with a_stalled_store(store_of(tmp_path)):
        answer = stage.slack.submit(JON, form, {"reason": {"answer": "Not during the freeze"}})
        assert answer.view is not None
        assert "This isn't recorded yet" in " ".join(walk_text(answer.view.blocks))

    stage.slack.wait_until(lambda: "Denied." in " ".join(walk_text(stage.modal(JON).blocks)))
    assert stage.status(request) is RequestStatus.DENIED


def test_outcome_of_a_closed_form_comes_as_a_direct_message(stage: Harness, tmp_path: Path) -> None:
    request = stage.ask()
    stage.slack.press(JON, stage.card(request), DENY)
    form = stage.modal(JON)
    with a_stalled_store(store_of(tmp_path)):
        stage.slack.submit(JON, form, {"reason": {"answer": "Not during the freeze"}})
        stage.slack.close(JON, stage.modal(JON))

    stage.slack.wait_until(lambda: stage.slack.dm(JON))
    assert "Denied." in text_of(stage.slack.dm(JON)[-1])


def test_damaged_record_is_reported_to_the_person_and_operators(
    stage: Harness, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    request = stage.ask()
    card = stage.card(request)
    with closing(sqlite3.connect(store_of(tmp_path))) as connection, connection:
        connection.execute("UPDATE requests SET body = '{}'")
    stage.slack.press(JON, card, APPROVE)

    assert "tell the people who run Countersign" in stage.told(JON)
    assert "a click could not be decided: MalformedRecord" in caplog.text
    assert request.chain in caplog.text


def test_overload_tells_the_person_that_nothing_was_recorded(
    stores: Stores, clock: FrozenClock, tmp_path: Path
) -> None:
    with Harness(stores, clock, max_waiting=1) as stage:
        request, other = stage.ask(), stage.ask(SAM, "staging", "2h")
        first, second = stage.card(request), stage.card(other)
        with a_stalled_store(store_of(tmp_path)):
            stage.slack.press(JON, first, APPROVE)
            assert "isn't recorded yet" in stage.told(JON)
            assert stage.slack.press(JON, second, APPROVE).failure is None
            assert "Countersign is overloaded. Nothing was recorded; try again in a moment." in stage.told(JON)

        assert "Approved." in stage.told(JON)
        assert stage.status(other) is RequestStatus.PENDING


def test_form_that_does_not_open_is_reported(stage: Harness) -> None:
    card = stage.card(stage.ask())
    stage.slack.faults.next(Refuse("internal_error"), "views.open")
    stage.slack.press(JON, card, DENY)

    assert "The form didn't open" in stage.told(JON)


def test_answer_that_slack_refused_comes_as_a_direct_message(stage: Harness) -> None:
    card = stage.card(stage.ask())
    stage.slack.faults.next(HangUp(), "response_url")
    stage.slack.press(JON, card, APPROVE)

    stage.slack.wait_until(lambda: stage.slack.dm(JON))
    assert "Approved." in text_of(stage.slack.dm(JON)[-1])
