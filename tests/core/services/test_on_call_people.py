"""People on call in the use cases: judged at their click, kept in the trail, and strict where nobody else decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from core.audit.trail import AuditEntry
from core.duty import on_call_name
from core.errors import NotAllowed, NotKnown
from core.request import Request, RequestStatus
from core.services import BreakGlassService, RequestService
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    DEPLOY,
    INCIDENT,
    NOTES,
    OUTAGE,
    RITA,
    ChangingPolicy,
    event_id_of,
    request_id_of,
)
from tests.harness.clock import FrozenClock
from tests.harness.directory import OfficeDirectory
from tests.harness.rota import WrittenRota

MINUTE: Final = timedelta(minutes=1)
PRIMARY: Final = on_call_name("primary")
BY_SCHEDULE: Final = {
    "groups:\n": "on_call: {primary: {pagerduty: {schedule: PABC123, key: env:PD}}}\ngroups:\n",
    "sre: [U0ANN, U0BOB, U0CLEO]": 'sre: ["on-call:primary", U0BOB]',
}


@pytest.fixture
def rota(directory: OfficeDirectory, policy: ChangingPolicy, clock: FrozenClock) -> WrittenRota:
    """Who is on call in primary, by which the policy names approvers and break-glass users, beside U0BOB."""
    written = WrittenRota(clock)
    directory.roster = written
    policy.edit(BY_SCHEDULE)
    return written


def last(stores: Stores, record: Request) -> AuditEntry:
    return stores.audit.get_chain(record.chain)[-1]


def test_vote_keeps_the_shift_in_its_entry_and_counts(
    requests: RequestService, stores: Stores, rota: WrittenRota
) -> None:
    rota.put("primary", ANN.id, 2 * HOUR)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    voted = requests.approve(request_id_of(asked), ANN)
    duty = rota.duties(ANN.id, {PRIMARY})[PRIMARY]
    assert last(stores, voted).details["on_call"] == [duty.to_details()]
    assert [vote.on_call for vote in voted.approvals] == [PRIMARY]
    with pytest.raises(NotAllowed, match="U0CLEO is not among the approvers of rule prod"):
        requests.approve(request_id_of(asked), CLEO)


def test_vote_from_before_the_hand_over_still_counts(
    requests: RequestService, stores: Stores, rota: WrittenRota, clock: FrozenClock
) -> None:
    rota.put("primary", ANN.id, HOUR)
    rota.put("primary", CLEO.id, 9 * HOUR, since=HOUR)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    requests.approve(request_id_of(asked), ANN)
    clock.advance(2 * HOUR)
    decided = requests.approve(request_id_of(asked), CLEO)
    assert decided.status is RequestStatus.APPROVED
    assert [vote.counts for vote in decided.approvals] == [True, True]
    assert stores.requests.get(request_id_of(asked)).approvals == decided.approvals


def test_vote_lapses_when_the_rule_no_longer_names_the_schedule(
    requests: RequestService, policy: ChangingPolicy, rota: WrittenRota
) -> None:
    rota.put("primary", ANN.id, 9 * HOUR)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    requests.approve(request_id_of(asked), ANN)
    policy.edit(
        {**BY_SCHEDULE, "    approvers: [group:sre]\n    required": "    approvers: [U0BOB, U0CLEO]\n    required"}
    )
    voted = requests.approve(request_id_of(asked), BOB)
    assert voted.status is RequestStatus.PENDING
    assert [vote.lapsed_reason for vote in voted.approvals] == ["no longer an approver of rule prod", None]


def test_approver_has_two_minutes_after_the_hand_over(
    requests: RequestService, break_glass: BreakGlassService, rota: WrittenRota, clock: FrozenClock
) -> None:
    rota.put("primary", ANN.id, HOUR)
    first = requests.submit(RITA, "prod", HOUR, DEPLOY)
    clock.advance(HOUR + MINUTE)
    with pytest.raises(NotAllowed, match="U0ANN is not among the users of rule on-call"):
        break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR)
    assert len(requests.approve(request_id_of(first), ANN).approvals) == 1
    clock.advance(MINUTE)
    with pytest.raises(NotAllowed, match="U0ANN is not among the approvers"):
        requests.deny(request_id_of(first), ANN, "too late")


def test_schedule_that_is_away_is_lenient_for_approvers_only(
    requests: RequestService, break_glass: BreakGlassService, rota: WrittenRota, clock: FrozenClock
) -> None:
    rota.put("primary", ANN.id, 9 * HOUR)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    rota.fall_silent("primary")
    clock.advance(2 * MINUTE)
    with pytest.raises(NotKnown, match="PagerDuty couldn't say who is on call in primary"):
        break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR)
    assert len(requests.approve(request_id_of(asked), ANN).approvals) == 1
    clock.advance(4 * MINUTE)
    with pytest.raises(NotKnown):
        requests.deny(request_id_of(asked), CLEO, "not now")


def test_schedule_that_is_away_stops_nobody_named_by_id(
    requests: RequestService, break_glass: BreakGlassService, rota: WrittenRota, clock: FrozenClock
) -> None:
    rota.put("primary", ANN.id, 9 * HOUR)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    requests.approve(request_id_of(asked), ANN)
    rota.fall_silent("primary")
    clock.advance(HOUR)
    rota.questions.clear()
    event = break_glass.invoke(BOB, "prod", INCIDENT, OUTAGE, HOUR)
    # The earlier vote, too, is not asked about again: it counted when it was given.
    assert requests.approve(request_id_of(asked), BOB).status is RequestStatus.APPROVED
    assert break_glass.close(event_id_of(event), BOB, "it is over").closed_by == BOB.id
    assert rota.questions == []


def test_automatic_approval_waits_while_the_schedule_is_away(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, rota: WrittenRota, clock: FrozenClock
) -> None:
    policy.edit({**BY_SCHEDULE, "requesters: [S0ENGINEERS], max": 'requesters: ["on-call:primary"], max'})
    rota.put("primary", ANN.id, 9 * HOUR)
    automatic = requests.submit(ANN, "staging", HOUR, DEPLOY)
    assert automatic.status is RequestStatus.APPROVED
    duty = rota.duties(ANN.id, {PRIMARY})[PRIMARY]
    assert last(stores, automatic).details["on_call"] == [duty.to_details()]
    rota.fall_silent("primary")
    clock.advance(2 * MINUTE)
    policy.edit({**BY_SCHEDULE, "requesters: [S0ENGINEERS], max": 'requesters: ["on-call:primary"], max'})
    assert requests.submit(CLEO, "staging", HOUR, DEPLOY).status is RequestStatus.PENDING


def test_event_keeps_the_shift_and_is_reviewed_by_who_is_on_call(
    break_glass: BreakGlassService, stores: Stores, rota: WrittenRota, clock: FrozenClock
) -> None:
    rota.put("primary", ANN.id, HOUR)
    rota.put("primary", CLEO.id, 9 * HOUR, since=HOUR)
    event = break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR)
    assert stores.audit.get_chain(event.chain)[0].details["on_call"] == [
        rota.duties(ANN.id, {PRIMARY})[PRIMARY].to_details()
    ]
    clock.advance(2 * HOUR)
    reviewed = break_glass.review(event_id_of(event), CLEO, "justified", NOTES)  # type: ignore[arg-type]
    assert reviewed.review is not None
    assert "on_call" in stores.audit.get_chain(event.chain)[-1].details


def test_requester_alone_on_call_reads_whom_to_ask(requests: RequestService, stores: Stores, rota: WrittenRota) -> None:
    rota.put("primary", RITA.id, 9 * HOUR)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    with pytest.raises(NotAllowed) as refusal:
        requests.approve(request_id_of(asked), RITA)
    assert refusal.value.reasons == (
        "U0RITA is the requester, and nobody decides on their own request",
        "ask U0BOB, who may decide under rule prod too",
    )
    assert refusal.value.unmet == ("two people", "ask next")
    assert stores.requests.get(request_id_of(asked)).approvals == ()


def test_requester_who_is_not_on_call_reads_no_way_on(requests: RequestService, rota: WrittenRota) -> None:
    rota.put("primary", ANN.id, 9 * HOUR)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    with pytest.raises(NotAllowed) as refusal:
        requests.approve(request_id_of(asked), RITA)
    assert refusal.value.unmet == ("approver", "two people")


def test_duty_that_somebody_brings_along_counts_for_nothing(requests: RequestService, rota: WrittenRota) -> None:
    """Forms are drawn from what was known a while ago; a decision asks who is on call now."""
    rota.put("primary", ANN.id, 9 * HOUR)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    held = CLEO.with_duties(rota.duties(ANN.id, {PRIMARY}))
    with pytest.raises(NotAllowed, match="U0CLEO is not among the approvers"):
        requests.approve(request_id_of(asked), held)


def test_click_asks_each_schedule_once(requests: RequestService, rota: WrittenRota) -> None:
    rota.put("primary", ANN.id, 9 * HOUR)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    assert rota.questions == []
    requests.approve(request_id_of(asked), ANN)
    assert rota.questions == [(ANN.id, frozenset({PRIMARY}))]
