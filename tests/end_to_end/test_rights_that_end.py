"""A right that ends, ends in every instance, although Slack tells only one; and an emergency waits for nobody."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from core.audit.trail import AuditAction
from core.break_glass import EventStatus
from core.request import RequestId, RequestStatus
from localslack.faults import Refuse, Stall
from localslack.records import Person, UserGroup
from tests.end_to_end.harness import ACCESS, AIKO, JON, MIRA, PAIRS, SAM, Harness, new_slack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.request import Request
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

LEADS, ONCALL = "S0LEADS", "S0ONCALL"
POLICY = f"""\
version: 1
profiles:
  prod: {{channel: {ACCESS}}}
approval:
  - {{name: prod, profiles: [prod], approvers: [{LEADS}], max_duration: 4h}}
security_channel: {PAIRS}
break_glass:
  - {{name: by-id, profiles: [prod], users: [{SAM}], max_duration: 2h}}
  - {{name: by-group, profiles: [prod], users: [{ONCALL}], max_duration: 1h}}
""".encode()


class TwoInstances:
    """Two instances of the bot on one store. The first hears the events of Slack, the second gets the clicks."""

    def __init__(self, first: Harness, second: Harness) -> None:
        self.first = first
        self.second = second
        self.slack = first.slack

    def hear(self, change: Person | UserGroup) -> None:
        """Slack tells the first instance, and it alone, that something changed; its note is written."""
        self.first.get_clicks()
        if isinstance(change, UserGroup):
            self.slack.edit_group(change)
        else:
            self.slack.edit_person(change)
        self.first.bot.changes.flush()
        self.second.get_clicks()

    def decide(self, user: str, request: Request) -> Request:
        """Press Approve where the second instance answers; the request as it is then."""
        card = self.slack.wait_until(lambda: self.slack.messages(ACCESS))[0]
        answer = self.slack.press(user, card, "request:approve", value=request.id)
        assert not answer.failure
        return self.second.stores.requests.get(RequestId(request.id))


@pytest.fixture
def two(stores_on_each_engine: Stores, clock: FrozenClock) -> Iterator[TwoInstances]:
    slack = new_slack(clock)
    slack.workspace.add(
        UserGroup(id=LEADS, handle="leads", users=(JON, AIKO)), UserGroup(id=ONCALL, handle="oncall", users=(MIRA,))
    )
    with ExitStack() as running:
        running.callback(slack.stop)
        first, second = (
            running.enter_context(Harness(stores_on_each_engine, clock, slack=slack, policy=POLICY)) for _ in range(2)
        )
        second.get_clicks()
        # Both know everybody: without a note, their answers would count for ten minutes.
        for each in (first, second):
            for user in (MIRA, JON, AIKO, SAM):
                each.bot.directory.actor(user, None)
            slack.wait_until(lambda each=each: each.bot.directory.known(JON).memberships)  # type: ignore[misc]
        yield TwoInstances(first, second)


def test_removed_approver_is_refused_by_the_other_instance(two: TwoInstances) -> None:
    request = two.second.ask()
    two.hear(UserGroup(id=LEADS, handle="leads", users=(AIKO,)))

    assert two.decide(JON, request).status is RequestStatus.PENDING
    assert two.decide(AIKO, request).status is RequestStatus.APPROVED


def test_deactivated_approver_is_refused_in_the_other_instance(two: TwoInstances) -> None:
    request = two.second.ask()
    two.hear(Person(id=JON, name="jon", deleted=True))

    assert two.decide(JON, request).status is RequestStatus.PENDING


def test_guest_may_not_break_the_glass_in_the_other_instance(two: TwoInstances) -> None:
    two.hear(Person(id=SAM, name="sam", is_restricted=True))

    two.second.break_glass(SAM, "prod incident 1h the checkout does not answer")
    assert list(two.second.stores.break_glass.iterate()) == []


def test_removed_invoker_is_refused_by_the_other_instance(two: TwoInstances) -> None:
    two.hear(UserGroup(id=ONCALL, handle="oncall"))

    two.second.break_glass(MIRA, "prod incident 1h the checkout does not answer")
    assert list(two.second.stores.break_glass.iterate()) == []


def test_removal_is_announced_once(two: TwoInstances) -> None:
    two.hear(UserGroup(id=LEADS, handle="leads", users=(AIKO,), updated_by=MIRA))
    # Slack delivers it again, to the other instance; and an edit that changes no members comes too.
    two.slack.send_event({"type": "subteam_updated", "subteam": {"id": LEADS}})
    two.hear(UserGroup(id=LEADS, handle="leads", name="The leads", users=(AIKO,), updated_by=MIRA))
    two.second.bot.changes.flush()
    two.second.deliver()

    (entry,) = [
        each for each in two.second.stores.audit.get_chain("DIRECTORY") if each.event is AuditAction.USER_GROUP_CHANGED
    ]
    assert (entry.details["removed"], entry.details["rules"]) == ([JON], ["approvers of prod"])
    (post,) = two.slack.wait_until(lambda: two.slack.messages(PAIRS))
    assert post.text == f":eyes: The user group <!subteam^{LEADS}> has changed in Slack. Removed: <@{JON}>."


def test_event_about_a_large_group_takes_rights_away_too(two: TwoInstances) -> None:
    """Slack leaves out members after the first 500, so the event itself doesn't say who is left."""
    crowd = tuple(f"U0CROWD{number}" for number in range(600))
    request = two.second.ask()
    two.hear(UserGroup(id=LEADS, handle="leads", users=(*crowd, AIKO)))

    assert two.decide(JON, request).status is RequestStatus.PENDING
    assert two.decide(AIKO, request).status is RequestStatus.APPROVED


