"""People who left lose their access: when an event says so and Slack confirms it, and by a check when none came."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from bot.interactions.departures import LISTED_SINCE, MAX_ASKED, MIN_ROUND, Departures
from bot.slack.questions import UNKNOWN
from core.access.device import Device, DeviceId, DeviceStatus
from core.access.reconciler import Reconciler
from core.actor import Actor, UserId
from core.directory import DirectoryNotes
from core.errors import NotAllowed, StoreUnavailable
from core.policy import parse_policy
from core.request import Request, RequestId
from core.request_bounds import OLDEST_LIVE
from core.services import DeviceService, GrantService, PairingService, RequestService, grants
from core.stores.record_store import iterate_newest_first
from core.targets.opening import PolicyTargets
from tests.core.access.harness import ScriptedTarget
from tests.harness.directory import OfficeDirectory

if TYPE_CHECKING:
    from core.services.grants import AccessEnds
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

HOUR: Final = timedelta(hours=1)
GIVES_UP_SECONDS: Final = 5
"""Only a test that fails waits this long."""
ANN, BEN, LEAD = (UserId(each) for each in ("U0ANN", "U0BEN", "U0LEAD"))
POLICY: Final = parse_policy(
    f"""\
version: 1
targets: {{box: {{type: webhook, url: "http://127.0.0.1:9/", secret: "env:NO_SECRET"}}}}
profiles: {{prod: {{channel: C0PROD, access: [{{target: box, resource: prod, level: admin}}]}}}}
approval: [{{name: prod, profiles: [prod], approvers: [{LEAD}], max_duration: 4h}}]
""".encode()
)


class Slack(OfficeDirectory):
    """A directory that can forget an account altogether."""

    def __init__(self) -> None:
        super().__init__()
        self.never_heard_of: set[str] = set()

    def person(self, user_id: UserId, notes: DirectoryNotes) -> Actor:
        if user_id in self.never_heard_of:
            raise NotAllowed("act", (UNKNOWN,))
        return super().person(user_id, notes)


class FailingService(GrantService):
    """The store is down for the first calls."""

    failures = 0

    def end_departed(self, person: UserId) -> AccessEnds:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("it is down")
        return super().end_departed(person)


@dataclass
class Workspace:
    """Who has access, who leaves, and what is done about it."""

    stores: Stores
    clock: FrozenClock
    slack: Slack
    service: FailingService
    departures: Departures
    on_pause: Callable[[], object] = lambda: None
    pauses: list[float] = field(default_factory=list)
    nudges: list[bool] = field(default_factory=list)

    def give(self, *people: str) -> list[Request]:
        """Access that is opening, for each of them."""
        requests = RequestService(
            self.stores, POLICY, self.clock, directory=self.slack, principals=PolicyTargets(POLICY, self.clock)
        )
        made = [requests.submit(Actor(id=UserId(each)), "prod", HOUR, "Deploy the fix for INC-12") for each in people]
        approved = [requests.approve(RequestId(each.id), Actor(id=LEAD)) for each in made]
        self.slack.confirmed.clear()
        return approved

    def hear(self, person: UserId, *, is_noted: bool = True) -> None:
        """An event says that this person left."""
        if is_noted:
            self.stores.directory.note([person], self.clock.now())
        self.departures.hear(person, self.clock.now())
        self.departures.flush()

    def pair(self, person: UserId) -> Device:
        """A terminal of this person."""
        pairing = PairingService(self.stores, POLICY, self.clock, directory=self.slack)
        started = pairing.start("laptop", "countersign", "192.0.2.7")
        pairing.confirm(started.user_code, Actor(id=person))
        return pairing.exchange(started.device_code, "192.0.2.7").device

    def ended(self) -> set[str]:
        """Those whose access ended early."""
        return {each.grantee for each in self.stores.access.iterate() if each.ended_early is not None}


@pytest.fixture
def workspace(stores: Stores, clock: FrozenClock) -> Iterator[Workspace]:
    slack = Slack()
    service = FailingService(stores, POLICY, clock, directory=slack)
    made: list[Workspace] = []

    def wait(_closing: threading.Event, seconds: float) -> None:
        made[0].pauses.append(seconds)
        made[0].on_pause()

    def nudge() -> None:
        made[0].nudges.append(True)

    devices = DeviceService(stores, POLICY, clock, directory=slack)
    departures = Departures(stores, service, devices, slack, clock, on_ended=nudge, wait=wait)
    made.append(Workspace(stores, clock, slack, service, departures))
    with closing(departures):
        yield made[0]


def test_person_who_left_loses_their_devices(workspace: Workspace) -> None:
    device, other = workspace.pair(ANN), workspace.pair(BEN)
    workspace.slack.leave(ANN)
    workspace.hear(ANN)

    assert workspace.stores.devices.get(DeviceId(device.id)).status is DeviceStatus.REVOKED
    assert workspace.stores.devices.get(DeviceId(other.id)).status is DeviceStatus.ACTIVE


def test_device_of_a_person_without_access_is_found_by_the_check(workspace: Workspace) -> None:
    device = workspace.pair(ANN)
    workspace.slack.leave(ANN)

    assert workspace.departures.check_some() + workspace.departures.check_some() == 1
    assert workspace.stores.devices.get(DeviceId(device.id)).status is DeviceStatus.REVOKED


def test_person_who_left_loses_access_once(workspace: Workspace) -> None:
    (request, _) = workspace.give(ANN, BEN)
    workspace.slack.leave(ANN)
    workspace.hear(ANN)
    (grant,) = workspace.service.find(request.chain)
    workspace.hear(ANN)

    assert workspace.ended() == {ANN}
    assert workspace.service.find(request.chain) == (grant,)
    assert grant.ended_early is not None
    assert grant.ended_early.by == "clock"
    assert workspace.nudges


def test_event_about_a_member_ends_nothing(workspace: Workspace) -> None:
    """Slack delivers an event again minutes later, and anybody who has the signing secret can send one."""
    workspace.give(ANN)
    workspace.hear(ANN)

    assert workspace.ended() == set()
    assert workspace.slack.confirmed == [ANN]


def test_slack_is_asked_with_the_note_of_the_change(workspace: Workspace) -> None:
    workspace.give(ANN)
    workspace.hear(ANN)

    assert workspace.slack.notes[-1].changed_at(ANN) == workspace.clock.now()


def test_access_ends_after_the_note_and_not_before(workspace: Workspace) -> None:
    workspace.give(ANN)
    workspace.slack.leave(ANN)
    paused, noted = threading.Event(), threading.Event()

    def hold() -> None:
        paused.set()
        noted.wait()

    workspace.on_pause = hold
    workspace.departures.hear(ANN, workspace.clock.now())
    assert paused.wait(GIVES_UP_SECONDS)
    assert workspace.ended() == set()
    workspace.stores.directory.note([ANN], workspace.clock.now())
    noted.set()
    workspace.departures.flush()

    assert workspace.ended() == {ANN}


def test_store_that_is_down_is_tried_again_later_and_later(workspace: Workspace) -> None:
    workspace.give(ANN)
    workspace.slack.leave(ANN)
    workspace.service.failures = 10
    workspace.hear(ANN)

    assert workspace.ended() == {ANN}
    assert len(workspace.pauses) == 10
    assert workspace.pauses == sorted(workspace.pauses)
    assert workspace.pauses[-1] == 30.0


def test_slack_that_says_nothing_is_asked_again(workspace: Workspace) -> None:
    workspace.give(ANN)
    workspace.slack.leave(ANN)
    workspace.slack.fall_silent(ANN)
    workspace.on_pause = workspace.slack.answer_again
    workspace.hear(ANN)

    assert workspace.ended() == {ANN}


def test_access_is_found_behind_a_page_of_others(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "iterate_newest_first", partial(iterate_newest_first, page_size=4))
    (first,) = workspace.give(BEN)
    # More than the first two pages: the second one is twice as long.
    for _ in range(13):
        workspace.clock.advance(timedelta(seconds=1))
        (quick,) = workspace.give(BEN)
        workspace.service.end(quick.chain, Actor(id=BEN))
    (grant,) = workspace.service.find(first.chain)
    targets = {"box": ScriptedTarget(workspace.clock)}
    while workspace.stores.access.count_live(2) > 1:
        Reconciler(workspace.stores.access, targets, workspace.clock).reconcile(grant.right)
    workspace.slack.leave(BEN)
    workspace.hear(BEN)
    (grant,) = workspace.service.find(first.chain)
    assert grant.ended_early is not None


def test_stranger_to_slack_keeps_their_access(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    """The token of another workspace knows nobody: that must not end everybody's access."""
    workspace.give(ANN, BEN)
    workspace.slack.never_heard_of = {ANN, BEN}
    with caplog.at_level(logging.ERROR):
        workspace.hear(ANN)
        workspace.departures.check_some()

    assert workspace.ended() == set()
    assert "Slack doesn't know this account" in caplog.text


