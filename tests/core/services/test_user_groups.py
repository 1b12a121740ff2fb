"""Changes of the user groups that decide: each is in the audit trail once, whoever learns of it and however often."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.actor import SLACK, UserGroupId
from core.audit.trail import AuditAction, AuditEntry, EntryDraft
from core.errors import StoreUnavailable
from core.policy import parse_policy
from core.policy.deciding_groups import find_deciding_groups
from core.services.user_groups import CHAIN, REPORT_AFTER, UserGroupService
from core.user_group import MAX_NAMED, MAX_STORED_MEMBERS, GroupChange, UserGroupMembers
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

ANN, BEN, CLEO = "U0ANN", "U0BEN", "U0CLEO"
SRE, DEV, CHAT = UserGroupId("S0SRE"), UserGroupId("S0DEV"), UserGroupId("S0CHAT")
SECOND: Final = timedelta(seconds=1)
POLICY: Final = parse_policy(
    b"""
version: 1
groups: {sre: [S0SRE, U0BOSS]}
profiles: {prod: {channel: C0ACCESS1}}
approval:
  - {name: prod, profiles: [prod], requesters: [S0CHAT], approvers: [group:sre], max_duration: 4h}
  - name: quick
    profiles: [prod]
    requesters: [S0DEV]
    approvers: [U0BOSS]
    max_duration: 4h
    auto_approve: {max_duration: 1h}
break_glass:
  - {name: on-call, profiles: [prod], users: [group:sre], max_duration: 2h, notify: [S0CHAT]}
