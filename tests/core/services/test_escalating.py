"""Escalation: each step announced once, by the policy of the moment, and who decides whether or not it was."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.actor import Actor, UserId
from core.audit.replay import find_contradictions
from core.clock import TICK
from core.directory import FixedDirectory
from core.duration import to_nanoseconds
from core.errors import NotAllowed
from core.request import Request, RequestId, RequestStatus
from core.services import RequestService
from core.services.previews import Previews
from core.services.timeline import read_request_timeline
from tests.builders import HOUR
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    DEPLOY,
    RITA,
    ChangingPolicy,
    Disturbance,
    DisturbedStores,
    person,
    trail,
)

if TYPE_CHECKING:
    from core.stores import Stores
    from tests.harness.clock import FrozenClock

SAM: Final = person("U0SAM")
LEA: Final = person("U0LEA")
MINUTE: Final = timedelta(minutes=1)
STEPS: Final = "    escalation: [{after: 10m, to: [U0SAM]}, {after: 30m, to: [U0LEA]}]\n"
IN_OFFICE_HOURS: Final = "    approver_hours: {hours: '09:00-17:00', timezone: UTC}\n"
FIRST: Final = {"from_step": 1, "steps": 1, "escalate_after": to_nanoseconds(10 * MINUTE), "to": ["U0SAM"]}


def escalating(more: str = "", steps: str = STEPS) -> dict[str, str]:
    """The rule of prod, with these steps."""
    return {"    remind_after: 3h\n": f"    remind_after: 3h\n{steps}{more}"}


@pytest.fixture
def pending(requests: RequestService, policy: ChangingPolicy) -> Request:
    """A request whose rule has two steps."""
    policy.edit(escalating())
    return requests.submit(RITA, "prod", HOUR, DEPLOY)


def id_of(request: Request) -> RequestId:
    return RequestId(request.id)


def test_step_is_announced_at_its_exact_time_and_once(
    requests: RequestService, stores: Stores, clock: FrozenClock, pending: Request
) -> None:
    clock.advance(10 * MINUTE - TICK)
    assert requests.escalate_due() == ()
    clock.advance(TICK)
    (escalated,) = requests.escalate_due()
    assert (escalated.status, escalated.escalated_steps) == (RequestStatus.PENDING, 1)
    assert requests.escalate_due() == ()
    entry = stores.audit.get_chain(pending.chain)[-1]
    assert entry.details == {"rule": "prod", **FIRST}
    clock.advance(20 * MINUTE)
    (escalated,) = requests.escalate_due()
    assert escalated.escalated_steps == 2
    assert stores.audit.get_chain(pending.chain)[-1].details["to"] == ["U0LEA"]
    assert list(find_contradictions(escalated, stores.audit.get_chain(pending.chain))) == []


def test_steps_that_came_unseen_are_one_announcement(
    requests: RequestService, stores: Stores, clock: FrozenClock, pending: Request
) -> None:
    clock.advance(HOUR)
    (escalated,) = requests.escalate_due()
    assert escalated.escalated_steps == 2
    details = stores.audit.get_chain(pending.chain)[-1].details
    assert (details["from_step"], details["steps"], details["to"]) == (1, 2, ["U0SAM", "U0LEA"])
    assert requests.escalate_due() == ()


def test_step_decides_though_nobody_announced_it(
    requests: RequestService, clock: FrozenClock, pending: Request
) -> None:
    with pytest.raises(NotAllowed, match="U0SAM is not among the approvers of rule prod"):
        requests.approve(id_of(pending), SAM)
    requests.approve(id_of(pending), ANN)
    clock.advance(10 * MINUTE)
    approved = requests.approve(id_of(pending), SAM)
    assert (approved.status, approved.escalated_steps) == (RequestStatus.APPROVED, 0)


def test_step_reads_the_timeline_of_what_it_may_decide(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, clock: FrozenClock, pending: Request
) -> None:
    def read(reader: Actor) -> Request:
        return read_request_timeline(stores, policy, id_of(pending), reader, FixedDirectory(), clock.now()).request

    clock.advance(10 * MINUTE)
    denied = requests.deny(id_of(pending), SAM, "not today")
    clock.advance(HOUR)
    assert read(SAM) == denied
    # Its step would have come by now.
    with pytest.raises(NotAllowed, match="U0LEA is not among the approvers"):
        read(LEA)


@pytest.mark.parametrize("end", ["approve", "deny", "cancel", "expire"])
def test_ended_request_escalates_to_nobody(
    requests: RequestService, clock: FrozenClock, pending: Request, end: str
) -> None:
    match end:
        case "approve":
            for each in (ANN, BOB):
                requests.approve(id_of(pending), each)
        case "deny":
            requests.deny(id_of(pending), ANN, "not today")
        case "cancel":
            requests.cancel(id_of(pending), RITA)
        case _:
            clock.set(pending.expires_at)
    clock.advance(HOUR)
    assert requests.escalate_due() == ()


def test_policy_of_the_moment_says_who_and_when(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock, pending: Request
) -> None:
    clock.advance(5 * MINUTE)
    policy.edit(escalating(steps="    escalate_after: 5m\n    escalate_to: [U0LEA]\n"))
    assert [each.escalated_steps for each in requests.escalate_due()] == [1]
    requests.approve(id_of(pending), LEA)
    policy.edit({})
    with pytest.raises(NotAllowed):
        requests.deny(id_of(pending), SAM, "not now")
    # The vote of who is no longer of a step lapses before the last one counts.
    requests.approve(id_of(pending), ANN)
    voted = requests.approve(id_of(pending), BOB)
    assert [(vote.approver, vote.counts) for vote in voted.approvals] == [
        (LEA.id, False), (ANN.id, True), (BOB.id, True),
    ]  # fmt: skip


def test_deciding_vote_keeps_the_earlier_vote_of_a_step(
    requests: RequestService, clock: FrozenClock, pending: Request
) -> None:
    clock.advance(10 * MINUTE)
    requests.approve(id_of(pending), SAM)
    approved = requests.approve(id_of(pending), ANN)
    assert (approved.status, len(approved.counting_approvals)) == (RequestStatus.APPROVED, 2)


def test_vote_stays_when_the_hours_end(requests: RequestService, policy: ChangingPolicy, clock: FrozenClock) -> None:
    policy.edit(escalating(IN_OFFICE_HOURS))
    clock.set(clock.now().replace(hour=16, minute=55))
    pending = requests.submit(RITA, "prod", HOUR, DEPLOY)
    requests.approve(id_of(pending), ANN)
    clock.advance(10 * MINUTE)
    with pytest.raises(NotAllowed, match=r"next from .* 09:00 UTC; U0SAM may approve now") as caught:
        requests.approve(id_of(pending), BOB)
    assert caught.value.unmet == ("hours",)
    approved = requests.approve(id_of(pending), SAM)
    assert [vote.approver for vote in approved.counting_approvals] == [ANN.id, SAM.id]


def test_approver_denies_and_asks_outside_their_hours(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock, stores: Stores
) -> None:
    policy.edit(escalating(IN_OFFICE_HOURS))
    clock.set(clock.now().replace(hour=22))
    pending = requests.submit(RITA, "prod", HOUR, DEPLOY)
    previews = Previews(stores, policy, clock, FixedDirectory())
    assert previews.to_deny(id_of(pending), ANN.id, ANN).id == pending.id
    assert len(requests.ask(id_of(pending), ANN, "Can it wait until tomorrow?").questions) == 1
    assert requests.deny(id_of(pending), ANN, "not at night").status is RequestStatus.DENIED


def test_wait_begins_with_the_confirmation(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    policy.edit(escalating())
    asked = requests.submit(ANN, "prod", HOUR, DEPLOY, on_behalf_of=RITA)
    clock.advance(HOUR)
    assert requests.escalate_due() == ()
    with pytest.raises(NotAllowed):
        requests.approve(id_of(asked), SAM)
    requests.confirm(id_of(asked), RITA)
    assert requests.escalate_due() == ()
    with pytest.raises(NotAllowed, match="U0SAM is not among the approvers"):
        requests.deny(id_of(asked), SAM, "not now")
    clock.advance(10 * MINUTE)
    assert [each.escalated_steps for each in requests.escalate_due()] == [1]
    assert requests.deny(id_of(asked), SAM, "not now").status is RequestStatus.DENIED


def test_reminder_waits_until_a_step_has_been_heard(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock, stores: Stores
) -> None:
    policy.edit({"remind_after: 3h": "remind_after: 10m\n    escalate_after: 10m\n    escalate_to: [U0SAM]"})
    pending = requests.submit(RITA, "prod", HOUR, DEPLOY)
    clock.advance(10 * MINUTE)
    assert requests.remind_due() == ()
    assert len(requests.escalate_due()) == 1
    assert requests.remind_due() == ()
    clock.advance(5 * MINUTE)
    assert len(requests.remind_due()) == 1
    assert [event for event, _ in trail(stores, pending)][1:] == ["request_escalated", "request_reminded"]


def test_late_reminder_lets_the_announcement_go_first(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    policy.edit({"remind_after: 3h": "remind_after: 10m\n    escalate_after: 10m\n    escalate_to: [U0SAM]"})
    requests.submit(RITA, "prod", HOUR, DEPLOY)
    clock.advance(20 * MINUTE)
    assert requests.remind_due() == ()
    assert len(requests.escalate_due()) == 1
    assert len(requests.remind_due()) == 1


def test_nobody_is_reminded_while_nobody_may_approve(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    policy.edit({"    remind_after: 3h\n": f"    remind_after: 1h\n{IN_OFFICE_HOURS}"})
    clock.set(clock.now().replace(hour=20, minute=0, second=0, microsecond=0))
    requests.submit(RITA, "prod", HOUR, DEPLOY)
    clock.advance(13 * HOUR - TICK)
    assert requests.remind_due() == ()
    clock.advance(TICK)
    assert len(requests.remind_due()) == 1


def test_conflicting_vote_does_not_lose_the_announcement(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock, pending: Request, stores: Stores
) -> None:
    disturbance, service = Disturbance(), requests
    disturbed = RequestService(DisturbedStores(stores, disturbance), policy, clock, directory=FixedDirectory())
    clock.advance(10 * MINUTE)
    disturbance.steps = [lambda: service.approve(id_of(pending), CLEO)]
    (escalated,) = disturbed.escalate_due()
    assert (len(escalated.approvals), escalated.escalated_steps) == (1, 1)


def test_requester_named_by_a_step_decides_nothing(
    requests: RequestService, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    policy.edit(escalating(steps="    escalate_after: 10m\n    escalate_to: [U0RITA, U0SAM]\n"))
    pending = requests.submit(RITA, "prod", HOUR, DEPLOY)
    clock.advance(10 * MINUTE)
    with pytest.raises(NotAllowed, match="nobody decides on their own request"):
        requests.approve(id_of(pending), Actor(id=UserId(RITA.id)))
