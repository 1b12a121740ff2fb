"""Approvals that take more than a press: the form, its digest, the comment and the code."""

from __future__ import annotations

from typing import Final

import pytest

from core.actor import Actor
from core.audit.trail import AuditAction
from core.errors import CodeRefused, InvalidStateTransition, LimitReached, NotAllowed, StoreUnavailable
from core.mfa import MAX_WRONG_CODES
from core.policy.decision import ApprovalNeeds
from core.request import Request, RequestStatus
from core.services import RequestService
from core.services.vote import ApprovalFormNeeded
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    DEPLOY,
    EVERYBODY_ASKS,
    RITA,
    STRANGER,
    ChangingPolicy,
    Disturbance,
    DisturbedStores,
    by,
    noted,
    request_id_of,
    trail,
)
from tests.harness.clock import FrozenClock
from tests.harness.directory import OfficeDirectory
from tests.harness.mfa import WrittenCodes, code_at

FIRST_LINE: Final = "    remind_after: 3h\n"
CONFIRM: Final = {FIRST_LINE: f"{FIRST_LINE}    confirm: true\n"}
COMMENT: Final = {FIRST_LINE: f"{FIRST_LINE}    comment: required\n"}
CODE: Final = {FIRST_LINE: f"{FIRST_LINE}    approver_mfa: required\n"}
ALL: Final = {FIRST_LINE: f"{FIRST_LINE}    confirm: true\n    comment: required\n    approver_mfa: required\n"}
SUBMITTED: Final = ("request_submitted", RITA.id)


@pytest.fixture
def codes() -> WrittenCodes:
    return WrittenCodes(frozenset({ANN.id, BOB.id, CLEO.id}))


@pytest.fixture
def service(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory, codes: WrittenCodes
) -> RequestService:
    """The service of an instance that can verify codes."""
    return RequestService(stores, policy, clock, directory=directory, mfa=codes)


def _approve(
    service: RequestService,
    request: Request,
    who: Actor = ANN,
    *,
    shown: str | None = None,
    code: str | None = None,
    comment: str | None = None,
) -> Request:
    shown = request.facts_digest() if shown is None else shown
    return service.approve(request_id_of(request), who, comment, shown=shown, code=code)


def _is_untouched(stores: Stores, request: Request) -> bool:
    return stores.requests.get(request_id_of(request)) == request and trail(stores, request) == [SUBMITTED]


# The form


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        (CONFIRM, ApprovalNeeds(confirm=True)),
        (COMMENT, ApprovalNeeds(comment=True)),
        (CODE, ApprovalNeeds(code=True)),
        (ALL, ApprovalNeeds(confirm=True, comment=True, code=True)),
    ],
    ids=["confirm", "comment", "code", "all"],
)
def test_press_alone_asks_for_the_form_and_is_no_refusal(
    service: RequestService,
    stores: Stores,
    policy: ChangingPolicy,
    pending: Request,
    changes: dict[str, str],
    needs: ApprovalNeeds,
) -> None:
    policy.edit(changes)
    with pytest.raises(ApprovalFormNeeded) as needed:
        service.approve(request_id_of(pending), ANN)
    assert (needed.value.request, needed.value.needs) == (pending, needs)
    assert _is_untouched(stores, pending)
    assert noted(stores) == []


@pytest.mark.parametrize("who", [STRANGER, RITA], ids=["stranger", "requester"])
def test_only_approvers_get_the_form(
    service: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request, who: Actor
) -> None:
    policy.edit(ALL)
    with pytest.raises(NotAllowed):
        service.approve(request_id_of(pending), who)
    assert [entry.event for entry in noted(stores)] == [AuditAction.APPROVE_REFUSED]


def test_vote_in_the_form_counts(
    service: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request
) -> None:
    policy.edit(CONFIRM)
    assert [vote.approver for vote in _approve(service, pending).approvals] == [ANN.id]
    assert trail(stores, pending) == [SUBMITTED, ("approval_added", ANN.id)]


@pytest.mark.parametrize("kind", ["another request", "nothing", "no digest", "no ASCII"])
def test_form_that_showed_something_else_is_refused(
    service: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request, single: Request, kind: str
) -> None:
    policy.edit(CONFIRM)
    shown = {
        "another request": single.facts_digest(),
        "nothing": "",
        "no digest": "x",
        "no ASCII": "\u00e9\ud800",
    }
    with pytest.raises(NotAllowed, match="isn't what the form showed") as refused:
        _approve(service, pending, shown=shown[kind])
    assert refused.value.unmet == ("form",)
    assert _is_untouched(stores, pending)
    (entry,) = noted(stores)
    assert (entry.event, entry.actor, entry.record) == (AuditAction.APPROVE_REFUSED, by(ANN), pending.chain)


def test_form_is_bound_to_its_request_even_without_a_rule(service: RequestService, pending: Request) -> None:
    """The rule may have asked for a form while it was open, and not any more."""
    with pytest.raises(NotAllowed, match="isn't what the form showed"):
        _approve(service, pending, shown="ab" * 32)


def test_denying_needs_no_form(service: RequestService, policy: ChangingPolicy, pending: Request) -> None:
    policy.edit(ALL)
    assert service.deny(request_id_of(pending), ANN, "not today").status is RequestStatus.DENIED


