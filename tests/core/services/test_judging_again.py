"""The vote that would approve judges everybody again: the voters, the requester, and the bounds of the policy."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from core.actor import Actor, UserGroupId, UserId
from core.audit.trail import AuditAction
from core.directory import DirectoryNotes
from core.errors import NotAllowed, NotKnown
from core.policy import Policy
from core.request import Request, RequestStatus
from core.services import RequestService
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    DEPLOY,
    EVE,
    RITA,
    ChangingPolicy,
    noted,
    request_id_of,
    trail,
)
from tests.harness.clock import FrozenClock
from tests.harness.directory import OfficeDirectory

ONE_APPROVER_LESS = {"sre: [U0ANN, U0BOB, U0CLEO]": "sre: [U0BOB, U0CLEO, U0DAN]"}


@pytest.fixture
def voted(requests: RequestService, pending: Request) -> Request:
    """RITA's request for prod, which ANN approved already; one more approval is needed."""
    return requests.approve(request_id_of(pending), ANN, "looks right")


def test_vote_of_somebody_who_left_lapses(
    requests: RequestService, stores: Stores, directory: OfficeDirectory, voted: Request, clock: FrozenClock
) -> None:
    directory.leave(ANN.id)
    now = clock.advance(HOUR)
    after = requests.approve(request_id_of(voted), BOB)
    assert after.status is RequestStatus.PENDING
    first, second = after.approvals
    reason = "no longer an active member of the workspace"
    assert (first.approver, first.comment, first.lapsed_at, first.lapsed_reason) == (ANN.id, "looks right", now, reason)
    assert (second.approver, second.counts) == (BOB.id, True)
    *_, entry = stores.audit.get_chain(voted.chain)
    assert entry.event is AuditAction.APPROVAL_ADDED
    assert entry.details["approvals"] == 1
    assert entry.details["lapsed"] == [{"approver": ANN.id, "reason": reason}]
    assert requests.approve(request_id_of(voted), CLEO).status is RequestStatus.APPROVED


def test_vote_of_somebody_who_lost_the_right_lapses(
    requests: RequestService, policy: ChangingPolicy, voted: Request
) -> None:
    policy.edit(ONE_APPROVER_LESS)
    after = requests.approve(request_id_of(voted), BOB)
    assert after.status is RequestStatus.PENDING
    assert after.approvals[0].lapsed_reason == "no longer an approver of rule prod"


def test_person_who_got_the_right_back_votes_again(
    requests: RequestService, policy: ChangingPolicy, voted: Request
) -> None:
    policy.edit(ONE_APPROVER_LESS)
    requests.approve(request_id_of(voted), BOB)
    policy.edit({})
    after = requests.approve(request_id_of(voted), ANN)
    assert after.status is RequestStatus.APPROVED
    assert [(vote.approver, vote.counts) for vote in after.approvals] == [
        (ANN.id, False),
        (BOB.id, True),
        (ANN.id, True),
    ]


def test_deciding_vote_waits_while_nobody_knows_a_voter(
    requests: RequestService, stores: Stores, directory: OfficeDirectory, voted: Request
) -> None:
    directory.fall_silent(ANN.id)
    with pytest.raises(NotKnown, match=f"couldn't confirm that {ANN.id} is still a member"):
        requests.approve(request_id_of(voted), BOB)
    assert stores.requests.get(request_id_of(voted)) == voted
    directory.answer_again()
    assert requests.approve(request_id_of(voted), BOB).status is RequestStatus.APPROVED


def test_requester_who_left_gets_nothing(
    requests: RequestService, stores: Stores, directory: OfficeDirectory, voted: Request
) -> None:
    directory.leave(RITA.id)
    with pytest.raises(NotAllowed, match=f"{RITA.id} can't act here any more: this Slack account is deactivated"):
        requests.approve(request_id_of(voted), BOB)
    assert stores.requests.get(request_id_of(voted)) == voted
    assert noted(stores)[-1].event is AuditAction.APPROVE_REFUSED
    assert requests.deny(request_id_of(voted), BOB, "she left").status is RequestStatus.DENIED


def test_requester_who_is_not_known_gets_nothing_yet(
    requests: RequestService, directory: OfficeDirectory, voted: Request
) -> None:
    directory.fall_silent(RITA.id)
    with pytest.raises(NotKnown, match="is still a member"):
        requests.approve(request_id_of(voted), BOB)