def test_guest_without_access_costs_no_question(workspace: Workspace) -> None:
    workspace.hear(BEN)

    assert workspace.slack.confirmed == []


def test_check_finds_who_left_although_no_event_came(workspace: Workspace) -> None:
    workspace.give(ANN, BEN)
    workspace.slack.leave(ANN)

    assert workspace.departures.check_some() == 1
    assert workspace.ended() == {ANN}


def test_check_asks_about_a_few_at_a_time_and_all_in_turn(workspace: Workspace) -> None:
    people = [f"U0P{number}" for number in range(2 * MAX_ASKED + 1)]
    workspace.give(*people)
    workspace.give(*people[:3])
    asked = list[int]()
    for _ in range(4):
        workspace.departures.check_some()
        asked.append(len(workspace.slack.confirmed))

    assert asked == [MAX_ASKED, 2 * MAX_ASKED, len(people), len(people)]
    assert set(workspace.slack.confirmed) == set(people)
    workspace.clock.advance(MIN_ROUND)
    workspace.departures.check_some()
    assert len(workspace.slack.confirmed) == len(people) + MAX_ASKED


def test_check_leaves_out_those_about_whom_slack_is_silent(workspace: Workspace) -> None:
    workspace.give(ANN, BEN)
    workspace.slack.leave(BEN)
    workspace.slack.fall_silent(ANN)
    workspace.departures.check_some()

    assert workspace.ended() == {BEN}


def test_departures_look_back_to_the_oldest_access() -> None:
    """It may have been decided days before it opened."""
    assert LISTED_SINCE > OLDEST_LIVE
