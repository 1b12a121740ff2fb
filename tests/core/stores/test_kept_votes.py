"""Votes are only added, a reminder stays, a step is announced once: the store refuses whatever a caller proposes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.approval import Approval
from core.errors import FixedFactChanged
from core.request import Request, RequestId
from core.stores.commit import explain_refusal
from tests.builders import APPROVER, HOUR, REVIEWER, SECOND_APPROVER, a_draft, a_request
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores import Stores

FIRST: Final = Approval(approver=APPROVER, at=A_MOMENT, comment="Go ahead")
SECOND: Final = Approval(approver=SECOND_APPROVER, at=A_MOMENT + HOUR)
LAPSE: Final = {"lapsed_at": A_MOMENT + 2 * HOUR, "lapsed_reason": "no longer in group:sre"}


@pytest.fixture
def voted(stores: Stores) -> Request:
    """A request with two votes of four, a reminder, and two steps that were announced, on each engine in turn."""
    request = stores.requests.create(a_request(required_approvals=4), a_draft())
    request = stores.requests.update(request.replace(approvals=(FIRST,)), a_draft())
    request = stores.requests.update(request.replace(approvals=(FIRST, SECOND)), a_draft())
    request = stores.requests.update(request.remind(A_MOMENT + HOUR), a_draft())
    return stores.requests.update(request.escalate(2, A_MOMENT + HOUR), a_draft())


def _vote(vote: Approval, **changes: object) -> Approval:
    return Approval.model_validate({**vote.__dict__, **changes})


WRONG: Final[dict[str, dict[str, object]]] = {
    "all votes dropped": {"approvals": ()},
    "the last vote dropped": {"approvals": (FIRST,)},
    "the first vote dropped": {"approvals": (SECOND,)},
    "votes in another order": {"approvals": (SECOND, FIRST)},
    "a vote replaced": {"approvals": (FIRST, _vote(SECOND, approver="U0OTHER"))},
    "a vote at another time": {"approvals": (_vote(FIRST, at=A_MOMENT + timedelta(seconds=1)), SECOND)},
    "a vote with another comment": {"approvals": (_vote(FIRST, comment="Go away"), SECOND)},
    "a vote without its comment": {"approvals": (_vote(FIRST, comment=None), SECOND)},
    "a vote put before": {"approvals": (Approval(approver=REVIEWER, at=A_MOMENT), FIRST, SECOND)},
    "the reminder undone": {"reminded_at": None},
    "the reminder moved": {"reminded_at": A_MOMENT + 3 * HOUR},
    "a step announced again": {"escalated_steps": 1},
}
_FIELDS: Final = {"vote": "approvals", "reminder": "reminded_at", "step": "escalated_steps"}
FIELD: Final = {name: (next(field for word, field in _FIELDS.items() if word in name),) for name in WRONG}


@pytest.mark.parametrize("change", WRONG)
def test_update_that_takes_back_a_vote_or_reminder_is_refused(stores: Stores, voted: Request, change: str) -> None:
    with pytest.raises(FixedFactChanged) as caught:
        stores.requests.update(voted.replace(**WRONG[change]), a_draft())
    assert (caught.value.record, caught.value.fields) == (voted.chain, FIELD[change])
    assert stores.requests.get(RequestId(voted.id)) == voted


@pytest.mark.parametrize("change", WRONG)
def test_stored_votes_are_kept_whatever_the_caller_read(stores: Stores, voted: Request, change: str) -> None:
    # A caller that built the record itself, without reading it: the store reads for itself what it replaces.
    built = Request.from_item(voted.replace(**WRONG[change]).to_item())
    with pytest.raises(FixedFactChanged) as caught:
        stores.requests.update(built, a_draft())
    assert caught.value.fields == FIELD[change]
    assert stores.requests.get(RequestId(voted.id)) == voted
    refusal = explain_refusal(voted, built)
    assert isinstance(refusal, FixedFactChanged)
    assert refusal.fields == FIELD[change]


def test_vote_may_lapse_once_and_stays_lapsed(stores: Stores, voted: Request) -> None:
    lapsed = _vote(FIRST, **LAPSE)
    stored = stores.requests.update(voted.replace(approvals=(lapsed, SECOND)), a_draft())
    assert (stored.approvals, stored.counting_approvals) == ((lapsed, SECOND), (SECOND,))
    assert stores.requests.get(RequestId(voted.id)) == stored
    again: tuple[Approval, ...] = (
        FIRST,
        _vote(lapsed, lapsed_reason="another reason"),
        _vote(lapsed, lapsed_at=A_MOMENT + 3 * HOUR),
        _vote(lapsed, comment="Go away"),
    )
    for vote in again:
        with pytest.raises(FixedFactChanged):
            stores.requests.update(stored.replace(approvals=(vote, SECOND)), a_draft())
    assert stores.requests.get(RequestId(voted.id)) == stored


def test_vote_may_lapse_and_another_one_be_added_at_once(stores: Stores, voted: Request) -> None:
    votes = (_vote(FIRST, **LAPSE), SECOND, Approval(approver=APPROVER, at=A_MOMENT + 3 * HOUR))
    stored = stores.requests.update(voted.replace(approvals=votes), a_draft())
    assert [each.approver for each in stored.counting_approvals] == [SECOND_APPROVER, APPROVER]


def test_lapsed_vote_does_not_count_towards_the_quorum() -> None:
    request = a_request(required_approvals=2).replace(approvals=(_vote(FIRST, **LAPSE),))
    second = request.approve(SECOND_APPROVER, A_MOMENT + HOUR)
    assert second.status == "pending"
    assert not second.has_approval_by(APPROVER)
    assert second.approve(APPROVER, A_MOMENT + HOUR).status == "approved"


def test_vote_that_lapsed_says_when_and_why() -> None:
    for name in LAPSE:
        with pytest.raises(ValueError, match="says when and why"):
            _vote(FIRST, **{name: LAPSE[name]})