def test_earlier_vote_does_not_ask_about_anybody_else(
    requests: RequestService, directory: OfficeDirectory, pending: Request
) -> None:
    directory.fall_silent(RITA.id, BOB.id)
    assert requests.approve(request_id_of(pending), ANN).counting_approvals
    assert directory.confirmed == []


def test_denial_judges_only_who_denies(requests: RequestService, directory: OfficeDirectory, voted: Request) -> None:
    directory.fall_silent(RITA.id, ANN.id)
    directory.leave(RITA.id)
    assert requests.deny(request_id_of(voted), BOB, "not now").status is RequestStatus.DENIED


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"max_duration: 4h": "max_duration: 1h"}, "2h is longer than the 1h that are allowed"),
        ({"requesters: [U0RITA, U0ANN]": "requesters: [U0ANN]"}, "no rule lets U0RITA request prod"),
        (
            {
                "approval:\n": "approval:\n  - {name: first, profiles: [prod], requesters: [U0RITA], "
                "approvers: [U0CLEO], max_duration: 4h}\n"
            },
            "rule first decides about U0RITA now, not rule prod",
        ),
    ],
)
def test_tightened_policy_reaches_a_waiting_request(
    requests: RequestService,
    stores: Stores,
    policy: ChangingPolicy,
    voted: Request,
    edit: dict[str, str],
    reason: str,
) -> None:
    policy.edit(edit)
    with pytest.raises(NotAllowed, match=reason):
        requests.approve(request_id_of(voted), BOB)
    assert stores.requests.get(request_id_of(voted)) == voted


def test_larger_quorum_of_a_tightened_policy_holds(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, voted: Request
) -> None:
    policy.edit({"required_approvals: 2": "required_approvals: 3"})
    after = requests.approve(request_id_of(voted), BOB)
    assert (after.status, after.quorum) == (RequestStatus.PENDING, 3)
    assert stores.audit.get_chain(voted.chain)[-1].details["raised_approvals"] == 3
    # It was raised, and stays raised.
    policy.edit({})
    assert requests.approve(request_id_of(voted), CLEO).status is RequestStatus.APPROVED


def test_smaller_quorum_of_a_relaxed_policy_changes_nothing(
    requests: RequestService, policy: ChangingPolicy, pending: Request
) -> None:
    policy.edit({"required_approvals: 2": "required_approvals: 1"})
    assert requests.approve(request_id_of(pending), ANN).status is RequestStatus.PENDING


def test_two_ids_of_one_person_count_once(requests: RequestService, policy: ChangingPolicy, voted: Request) -> None:
    policy.edit({"security_channel: C0SECURITY": "security_channel: C0SECURITY\nsame_person: [[U0ANN, U0BOB]]"})
    assert requests.approve(request_id_of(voted), BOB) == voted
    assert requests.approve(request_id_of(voted), CLEO).status is RequestStatus.APPROVED


def test_earlier_votes_of_one_person_count_once(
    requests: RequestService, policy: ChangingPolicy, voted: Request
) -> None:
    policy.edit({"required_approvals: 2": "required_approvals: 3"})
    requests.approve(request_id_of(voted), BOB)
    same = "security_channel: C0SECURITY\nsame_person: [[U0ANN, U0BOB]]"
    more = {"sre: [U0ANN, U0BOB, U0CLEO]": "sre: [U0ANN, U0BOB, U0CLEO, U0DAN]"}
    policy.edit({"required_approvals: 2": "required_approvals: 3", "security_channel: C0SECURITY": same, **more})
    after = requests.approve(request_id_of(voted), CLEO)
    assert after.status is RequestStatus.PENDING
    assert [(vote.approver, vote.lapsed_reason) for vote in after.approvals if not vote.counts] == [
        (BOB.id, "the same person as another approver")
    ]


def test_second_id_of_the_requester_cancels_and_can_not_approve(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request
) -> None:
    policy.edit({"security_channel: C0SECURITY": "security_channel: C0SECURITY\nsame_person: [[U0RITA, U0ANN]]"})
    with pytest.raises(NotAllowed, match="are one person"):
        requests.approve(request_id_of(pending), ANN)
    assert requests.cancel(request_id_of(pending), ANN).status is RequestStatus.CANCELLED
    assert trail(stores, pending)[-1] == ("request_cancelled", RITA.id)
    assert stores.audit.get_chain(pending.chain)[-1].details == {"acted_with": ANN.id}


