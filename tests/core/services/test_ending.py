"""Access ends early by one decision at a time, for all of its rights; who comes later hears who ended it and when."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from core.access.grant import GrantStatus, grant_id_for
from core.access.right import Right, right_key
from core.actor import Actor
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import EventStatus
from core.errors import (
    BrokenSeal,
    EventNotFound,
    InvalidInput,
    InvalidStateTransition,
    NotAllowed,
    RequestNotFound,
    StoreUnavailable,
)
from core.request import Request
from core.services import BreakGlassService, GrantService, RequestService
from core.services.grants import DEPARTED, DONE, AccessEnds
from core.services.pacing import RETRY_SECONDS
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.access_harness import (
    ADA,
    Between,
    LosingStores,
    Targets,
    change_access,
    early_ends,
    statuses,
    with_access,
)
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    DEPLOY,
    EVE,
    RITA,
    STRANGER,
    ChangingPolicy,
    event_id_of,
    invoke,
    noted,
    person,
    request_id_of,
    trail,
)
from tests.harness.clock import FrozenClock
from tests.harness.pacing import PacedTime

MINUTE: Final = timedelta(minutes=1)
WHY: Final = "The deploy is over"
OTHER_RITA: Final = person("U0RITATWO")
ONE_PERSON: Final = {"admins:": "same_person: [[U0RITA, U0RITATWO]]\nadmins:"}


@pytest.fixture
def policy() -> ChangingPolicy:
    """A policy whose profiles give rights."""
    return with_access(ONE_PERSON)


@pytest.fixture
def approved(requests: RequestService) -> Request:
    """RITA's request for prod, approved by two."""
    pending = request_id_of(requests.submit(RITA, "prod", 2 * HOUR, DEPLOY))
    requests.approve(pending, ANN)
    return requests.approve(pending, BOB)


def test_done_ends_every_right_of_the_request(
    grants: GrantService, targets: Targets, approved: Request, stores: Stores, clock: FrozenClock
) -> None:
    targets.reconcile()
    assert targets.held == set(approved.rights)
    at = clock.advance(MINUTE)
    ended = grants.end(approved.chain, RITA)
    assert [(grant.status, grant.ended_at) for grant in ended] == [(GrantStatus.ENDING, at)] * 2
    assert early_ends(ended) == [(RITA.id, DONE)] * 2
    targets.reconcile()
    assert targets.held == set()
    assert trail(stores, ended[0])[-3:-1] == [("grant_ended_early", RITA.id), ("grant_taken", "clock")]


def test_done_again_gives_the_same_answer(
    grants: GrantService, targets: Targets, approved: Request, stores: Stores
) -> None:
    ended = grants.end(approved.chain, RITA)
    assert grants.end(approved.chain, RITA) == ended
    targets.reconcile()
    again = grants.end(approved.chain, OTHER_RITA)
    assert (statuses(again), early_ends(again)) == (["ended", "ended"], early_ends(ended))
    assert noted(stores) == []


def test_other_id_of_the_person_ends_it_as_the_person(grants: GrantService, approved: Request, stores: Stores) -> None:
    ended = grants.end(approved.chain, OTHER_RITA)
    assert early_ends(ended)[0] == (RITA.id, DONE)
    entry = list(stores.audit.get_chain(ended[0].chain))[-1]
    assert entry.details == {"source": approved.chain, "reason": DONE, "acted_with": OTHER_RITA.id}


@pytest.mark.parametrize("actor", [ANN, ADA, EVE], ids=lambda actor: actor.id)
def test_done_is_for_the_person_alone(grants: GrantService, approved: Request, stores: Stores, actor: Actor) -> None:
    with pytest.raises(NotAllowed, match="only the person who has the access"):
        grants.end(approved.chain, actor)
    (refusal,) = noted(stores)
    assert (refusal.event, refusal.record, refusal.subject) == (AuditAction.END_REFUSED, approved.chain, RITA.id)


@pytest.mark.parametrize("actor", [ANN, CLEO, ADA, RITA], ids=lambda actor: actor.id)
def test_approvers_admins_and_the_person_revoke(grants: GrantService, approved: Request, actor: Actor) -> None:
    ended = grants.revoke(approved.chain, actor, f" {WHY} ")
    assert early_ends(ended) == [(actor.id, WHY)] * 2
    assert grants.revoke(approved.chain, actor, "Another reason") == ended


