"""Races for a code, for a request that an emergency replaces, and for who asks and reminds.

Invariant: what each contestant is answered is what the records and the trail say afterwards.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent
from core.mfa import LOCK, MAX_WRONG_CODES
from core.request import Request, RequestStatus
from core.stores import Stores
from tests.core.races.attempts import APPROVERS, EACH, HOUR, INVOKERS, REQUESTER, Act, Attempt, carry_out, invoke
from tests.core.races.scenario import Round, Scenario, Trail
from tests.harness.mfa import code_at

_ONE: Final = INVOKERS[0]


def _use_one_code_for_two_profiles(_: Stores, at: datetime) -> list[Attempt]:
    code = code_at(_ONE, at)
    return [Attempt(Act.TRY_CODE, _ONE, at, profile, key=code) for profile in EACH[:2] for _ in range(2)]


def _check_one_code_one_event(done: Round, trail: Trail) -> None:
    (winner,) = done.yes
    (event,) = winner.records
    assert isinstance(event, BreakGlassEvent)
    assert trail.records[event.chain] == event
    assert event.mfa_method == "totp"
    for each in done.results:
        if each is not winner:
            # For the same profile the event is live, too; DynamoDB may have read that ledger a moment earlier.
            is_same = each.attempt.on == winner.attempt.on
            assert each.error in ({"LimitReached", "CodeRefused"} if is_same else {"CodeRefused"})


def _submit_one_form_twice(_: Stores, at: datetime) -> list[Attempt]:
    return [Attempt(Act.TRY_CODE, _ONE, at, "rare", key=code_at(_ONE, at), form=f"view {at}")] * 4


def _check_one_event(done: Round, trail: Trail) -> None:
    assert len(done.yes) == len(done.results)
    (event,) = {record for each in done.results for record in each.records}
    assert trail.records[event.chain] == event


def _guess_codes(stores: Stores, at: datetime) -> list[Attempt]:
    invoke(stores, "shared", at)
    return [Attempt(Act.TRY_CODE, _ONE, at, "rare", key="000000")] * 8


def _check_five_guesses(done: Round, _: Trail) -> None:
    guesses = [each for each in done.results if each.error == "CodeRefused"]
    locked = [each for each in done.results if each.error == "LimitReached"]
    assert len(guesses) == MAX_WRONG_CODES - 1, "the fifth one learns of the lock at once"
    assert len({each.said for each in guesses}) == len(guesses), "each reads a different number of attempts left"
    assert {(each.limit, each.ends_at) for each in locked} == {("wrong codes", done.results[0].attempt.at + LOCK)}
    assert len(guesses) + len(locked) == len(done.results)


def _declare_instead_while_it_is_decided(stores: Stores, at: datetime) -> list[Attempt]:
    (request,) = carry_out(stores, Attempt(Act.SUBMIT, _ONE, at, "rare")).records
    return [
        *[Attempt(Act.DECLARE_INSTEAD, _ONE, at, "rare", key=request.id)] * 2,
        Attempt(Act.APPROVE, APPROVERS[0], at, request.id),
        Attempt(Act.DENY, APPROVERS[1], at, request.id),
    ]


def _check_one_way_out(done: Round, trail: Trail) -> None:
    request = trail.request(done.of(Act.APPROVE)[0])
    declared = [each for each in done.of(Act.DECLARE_INSTEAD) if each.is_yes]
    events = [record for each in declared for record in each.records if isinstance(record, BreakGlassEvent)]
    assert len(events) <= 1
    assert [event.instead_of for event in events if event.instead_of] == ([request.id] if request.replaced_by else [])
    match request.status:
        case RequestStatus.APPROVED:
            # Whoever has the access has no need of the glass.
            assert not events
            assert {each.error for each in done.of(Act.DECLARE_INSTEAD)} == {"InvalidStateTransition"}
        case RequestStatus.DENIED:
            assert [event.instead_of for event in events] == [None]
        case RequestStatus.CANCELLED:
            assert request.replaced_by == events[0].id
            assert trail.story(request)[-1] == (AuditAction.REQUEST_CANCELLED, _ONE, "cancelled")
            assert not [each for each in done.of(Act.APPROVE, Act.DENY) if each.is_yes]
        case _:
            raise AssertionError(request.status)
    assert trail.records[request.chain] == request


def _ask_and_remind_at_once(stores: Stores, at: datetime) -> list[Attempt]:
    """One event ends in some minutes, one ended long ago, and two instances sweep."""
    long_ago = at - timedelta(days=5)
    ended = invoke(stores, "rare", long_ago)
    carry_out(stores, Attempt(Act.CLOSE, _ONE, long_ago, ended.id))
    invoke(stores, "rare", at)
    soon = at + HOUR - timedelta(minutes=5)
    return [Attempt(act, REQUESTER, soon) for act in (Act.ASK_INVOKERS, Act.REMIND_REVIEWERS) for _ in range(2)]


def _check_asked_once(done: Round, trail: Trail) -> None:
    assert len(done.yes) == len(done.results)
    for act, event in (
        (Act.ASK_INVOKERS, AuditAction.BREAK_GLASS_ENDING_SOON),
        (Act.REMIND_REVIEWERS, AuditAction.REVIEW_REMINDED),
    ):
        changed = [record for each in done.of(act) for record in each.records]
        assert len({record.chain for record in changed}) == len(changed)
        # Events of earlier rounds wait for their review too, and are reminded of by the later ones.
        assert changed
        for record in changed:
            assert not isinstance(record, Request)
            assert (event, "clock", str(record.state)) in trail.story(record)


_RARE: Final = (_ONE, "rare")
SCENARIOS: Final = (
    Scenario("one code for two profiles", _use_one_code_for_two_profiles, _check_one_code_one_event, share=4),
    Scenario("one form with a code delivered again", _submit_one_form_twice, _check_one_event, _RARE, share=8),
    Scenario("guessing codes", _guess_codes, _check_five_guesses, share=4),
    Scenario("declare instead", _declare_instead_while_it_is_decided, _check_one_way_out, _RARE, share=4),
    Scenario("ask and remind at once", _ask_and_remind_at_once, _check_asked_once, _RARE, share=8),
)
