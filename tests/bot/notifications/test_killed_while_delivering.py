"""kill -9 at every step between a commit and the end of its delivery: everything that was due is delivered, in order.

A message is posted twice in one case only: the process died after Slack had posted it, and before it could note where.
"""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from core.outbox.outbox import LEASE
from localslack.faults import Stall
from tests.bot.notifications.deliver_until_killed import tell
from tests.bot.notifications.harness import CHANNEL, DECIDED, Office, buttons, says
from tests.core.services.harness import ANN, BOB, RITA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

STEPS: Final = (
    ("chat.postMessage", "card"),
    ("chat.update", "vote"),
    ("chat.postMessage", "vote"),
    ("chat.update", "approval"),
    ("chat.postMessage", "approval"),
    ("conversations.open", "outcome"),
    ("chat.postMessage", "outcome"),
)
"""Every call for a request with one vote and an approval, in their order, and what it tells."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "countersign.db"


@pytest.mark.parametrize("after_effect", [False, True], ids=["before Slack did it", "after Slack did it"])
@pytest.mark.parametrize("step", range(len(STEPS)), ids=lambda step: f"{step + 1} {' '.join(STEPS[step])}")
def test_kill_during_a_slack_call_loses_nothing(
    office: Office, database: Path, step: int, *, after_effect: bool
) -> None:
    _decide(office)
    method, part = STEPS[step]
    earlier = sum(1 for each, _ in STEPS[:step] if each == method)
    stall = Stall(after_effect=after_effect)
    passed: list[str] = []

    def is_it(_arguments: object) -> bool:
        passed.append(method)
        return len(passed) > earlier

    office.slack.faults.next(stall, method, where=is_it)
    with _delivering(office, database) as process:
        assert stall.reached.wait(timeout=120)
        process.kill()
        process.join()
    _deliver_the_rest(office)

    is_repeated = after_effect and method == "chat.postMessage"
    _assert_all_is_delivered(office, twice=part if is_repeated else None)


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_kill_after_posting_and_before_saving_posts_nothing_lost(office: Office, database: Path, seq: int) -> None:
    _decide(office)
    with _delivering(office, database, dies_at=seq) as process:
        process.join(timeout=120)
        assert process.exitcode == -9
    _deliver_the_rest(office)

    _assert_all_is_delivered(office, twice=None)


def _decide(office: Office) -> None:
    request = office.submit()
    office.approve(request, ANN)
    office.approve(request, BOB)


@contextmanager
def _delivering(office: Office, database: Path, dies_at: int = 0) -> Iterator[ForkServerProcess]:
    # The server is forked before any thread starts, and forks quickly.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.bot.notifications.deliver_until_killed"])
    slack = office.slack
    arguments = (str(database), slack.api_url, slack.bot_token, office.clock.now(), dies_at)
    process = context.Process(target=tell, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def _deliver_the_rest(office: Office) -> None:
    """What another instance does: it finds the lease of the dead one, and waits until it has run out."""
    office.slack.faults.clear()
    office.deliver()
    assert office.waiting() != []
    office.clock.advance(LEASE)
    office.deliver_all()


def _assert_all_is_delivered(office: Office, twice: str | None) -> None:
    assert (office.waiting(), office.parked()) == ([], [])
    *orphans, card = office.cards()
    assert len(orphans) == (twice == "card")
    assert "*Approved*" in says(card)
    assert buttons(card) == DECIDED
    votes = [f"<@{ANN.id}> approved: 1 of 2 approvals."] * (2 if twice == "vote" else 1)
    told = office.replies(card)
    assert told[: len(votes)] == votes
    assert [each.partition(".")[0] for each in told[len(votes) :]] == [f"Approved by <@{BOB.id}>"] * (
        2 if twice == "approval" else 1
    )
    assert len(office.directs(RITA.id)) == (2 if twice == "outcome" else 1)
    assert len(office.slack.messages(CHANNEL)) == len(orphans) + 1 + len(told)