@pytest.mark.parametrize("actor", [EVE, STRANGER], ids=lambda actor: actor.id)
def test_nobody_else_revokes(grants: GrantService, approved: Request, stores: Stores, actor: Actor) -> None:
    with pytest.raises(NotAllowed):
        grants.revoke(approved.chain, actor, WHY)
    assert statuses(grants.find(approved.chain)) == ["pending", "pending"]
    assert [entry.event for entry in noted(stores)] == [AuditAction.REVOKE_REFUSED]


def test_revoke_needs_a_reason(grants: GrantService, approved: Request) -> None:
    with pytest.raises(InvalidInput, match="reason"):
        grants.revoke(approved.chain, ADA, " ")


# State and event: what is said when there is nothing to end


def _by_other(grants: GrantService, request: Request) -> None:
    grants.revoke(request.chain, ADA, WHY)


ENDS: Final[dict[str, tuple[str, str | None, timedelta, str | None]]] = {
    "revoked": ("ended", ADA.id, timedelta(), None),
    "revoked and taken": ("ended", ADA.id, timedelta(), None),
    "over, not recorded": ("ended", None, 2 * HOUR, "its time has passed"),
    "over": ("ended", None, 2 * HOUR, "its time has passed"),
}


@pytest.mark.parametrize("state", ENDS)
@pytest.mark.parametrize("use_case", ["end", "revoke"])
def test_what_has_ended_says_who_ended_it_and_when(
    grants: GrantService, targets: Targets, approved: Request, clock: FrozenClock, state: str, use_case: str
) -> None:
    targets.reconcile()
    began = approved.decided_at
    assert began is not None
    if state.startswith("revoked"):
        grants.revoke(approved.chain, ADA, WHY)
    else:
        clock.advance(2 * HOUR)
    if state in {"revoked and taken", "over"}:
        targets.reconcile()
    status, ended_by, after, reason = ENDS[state]
    with pytest.raises(InvalidStateTransition) as answer:
        grants.end(approved.chain, RITA) if use_case == "end" else grants.revoke(approved.chain, ANN, WHY)
    error = answer.value
    assert (error.record, error.status, error.decided_by) == (approved.chain, status, ended_by)
    assert (error.decided_at, error.reason) == (began + after, reason)


def test_access_that_could_not_be_opened_has_no_end(
    grants: GrantService, approved: Request, stores: Stores, clock: FrozenClock
) -> None:
    for grant in grants.find(approved.chain):
        state = stores.access.get_right(grant.right)
        failed = grant.fail(clock.now(), "There is no such account")
        entry = EntryDraft.of(failed, AuditAction.GRANT_FAILED, "clock")
        stores.access.commit(state, state.holding, failed, (entry,))
    with pytest.raises(InvalidStateTransition, match="could not be opened"):
        grants.end(approved.chain, RITA)


def test_one_right_that_failed_keeps_no_other_open(
    grants: GrantService, approved: Request, stores: Stores, clock: FrozenClock
) -> None:
    first, _ = grants.find(approved.chain)
    state = stores.access.get_right(first.right)
    failed = first.fail(clock.now(), "There is no such account")
    stores.access.commit(state, state.holding, failed, (EntryDraft.of(failed, AuditAction.GRANT_FAILED, "clock"),))
    assert statuses(grants.end(approved.chain, RITA)) == ["failed", "ending"]