"""
)


@pytest.fixture
def service(stores: Stores, clock: FrozenClock) -> UserGroupService:
    return UserGroupService(stores.directory, stores.audit, POLICY, clock)


def an_answer(
    *users: str, group: UserGroupId = SRE, version: int = 1, after: timedelta = timedelta()
) -> UserGroupMembers:
    return UserGroupMembers.of(group, frozenset(users), A_MOMENT + after, slack_version=version)


def reported(stores: Stores) -> tuple[AuditEntry, ...]:
    return stores.audit.get_chain(CHAIN)


def test_groups_that_decide_are_those_that_give_access() -> None:
    assert find_deciding_groups(POLICY.document) == {
        SRE: ("approvers of prod", "break-glass users of on-call"),
        DEV: ("automatic approval of quick",),
    }


def test_change_of_members_is_in_the_trail(service: UserGroupService, stores: Stores) -> None:
    service.keep(an_answer(ANN, BEN))
    service.keep(an_answer(ANN, CLEO, version=2, after=SECOND))

    (entry,) = reported(stores)
    assert (entry.event, entry.actor, entry.chain) == (AuditAction.USER_GROUP_CHANGED, SLACK, CHAIN)
    assert entry.details == {
        "user_group": SRE,
        "rules": ["approvers of prod", "break-glass users of on-call"],
        "members": 2,
        "noticed_at": "2026-01-15T03:53:46.120000Z",
        "is_complete": True,
        "added": [CLEO],
        "added_count": 1,
        "removed": [BEN],
        "removed_count": 1,
    }
    assert entry.must_be_delivered


def test_first_answer_about_a_group_is_no_change(service: UserGroupService, stores: Stores) -> None:
    service.keep(an_answer(ANN))
    assert reported(stores) == ()


def test_event_about_an_unknown_group_says_what_is_known(service: UserGroupService, stores: Stores) -> None:
    service.keep(an_answer(ANN), is_change_certain=True)
    (entry,) = reported(stores)
    assert entry.details["is_complete"] is False
    assert not {"added", "removed"} & entry.details.keys()


def test_answer_that_says_the_same_is_no_change(service: UserGroupService, stores: Stores) -> None:
    for number in range(3):
        service.keep(an_answer(ANN, version=number, after=number * timedelta(hours=1)), is_change_certain=number > 0)
    assert reported(stores) == ()
    assert stores.directory.get_groups([SRE])[SRE].asked_at == A_MOMENT + timedelta(hours=2)


def test_older_answer_replaces_nothing(service: UserGroupService, stores: Stores) -> None:
    service.keep(an_answer(ANN, version=2))
    # It was asked for later, but Slack answered from an outdated copy.
    service.keep(an_answer(ANN, BEN, version=1, after=SECOND), is_change_certain=True)
    assert stores.directory.get_groups([SRE])[SRE].users == (ANN,)
    assert reported(stores) == ()


def test_two_instances_report_one_change_once(service: UserGroupService, stores: Stores, clock: FrozenClock) -> None:
    other = UserGroupService(stores.directory, stores.audit, POLICY, clock)
    service.keep(an_answer(ANN, BEN))
    for each in (service, other, service):
        each.keep(an_answer(ANN, version=2, after=SECOND), is_change_certain=True)
    assert len(reported(stores)) == 1


def test_group_that_decides_nothing_is_not_reported(service: UserGroupService, stores: Stores) -> None:
    service.keep(an_answer(ANN, group=CHAT))
    service.keep(an_answer(BEN, group=CHAT, version=2))
    assert reported(stores) == ()
    assert stores.directory.get_groups([CHAT])[CHAT].unreported is None


def test_change_survives_an_instance_that_died(stores: Stores, clock: FrozenClock) -> None:
    dying = UserGroupService(stores.directory, _NoTrail(stores), POLICY, clock)
    dying.keep(an_answer(ANN, BEN))
    with pytest.raises(StoreUnavailable):
        dying.keep(an_answer(ANN, version=2))
    service = UserGroupService(stores.directory, stores.audit, POLICY, clock)

    service.keep(an_answer(ANN, version=2))
    assert reported(stores) == ()
    clock.advance(REPORT_AFTER)
    service.keep(an_answer(ANN, version=2))
    service.keep(an_answer(ANN, version=2))

    (entry,) = reported(stores)
    assert entry.details["removed"] == [BEN]


def test_change_after_an_unreported_one_loses_neither(stores: Stores, clock: FrozenClock) -> None:
    dying = UserGroupService(stores.directory, _NoTrail(stores), POLICY, clock)
    dying.keep(an_answer(ANN, BEN))
    with pytest.raises(StoreUnavailable):
        dying.keep(an_answer(ANN, version=2))
    UserGroupService(stores.directory, stores.audit, POLICY, clock).keep(an_answer(CLEO, version=3))

    (entry,) = reported(stores)
    assert (entry.details["added"], entry.details["removed"]) == ([CLEO], [ANN, BEN])


def test_member_who_left_and_came_back_is_no_change() -> None:
    left = GroupChange(removed=(ANN,), noticed_at=A_MOMENT)
    merged = left.merge(GroupChange(added=(ANN, BEN), noticed_at=A_MOMENT + SECOND))
    assert (merged.added, merged.removed) == ((BEN,), ())


def test_entry_names_a_bounded_number_of_people(service: UserGroupService, stores: Stores) -> None:
    service.keep(an_answer())
    service.keep(an_answer(*(f"U0P{number}" for number in range(MAX_NAMED + 1)), version=2))
    (entry,) = reported(stores)
    added = entry.details["added"]
    assert isinstance(added, list)
    assert (len(added), entry.details["added_count"]) == (MAX_NAMED, MAX_NAMED + 1)
    assert entry.details["is_complete"] is False


def test_group_that_would_not_fit_into_an_item_is_not_stored(service: UserGroupService, stores: Stores) -> None:
    service.keep(an_answer(*(f"U0P{number}" for number in range(MAX_STORED_MEMBERS + 1))))
    assert stores.directory.get_groups([SRE]) == {}


class _NoTrail:
    """The trail of a process that dies before it writes."""

    def __init__(self, stores: Stores) -> None:
        self.get_last = stores.audit.get_last

    def append(self, chain: str, draft: EntryDraft) -> AuditEntry:
        del draft
        raise StoreUnavailable(f"{chain}: this process has died")
