"""What a newer version made, under rules that this one doesn't know: nobody decides on it here, and it ends in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.access.grant import GrantStatus
from core.actor import ProfileName
from core.audit.findings import FindingKind
from core.audit.trail import AuditAction, EntryDraft
from core.audit.verification import verify_trail
from core.break_glass import BreakGlassEvent, EventId, EventStatus, ReasonCode
from core.record import UNDERSTOOD, NewerRecord
from core.request import Request, RequestId, RequestStatus
from core.review import Verdict
from core.services import BreakGlassService, GrantService, RequestService
from core.services.granting import grants_of_event
from core.stores.access import GrantWrite
from tests.builders import HOUR
from tests.core.access.world import RIGHT
from tests.core.services.harness import ANN, BOB, DEPLOY, NOTES, OUTAGE, RITA, ChangingPolicy
from tests.core.stores.harness import KEYRING
from tests.harness.directory import OfficeDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.record import AccessRecord
    from tests.core.stores.harness import StoreHarness
    from tests.harness.clock import FrozenClock

NEWER = UNDERSTOOD + 1
PROFILE = ProfileName("prod")


def _requests(harness: StoreHarness, clock: FrozenClock) -> RequestService:
    return RequestService(harness.stores, ChangingPolicy(), clock, directory=OfficeDirectory({}))


def _submit(harness: StoreHarness, clock: FrozenClock, needs: int = NEWER) -> Request:
    """What a version that understands as much submits for RITA."""
    request = Request.submit(
        requester=RITA.id, profile=PROFILE, justification=DEPLOY, rule="prod", now=clock.now(), required_approvals=2
    ).replace(needs=needs)
    draft = EntryDraft.of(request, AuditAction.REQUEST_SUBMITTED, RITA.id)
    return harness.stores.requests.create(request, draft)


def _as_newer(event: BreakGlassEvent) -> Sequence[GrantWrite]:
    return [GrantWrite(each.grant.replace(needs=NEWER), each.entry) for each in grants_of_event(event)]


def _declare(
    harness: StoreHarness,
    clock: FrozenClock,
    grant: Callable[[BreakGlassEvent], Sequence[GrantWrite]] = _as_newer,
) -> BreakGlassEvent:
    """ANN's event, with a grant or what else `grant` makes of it, as a newer version declares it."""
    event = BreakGlassEvent.invoke(
        invoker=ANN.id, profile=PROFILE, reason_code=ReasonCode.INCIDENT, justification=OUTAGE, rule="on-call",
        now=clock.now(), rights=(RIGHT,),
    ).replace(needs=NEWER)  # fmt: skip
    details = {"rights": [RIGHT.model_dump(mode="json")]}
    draft = EntryDraft.of(event, AuditAction.BREAK_GLASS_INVOKED, ANN.id, details)  # type: ignore[arg-type]
    return harness.stores.break_glass.create(event, draft, grants=grant(event))


def _newer(harness: StoreHarness, clock: FrozenClock) -> set[str]:
    """The chains that verification names as newer; it finds nothing else, but for ledgers, which weren't written."""
    findings = verify_trail(harness.stores, KEYRING, clock.now())
    found = [each for each in findings if each.kind is not FindingKind.LEDGER_REMOVED]
    assert {each.kind for each in found} <= {FindingKind.NEWER}, found
    return {each.chain for each in found}


def test_it_is_stored_only_where_something_is_needed(harness: StoreHarness, clock: FrozenClock) -> None:
    newer, plain = _submit(harness, clock), _submit(harness, clock, 0)
    stored = harness.stored(newer), harness.stored(plain)
    assert [each is not None and each.get("needs") for each in stored] == [NEWER, None]
    assert harness.stores.requests.get(RequestId(newer.id)) == newer


def test_nothing_decides_on_a_newer_request(harness: StoreHarness, clock: FrozenClock) -> None:
    requests, newer = _requests(harness, clock), _submit(harness, clock)
    request_id = RequestId(newer.id)
    doors: tuple[Callable[[], AccessRecord], ...] = (
        lambda: requests.approve(request_id, ANN),
        lambda: requests.approve(request_id, ANN, duration=HOUR / 2),
        lambda: requests.deny(request_id, ANN, "Not during the freeze"),
        lambda: requests.confirm(request_id, RITA),
        lambda: requests.ask(request_id, ANN, "Which host is it?"),
        lambda: requests.answer(request_id, RITA, 1, "All of them"),
    )
    for press in doors:
        with pytest.raises(NewerRecord, match="A newer version of Countersign made this request"):
            press()
    plain = _submit(harness, clock, 0)
    clock.advance(4 * HOUR)
    assert [each.id for each in requests.remind_due()] == [plain.id]
    assert harness.stores.requests.get(request_id) == newer
    assert _newer(harness, clock) == {newer.chain}


def test_newer_request_still_ends(harness: StoreHarness, clock: FrozenClock) -> None:
    requests, cancelled, overdue = _requests(harness, clock), _submit(harness, clock), _submit(harness, clock)
    assert requests.cancel(RequestId(cancelled.id), RITA).status is RequestStatus.CANCELLED
    clock.advance(24 * HOUR)
    assert [(each.id, each.needs) for each in requests.expire_due()] == [(overdue.id, NEWER)]
    assert _newer(harness, clock) == {cancelled.chain, overdue.chain}


def test_newer_emergency_is_closed_and_not_reviewed(harness: StoreHarness, clock: FrozenClock) -> None:
    break_glass = BreakGlassService(harness.stores, ChangingPolicy(), clock, directory=OfficeDirectory({}))
    closed, overdue = (_declare(harness, clock) for _ in range(2))
    assert break_glass.close(EventId(closed.id), BOB, "it is up again").status is EventStatus.CLOSED
    statuses = {each.source: each.status for each in harness.stores.access.get_right(RIGHT).grants}
    assert statuses == {closed.chain: GrantStatus.ENDING, overdue.chain: GrantStatus.PENDING}
    clock.advance(HOUR)
    assert [each.id for each in break_glass.expire_due()] == [overdue.id]
    with pytest.raises(NewerRecord, match="made this event"):
        break_glass.review(EventId(closed.id), BOB, Verdict.JUSTIFIED, NOTES)
    grants = {each.chain for each in harness.stores.access.get_right(RIGHT).grants}
    assert _newer(harness, clock) == {closed.chain, overdue.chain, *grants}


def test_newer_emergency_is_ended_with_its_access(harness: StoreHarness, clock: FrozenClock) -> None:
    event = _declare(harness, clock)
    grants = GrantService(harness.stores, ChangingPolicy(), clock, directory=OfficeDirectory({}))
    assert [each.status for each in grants.end(event.chain, ANN)] == [GrantStatus.ENDING]
    assert harness.stores.break_glass.get(EventId(event.id)).status is EventStatus.CLOSED


def test_newer_emergency_is_not_held_against_its_grants(harness: StoreHarness, clock: FrozenClock) -> None:
    # Under rules to come, it may give nothing yet, or give it for another person.
    without = _declare(harness, clock, lambda _: [])
    other = _declare(harness, clock, lambda event: grants_of_event(event.replace(invoker=BOB.id)))
    assert _newer(harness, clock) == {without.chain, other.chain}


def test_needs_that_somebody_else_wrote_are_found(harness: StoreHarness, clock: FrozenClock) -> None:
    plain = _submit(harness, clock, 0)
    harness.spoil(plain, {"needs": NEWER})
    found = {each.kind for each in verify_trail(harness.stores, KEYRING, clock.now()) if each.chain == plain.chain}
    assert FindingKind.RECORD_CHANGED in found