def test_person_named_by_id_needs_no_user_group(stores: Stores, clock: FrozenClock) -> None:
    slack = new_slack(clock)
    stall = Stall()
    slack.faults.next(stall, "usergroups.list", times=None)
    with Harness(stores, clock, slack=slack, policy=POLICY) as harness:
        answer = harness.break_glass(SAM, "prod incident 1h the checkout does not answer")
        assert not answer.failure
        (event,) = stores.break_glass.iterate()
        assert (event.invoker, event.status) == (SAM, EventStatus.ACTIVE)
        stall.release()
    slack.stop()


def test_person_named_by_an_unknown_group_is_refused(stores: Stores, clock: FrozenClock) -> None:
    slack = new_slack(clock)
    slack.workspace.add(UserGroup(id=ONCALL, handle="oncall", users=(MIRA,)))
    slack.faults.next(Refuse("internal_error"), "usergroups.list", times=None)
    with Harness(stores, clock, slack=slack, policy=POLICY) as harness:
        harness.break_glass(MIRA, "prod incident 1h the checkout does not answer")
        assert list(stores.break_glass.iterate()) == []
    slack.stop()


def test_damaged_notes_stop_no_emergency_and_are_repaired(stores: Stores, clock: FrozenClock, tmp_path: Path) -> None:
    with Harness(stores, clock, policy=POLICY) as harness:
        stores.directory.note([JON], clock.now())
        with closing(sqlite3.connect(tmp_path / "countersign.db")) as connection, connection:
            connection.execute("UPDATE ledgers SET body = '{' WHERE owner = 'DIRECTORY'")
        assert stores.directory.notes().updated_at is None

        harness.break_glass(SAM, "prod incident 1h the checkout does not answer")
        harness.bot.changes.flush()

        (event,) = stores.break_glass.iterate()
        assert event.invoker == SAM
        # Whoever changed before the damage is still noted: everybody is.
        repaired = stores.directory.notes()
        assert repaired.updated_at is not None
        assert repaired.changed_at(JON) is not None