def test_decided_request_answers_without_a_form(
    service: RequestService, policy: ChangingPolicy, pending: Request
) -> None:
    service.deny(request_id_of(pending), ANN, "not today")
    policy.edit(ALL)
    with pytest.raises(InvalidStateTransition):
        service.approve(request_id_of(pending), BOB)


# The comment


def test_required_comment_is_missed_by_name(
    service: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request
) -> None:
    policy.edit(COMMENT)
    for comment in (None, "", "  "):
        with pytest.raises(NotAllowed, match="a comment is required") as refused:
            _approve(service, pending, comment=comment)
        assert refused.value.unmet == ("comment",)
    assert _is_untouched(stores, pending)
    assert _approve(service, pending, comment="Go ahead").approvals[0].comment == "Go ahead"


# The code


def test_correct_code_is_used_up_with_the_vote(
    service: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request, clock: FrozenClock
) -> None:
    policy.edit(CODE)
    code = code_at(ANN.id, clock.now())
    _approve(service, pending, code=code)
    assert stores.audit.get_chain(pending.chain)[-1].details["mfa_method"] == "totp"
    policy.edit(CODE | EVERYBODY_ASKS)
    other = service.submit(STRANGER, "prod", HOUR, DEPLOY)
    with pytest.raises(CodeRefused, match="already used"):
        _approve(service, other, code=code)
    assert stores.requests.get(request_id_of(other)) == other


def test_missing_code_is_missed_by_name(
    service: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request
) -> None:
    policy.edit(CODE)
    with pytest.raises(NotAllowed, match="an MFA code is required") as refused:
        _approve(service, pending)
    assert refused.value.unmet == ("code",)
    assert _is_untouched(stores, pending)


def test_code_counts_for_nothing_where_mfa_is_not_set_up(
    requests: RequestService, policy: ChangingPolicy, pending: Request, clock: FrozenClock
) -> None:
    policy.edit(CODE)
    with pytest.raises(NotAllowed, match="an MFA code is required"):
        _approve(requests, pending, code=code_at(ANN.id, clock.now()))


def test_wrong_code_is_counted_before_it_is_told(
    service: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request
) -> None:
    policy.edit(CODE)
    for left in range(MAX_WRONG_CODES - 1, 0, -1):
        with pytest.raises(CodeRefused, match=f"{left} attempt"):
            _approve(service, pending, code="wrong")
        assert stores.break_glass.get_codes(ANN.id).tries_left == left
    with pytest.raises(LimitReached, match="wrong codes"):
        _approve(service, pending, code="wrong")
    assert _is_untouched(stores, pending)


def test_nobody_is_told_of_a_code_that_was_not_counted(
    stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    directory: OfficeDirectory,
    codes: WrittenCodes,
    pending: Request,
    disturbance: Disturbance,
) -> None:
    policy.edit(CODE)
    service = RequestService(DisturbedStores(stores, disturbance), policy, clock, directory=directory, mfa=codes)

    def lose_the_store() -> None:
        raise StoreUnavailable("the count of wrong codes")

    disturbance.steps.append(lose_the_store)
    with pytest.raises(StoreUnavailable, match="the count of wrong codes"):
        _approve(service, pending, code="wrong")


def test_wrong_codes_count_for_the_one_who_typed_them(
    service: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request
) -> None:
    policy.edit(CODE)
    with pytest.raises(CodeRefused):
        _approve(service, pending, code="wrong")
    assert len(stores.break_glass.get_codes(ANN.id).wrong_at) == 1
    assert stores.break_glass.get_codes(BOB.id).wrong_at == ()


def test_code_is_not_used_up_by_a_vote_that_changes_nothing(
    service: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request, clock: FrozenClock
) -> None:
    voted = _approve(service, pending)
    policy.edit(CODE)
    assert _approve(service, pending, code=code_at(ANN.id, clock.now())) == voted
    assert stores.break_glass.get_codes(ANN.id).last_step is None
    assert trail(stores, pending) == [SUBMITTED, ("approval_added", ANN.id)]


def test_refused_vote_uses_up_no_code(
    service: RequestService, stores: Stores, policy: ChangingPolicy, pending: Request, clock: FrozenClock
) -> None:
    policy.edit(ALL)
    code = code_at(ANN.id, clock.now())
    with pytest.raises(NotAllowed, match="a comment is required"):
        _approve(service, pending, code=code)
    with pytest.raises(NotAllowed, match="isn't what the form showed"):
        _approve(service, pending, shown="x", code=code, comment="Go ahead")
    assert stores.break_glass.get_codes(ANN.id).last_step is None
    assert _approve(service, pending, code=code, comment="Go ahead").has_approval_by(ANN.id)


def test_overtaken_vote_keeps_its_code_for_the_next_try(
    stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    directory: OfficeDirectory,
    codes: WrittenCodes,
    service: RequestService,
    pending: Request,
    disturbance: Disturbance,
) -> None:
    policy.edit(CODE)
    disturbed = RequestService(DisturbedStores(stores, disturbance), policy, clock, directory=directory, mfa=codes)
    disturbance.steps.append(lambda: _approve(service, pending, BOB, code=code_at(BOB.id, clock.now())))
    approved = _approve(disturbed, pending, code=code_at(ANN.id, clock.now()))
    assert (approved.status, approved.approver) == (RequestStatus.APPROVED, by(ANN))
    assert {vote.approver for vote in approved.approvals} == {ANN.id, BOB.id}