# Two instances, and what changes while Slack is asked -----------------------------------------------------------------


def test_approver_who_left_is_refused_on_a_cached_answer(
    requests: RequestService, stores: Stores, directory: OfficeDirectory, clock: FrozenClock, pending: Request
) -> None:
    directory.leave(ANN.id)
    stores.directory.note([ANN.id], clock.now())
    # The interaction was given a cached answer; the note that came with the record says that it is too old.
    with pytest.raises(NotAllowed, match="deactivated"):
        requests.approve(request_id_of(pending), ANN)


class ReplacingDirectory(OfficeDirectory):
    """A directory that takes its time: meanwhile, somebody replaces the policy."""

    def __init__(self, policy: ChangingPolicy, edit: dict[str, str]) -> None:
        super().__init__({"S0CONTRACTORS": [EVE.id]})
        self._policy = policy
        self._edit = edit

    def memberships(
        self, user_id: UserId, groups: Collection[UserGroupId], notes: DirectoryNotes
    ) -> Mapping[UserGroupId, bool]:
        answers = super().memberships(user_id, groups, notes)
        self._policy.edit(self._edit)
        return answers


STRICT = (
    "approval:\n  - {name: contractors, profiles: [staging], requesters: [%s], approvers: [U0CLEO], max_duration: 1h}\n"
)


def test_policy_replaced_while_slack_is_asked_has_no_gap(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    # The contractor's click is judged by the version with S0CONTRACTORS, or by the one with S0EXTERNAL; never by the
    # answers of one and the rules of the other, which would let them fall through to the broader rule for all.
    quick = {"auto_approve: {requesters: [S0ENGINEERS], max_duration: 1h}": "auto_approve: {max_duration: 8h}"}
    before = {"approval:\n": STRICT % "S0CONTRACTORS", **quick}
    after = {"approval:\n": STRICT % "S0EXTERNAL", **quick}
    policy.edit(before)
    digest = policy.policy.digest
    directory = ReplacingDirectory(policy, after)
    service = RequestService(stores, policy, clock, directory=directory)
    asked = service.submit(Actor(id=EVE.id), "staging", HOUR, DEPLOY)
    assert (asked.status, asked.rule) == (RequestStatus.PENDING, "contractors")
    assert stores.audit.get_chain(asked.chain)[0].details["policy_digest"] == digest
    # The next click is judged by the new version, and asks about its group.
    directory.join("S0EXTERNAL", EVE.id)
    service.cancel(request_id_of(asked), EVE)
    again = service.submit(Actor(id=EVE.id), "staging", HOUR, DEPLOY)
    assert (again.status, again.rule) == (RequestStatus.PENDING, "contractors")


def test_contractor_of_a_silent_group_is_not_approved(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory
) -> None:
    policy.edit({"approval:\n": STRICT % "S0CONTRACTORS"})
    directory.fall_silent("S0CONTRACTORS")
    service = RequestService(stores, policy, clock, directory=directory)
    with pytest.raises(NotKnown, match="couldn't say whether U0EVE is in S0CONTRACTORS"):
        service.submit(Actor(id=EVE.id), "staging", HOUR, DEPLOY)
    directory.answer_again()
    assert service.submit(Actor(id=EVE.id), "staging", HOUR, DEPLOY).status is RequestStatus.APPROVED


class CountingPolicy(ChangingPolicy):
    """A policy that counts how often a version was taken."""

    taken = 0

    def current(self) -> Policy:
        self.taken += 1
        return super().current()


def test_one_use_case_takes_one_policy_version(stores: Stores, clock: FrozenClock, directory: OfficeDirectory) -> None:
    policy = CountingPolicy()
    service = RequestService(stores, policy, clock, directory=directory)
    asked = service.submit(RITA, "prod", HOUR, DEPLOY)
    assert policy.taken == 1
    service.approve(request_id_of(asked), ANN)
    assert policy.taken == 2
    service.approve(request_id_of(asked), BOB)
    assert policy.taken == 3