def test_decision_without_access_has_nothing_to_end(grants: GrantService, requests: RequestService) -> None:
    pending = requests.submit(RITA, "prod", HOUR, DEPLOY)
    with pytest.raises(InvalidStateTransition, match="it gave no access"):
        grants.end(pending.chain, RITA)
    vault = requests.submit(CLEO, "vault", HOUR, DEPLOY)
    requests.approve(request_id_of(vault), ANN)
    with pytest.raises(InvalidStateTransition, match="doesn't open access to this profile"):
        grants.end(vault.chain, CLEO)
    assert grants.find(vault.chain) == ()


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("REQUEST#0123456789abcdef", RequestNotFound),
        ("BREAKGLASS#0123456789abcdef", EventNotFound),
        ("GRANT#0123456789abcdef", InvalidInput),
        ("prod", InvalidInput),
    ],
)
def test_unknown_decision_is_named(grants: GrantService, source: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        grants.end(source, RITA)
    with pytest.raises(error):
        grants.find(source)


# Events


def test_done_closes_an_event_with_its_grants(
    grants: GrantService, break_glass: BreakGlassService, stores: Stores
) -> None:
    event = invoke(break_glass)
    ended = grants.end(event.chain, ANN)
    closed = stores.break_glass.get(event_id_of(event))
    assert (closed.status, closed.closed_by, closed.closed_reason) == (EventStatus.CLOSED, ANN.id, DONE)
    assert early_ends(ended) == [(ANN.id, DONE)] * 2
    assert grants.end(event.chain, ANN) == ended
    with pytest.raises(InvalidStateTransition) as answer:
        grants.revoke(event.chain, BOB, WHY)
    assert (answer.value.decided_by, answer.value.decided_at) == (ANN.id, closed.closed_at)


@pytest.mark.parametrize("actor", [BOB, ADA], ids=lambda actor: actor.id)
def test_revoke_closes_an_event(
    grants: GrantService, break_glass: BreakGlassService, stores: Stores, actor: Actor
) -> None:
    event = invoke(break_glass)
    assert early_ends(grants.revoke(event.chain, actor, WHY)) == [(actor.id, WHY)] * 2
    assert stores.break_glass.get(event_id_of(event)).closed_by == actor.id


def test_closing_ends_the_grants_in_one_change(
    break_glass: BreakGlassService, grants: GrantService, targets: Targets
) -> None:
    event = invoke(break_glass)
    targets.reconcile()
    assert targets.held == set(event.rights)
    break_glass.close(event_id_of(event), BOB, WHY)
    assert early_ends(grants.find(event.chain)) == [(BOB.id, WHY)] * 2
    targets.reconcile()
    assert targets.held == set()


def test_event_without_rights_closes_as_before(
    break_glass: BreakGlassService, grants: GrantService, policy: ChangingPolicy, stores: Stores
) -> None:
    policy.edit({})
    event = invoke(break_glass)
    assert event.rights == ()
    assert grants.end(event.chain, ANN) == grants.end(event.chain, ANN) == ()
    assert stores.break_glass.get(event_id_of(event)).status is EventStatus.CLOSED


def test_grants_that_an_older_version_left_open_end(
    break_glass: BreakGlassService, grants: GrantService, stores: Stores, clock: FrozenClock
) -> None:
    event = invoke(break_glass)
    closed = event.close(ANN.id, clock.now(), WHY)
    stores.break_glass.update(closed, EntryDraft.of(closed, AuditAction.BREAK_GLASS_CLOSED, ANN.id))
    assert statuses(grants.end(event.chain, ANN)) == ["ending", "ending"]


def test_overdue_event_is_over(
    break_glass: BreakGlassService, grants: GrantService, clock: FrozenClock, stores: Stores
) -> None:
    event = invoke(break_glass)
    clock.advance(HOUR)
    with pytest.raises(InvalidStateTransition, match="its time has passed"):
        grants.end(event.chain, ANN)
    assert stores.break_glass.get(event_id_of(event)).status is EventStatus.EXPIRED


# Grants that can't be read


@pytest.fixture
def damage(tmp_path: Path) -> Callable[[Right], None]:
    """Changes the grants of a right in the store, past Countersign."""

    def change(of: Right) -> None:
        with closing(sqlite3.connect(tmp_path / "countersign.db")) as connection, connection:
            connection.execute(
                "UPDATE grants SET body = json_set(body, '$.grantee', 'U0EVE') WHERE right_key = ?", (right_key(of),)
            )

    return change


def test_damaged_grant_keeps_no_event_open(
    break_glass: BreakGlassService, grants: GrantService, stores: Stores, damage: Callable[[Right], None]
) -> None:
    event = invoke(break_glass)
    damage(event.rights[0])
    closed = break_glass.close(event_id_of(event), ANN, WHY)
    assert closed.status is EventStatus.CLOSED
    entry = list(stores.audit.get_chain(event.chain))[-1]
    assert entry.details["unread_grants"] == [grant_id_for(event.chain, event.rights[0])]
    assert early_ends(grants.find(event.chain)) == [(ANN.id, WHY)]


def test_damaged_grant_is_never_said_to_have_ended(
    grants: GrantService, approved: Request, stores: Stores, damage: Callable[[Right], None]
) -> None:
    damage(approved.rights[0])
    (ended,) = grants.end(approved.chain, RITA)
    entry = list(stores.audit.get_chain(ended.chain))[-1]
    assert entry.details["unread_grants"] == [grant_id_for(approved.chain, approved.rights[0])]
    damage(approved.rights[1])
    with pytest.raises(BrokenSeal):
        grants.end(approved.chain, RITA)


# Others are quicker, and answers get lost


def test_reconciler_in_between_is_read_again(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, approved: Request, targets: Targets
) -> None:
    between = Between(stores, [targets.reconcile])
    service = GrantService(between, policy, clock, pacing=PacedTime().pacing(RETRY_SECONDS))
    ended = service.end(approved.chain, RITA)
    assert early_ends(ended) == [(RITA.id, DONE)] * 2
    assert all(grant.opened_at is not None for grant in ended), "what the reconciler wrote is kept"
    targets.reconcile()
    assert targets.held == set()


def test_close_reads_again_after_the_reconciler(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, break_glass: BreakGlassService, targets: Targets
) -> None:
    event = invoke(break_glass)
    between = Between(stores, [targets.reconcile])
    pacing = PacedTime().pacing(RETRY_SECONDS)
    BreakGlassService(between, policy, clock, pacing=pacing).close(event_id_of(event), ANN, WHY)
    targets.reconcile()
    assert targets.held == set()


@pytest.mark.parametrize("is_taken", [False, True], ids=["ending", "ended"])
def test_somebody_quicker_is_named(
    stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    approved: Request,
    grants: GrantService,
    targets: Targets,
    is_taken: bool,  # noqa: FBT001
) -> None:
    def be_quicker() -> None:
        grants.revoke(approved.chain, ADA, WHY)
        if is_taken:
            targets.reconcile()

    between = Between(stores, [be_quicker])
    service = GrantService(between, policy, clock, pacing=PacedTime().pacing(RETRY_SECONDS))
    with pytest.raises(InvalidStateTransition) as answer:
        service.end(approved.chain, RITA)
    assert (answer.value.record, answer.value.decided_by) == (approved.chain, ADA.id)


@pytest.mark.parametrize("is_event", [False, True], ids=["request", "event"])
def test_lost_answer_is_found_by_doing_it_again(
    stores: Stores,
    policy: ChangingPolicy,
    clock: FrozenClock,
    approved: Request,
    break_glass: BreakGlassService,
    is_event: bool,  # noqa: FBT001
) -> None:
    decided, actor = (invoke(break_glass), ANN) if is_event else (approved, RITA)
    losing = LosingStores(stores)
    service = GrantService(losing, policy, clock)
    losing.lost = 1
    with pytest.raises(StoreUnavailable, match="not known"):
        service.end(decided.chain, actor)
    assert early_ends(service.end(decided.chain, actor)) == [(actor.id, DONE)] * 2


# All access of a person


def test_revoke_person_ends_requests_and_events(
    grants: GrantService,
    requests: RequestService,
    break_glass: BreakGlassService,
    stores: Stores,
    targets: Targets,
    approved: Request,
) -> None:
    other = requests.submit(OTHER_RITA, "staging", HOUR, DEPLOY)
    requests.approve(request_id_of(other), ANN)
    event, kept = invoke(break_glass), invoke(break_glass, BOB)
    targets.reconcile()
    ends = grants.revoke_person(OTHER_RITA.id, ADA, WHY)
    assert (sorted(ends.ended), ends.failed) == (sorted([approved.chain, other.chain]), ())
    assert grants.revoke_person(ANN.id, ADA, WHY).ended == (event.chain,)
    assert stores.break_glass.get(event_id_of(event)).closed_by == ADA.id
    targets.reconcile()
    assert targets.held == set(kept.rights)
    assert grants.revoke_person(ANN.id, ADA, WHY) == grants.revoke_person(STRANGER.id, ADA, WHY)


@pytest.mark.parametrize("actor", [ANN, RITA], ids=lambda actor: actor.id)
def test_only_admins_revoke_a_person(grants: GrantService, approved: Request, stores: Stores, actor: Actor) -> None:
    with pytest.raises(NotAllowed):
        grants.revoke_person(RITA.id, actor, WHY)
    assert statuses(grants.find(approved.chain)) == ["pending", "pending"]
    (refusal,) = noted(stores)
    assert (refusal.event, refusal.subject) == (AuditAction.REVOKE_REFUSED, RITA.id)


def test_one_that_fails_stops_no_other(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, requests: RequestService, approved: Request
) -> None:
    second = requests.submit(RITA, "staging", HOUR, DEPLOY)
    requests.approve(request_id_of(second), ANN)

    def fail() -> None:
        raise StoreUnavailable("it hangs")

    service = GrantService(Between(stores, [fail]), policy, clock)
    ends = service.revoke_person(RITA.id, ADA, WHY)
    assert [failure.problem for failure in ends.failed] == ["The store did not answer: it hangs. Nothing was changed."]
    assert {failure.source for failure in ends.failed} | set(ends.ended) == {approved.chain, second.chain}
    assert len(ends.ended) == 1


def test_departed_person_loses_all_by_the_clock(
    grants: GrantService, break_glass: BreakGlassService, targets: Targets, approved: Request, stores: Stores
) -> None:
    event = invoke(break_glass)
    targets.reconcile()
    assert grants.end_departed(RITA.id).ended == (approved.chain,)
    assert grants.end_departed(ANN.id).ended == (event.chain,)
    assert early_ends(grants.find(event.chain)) == [("clock", DEPARTED)] * 2
    targets.reconcile()
    assert targets.held == set()
    assert stores.break_glass.get(event_id_of(event)).status is EventStatus.ACTIVE, "nobody closed it"
    assert break_glass.close(event_id_of(event), BOB, WHY).status is EventStatus.CLOSED


def test_departed_id_leaves_other_ids_of_the_person(grants: GrantService, approved: Request) -> None:
    assert grants.end_departed(OTHER_RITA.id) == AccessEnds((), ())
    assert all(grant.is_live and grant.ended_early is None for grant in grants.find(approved.chain))
    assert grants.revoke_person(OTHER_RITA.id, ADA, WHY).ended == (approved.chain,)


def test_event_without_rights_of_a_revoked_person_closes(
    break_glass: BreakGlassService, grants: GrantService, policy: ChangingPolicy, stores: Stores
) -> None:
    policy.edit({"groups:\n": "admins: [U0ADA]\ngroups:\n"})
    event = invoke(break_glass)
    assert grants.end_departed(ANN.id) == AccessEnds((), ())
    assert grants.revoke_person(ANN.id, ADA, WHY).ended == (event.chain,)
    assert stores.break_glass.get(event_id_of(event)).closed_by == ADA.id


def test_approval_during_a_revoke_is_found_by_the_next_pass(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, requests: RequestService, approved: Request
) -> None:
    late = request_id_of(requests.submit(RITA, "staging", HOUR, DEPLOY))
    between = Between(stores, [lambda: requests.approve(late, ANN)])
    ends = GrantService(between, policy, clock).revoke_person(RITA.id, ADA, WHY)
    assert ends.ended == (approved.chain, f"REQUEST#{late}")


# Who has what


def test_everybody_sees_what_they_may(
    grants: GrantService,
    requests: RequestService,
    break_glass: BreakGlassService,
    approved: Request,
    policy: ChangingPolicy,
) -> None:
    staging = "profiles: [staging]\n    approvers: ["
    change_access(policy, ONE_PERSON | {staging: f"{staging}U0DAN, "})
    event = invoke(break_glass)
    own = requests.submit(EVE, "staging", HOUR, DEPLOY)

    def seen(viewer: Actor) -> set[str]:
        return {grant.source for grant in grants.list_live(viewer).items}

    assert seen(ADA) == seen(BOB) == {approved.chain, event.chain, own.chain}
    assert (seen(RITA), seen(OTHER_RITA), seen(STRANGER)) == ({approved.chain}, {approved.chain}, set())
    assert seen(EVE) == seen(person("U0DAN")) == {own.chain}


def test_what_is_final_is_not_live(grants: GrantService, targets: Targets, approved: Request) -> None:
    grants.end(approved.chain, RITA)
    assert len(grants.list_live(RITA).items) == 2, "it is closing"
    targets.reconcile()
    assert grants.list_live(RITA).items == grants.list_live(ADA).items == ()
