"""Checkpoints on every engine: what somebody with write access to the store can't do unseen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from pydantic import JsonValue

from core.audit.checkpoint import INTERVAL, MAX_INTERVAL, SETTLE_TIME, Checkpoint, Checkpointer
from core.audit.comparison import PinnedCheckpoint, check_pinned, compare_with_export
from core.audit.export import write_line
from core.audit.findings import Finding, FindingKind, Tally
from core.audit.key_retirement import QUIET_TIME, retire_key
from core.audit.keyring import AuditKeyring
from core.audit.recent import verify_since
from core.audit.trail import CHECKPOINTS, KEYS, AuditAction, AuditEntry, EntryDraft, seal
from core.audit.verification import TrailVerification, verify_trail
from core.clock import TICK
from core.errors import BrokenSeal, InvalidInput, MalformedRecord
from core.outbox.outbox import deliver_due
from core.request import RequestId
from core.stores.seals import read_sealed_ledger, seal_ledger
from core.usage import UsageLedger
from tests.builders import APPROVER, INVOKER, REQUESTER, a_draft, a_refusal, a_request
from tests.core.sinks import RecordingSink
from tests.core.stores.harness import KEYRING
from tests.harness.clock import A_MOMENT
from tests.harness.keys import AUDIT_KEY, OTHER_AUDIT_KEY

if TYPE_CHECKING:
    from core.request import Request
    from core.stores.base import Stores
    from tests.core.stores.harness import StoreHarness

LATER: Final = SETTLE_TIME + INTERVAL
"""After this, everything that was written is covered by the next checkpoint."""
NEW_RING: Final = AuditKeyring.from_text(f"{OTHER_AUDIT_KEY},{AUDIT_KEY}")


def _a_pending(harness: StoreHarness) -> Request:
    request = a_request(required_approvals=2, now=harness.clock.now())
    return harness.stores.requests.create(request, a_draft(details={"required_approvals": 2}))


def _a_vote(stores: Stores, request: Request) -> Request:
    draft = a_draft(AuditAction.APPROVAL_ADDED, actor=APPROVER)
    return stores.requests.update(request.approve(APPROVER, request.updated_at), draft)


def _seal(harness: StoreHarness) -> tuple[AuditEntry, ...]:
    """What the sweeper seals when all that was written has settled."""
    harness.clock.advance(LATER)
    return Checkpointer(harness.stores.audit, harness.clock, lambda: "p" * 8).seal_due()


def _findings(harness: StoreHarness, keyring: AuditKeyring = KEYRING) -> list[Finding]:
    return list(verify_trail(harness.stores, keyring, harness.clock.now()))


def _kinds(harness: StoreHarness, keyring: AuditKeyring = KEYRING) -> set[tuple[str, FindingKind]]:
    return {(each.chain, each.kind) for each in _findings(harness, keyring)}


# Sealing


def test_checkpoint_covers_what_is_new_and_counts_it(harness: StoreHarness) -> None:
    stores = harness.stores
    voted = _a_vote(stores, _a_pending(harness))
    (first,) = _seal(harness)
    checkpoint = Checkpoint.of(first)
    assert (checkpoint.since, checkpoint.until) == (None, harness.clock.now() - SETTLE_TIME)
    assert (checkpoint.entries, checkpoint.total_entries, checkpoint.total_chains) == (2, 2, 1)
    assert checkpoint.policy == "p" * 8
    stores.requests.update(
        voted.cancel(REQUESTER, harness.clock.now()), a_draft(AuditAction.REQUEST_CANCELLED, outcome="cancelled")
    )
    (second,) = _seal(harness)
    after = Checkpoint.of(second)
    assert (second.seq, second.previous) == (2, first.digest)
    assert (after.since, after.entries, after.total_entries, after.total_chains) == (checkpoint.until, 2, 4, 2)
    assert _findings(harness) == []


def test_entry_that_has_not_settled_waits(harness: StoreHarness) -> None:
    _a_pending(harness)
    harness.clock.advance(SETTLE_TIME)
    assert Checkpointer(harness.stores.audit, harness.clock).seal_due() == ()
    harness.clock.advance(TICK)
    assert len(Checkpointer(harness.stores.audit, harness.clock).seal_due()) == 1


def test_checkpoint_comes_every_hour_without_anything_new(harness: StoreHarness) -> None:
    assert _seal(harness) == ()
    _a_pending(harness)
    assert len(_seal(harness)) == 1
    # Its own entry is no reason for another one.
    assert _seal(harness) == ()
    harness.clock.advance(MAX_INTERVAL)
    assert len(_seal(harness)) == 1
    assert _findings(harness) == []


def test_two_instances_seal_one_checkpoint(harness: StoreHarness) -> None:
    _a_pending(harness)
    other = harness.open()
    harness.clock.advance(LATER)
    late = Checkpointer(other.audit, harness.clock)
    sealed: list[AuditEntry] = []
    # The other one looked before this one sealed.
    read = late._read  # noqa: SLF001 - there is no other way to look between two steps

    def sealing(*interval: object) -> object:
        found = read(*interval)  # type: ignore[arg-type]
        if not sealed:
            sealed.extend(Checkpointer(harness.stores.audit, harness.clock).seal_due())
        return found

    late._read = sealing  # type: ignore[method-assign, assignment]  # noqa: SLF001
    late.seal_due()
    assert len(sealed) == 1
    assert harness.stores.audit.get_chain(CHECKPOINTS) == tuple(sealed)


def test_long_backlog_is_covered_piece_by_piece(harness: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.audit.checkpoint.MAX_ENTRIES", 2)
    for _ in range(5):
        harness.clock.advance(TICK)
        harness.stores.requests.create(a_request(now=harness.clock.now()), a_draft())
    sealed = _seal(harness)
    assert [Checkpoint.of(each).entries for each in sealed] == [2, 2, 1]
    assert _findings(harness) == []


@pytest.mark.parametrize("is_readable", [True, False])
def test_damaged_last_checkpoint_keeps_no_later_one_away(harness: StoreHarness, *, is_readable: bool) -> None:
    _a_pending(harness)
    (first,) = _seal(harness)
    details: dict[str, JsonValue] = {
        "until": "9999-01-01T00:00:00.000000Z",
        "entries": 0,
        "root": "00",
        "total_entries": 0,
        "total_chains": 0,
    }
    draft = EntryDraft(event=AuditAction.CHECKPOINT_SEALED, actor=first.actor, outcome="sealed", details=details)
    stranger = AuditKeyring.from_text(OTHER_AUDIT_KEY)
    forged = seal(draft, stranger, chain=CHECKPOINTS, seq=2, previous=first.digest, at=harness.clock.now())
    harness.add_entry(forged)
    if not is_readable:
        harness.spoil_entry(forged)
    _a_pending(harness)
    (third,) = _seal(harness)
    assert third.seq == 3
    assert Checkpoint.of(third).since == Checkpoint.of(first).until
    kind = FindingKind.UNKNOWN_KEY if is_readable else FindingKind.UNREADABLE
    assert (CHECKPOINTS, kind) in _kinds(harness)


# Attacks


def test_record_set_back_with_its_whole_chain_is_found(harness: StoreHarness) -> None:
    stores = harness.stores
    pending = _a_pending(harness)
    earlier = harness.stored(pending) or {}
    voted = _a_vote(stores, pending)
    _seal(harness)
    assert _findings(harness) == []
    now = harness.stored(voted) or {}
    harness.put_back(pending, {**dict.fromkeys(now), **earlier})
    harness.remove_entry(stores.audit.get_chain(pending.chain)[1])
    # The record is genuine, and so is its chain: only the checkpoint tells.
    assert stores.requests.get(RequestId(pending.id)) == pending
    (finding,) = _findings(harness)
    assert (finding.chain, finding.kind) == (CHECKPOINTS, FindingKind.REMOVED)
    assert "checkpoint 1 sealed 2 entries" in finding.text
    assert finding.text.endswith("; 1 are left")


def test_record_removed_with_its_whole_chain_is_found(harness: StoreHarness) -> None:
    voted = _a_vote(harness.stores, _a_pending(harness))
    _a_pending(harness)
    _seal(harness)
    for entry in harness.stores.audit.get_chain(voted.chain):
        harness.remove_entry(entry)
    harness.remove(voted)
    assert _kinds(harness) == {(CHECKPOINTS, FindingKind.REMOVED)}


def test_entry_exchanged_for_a_genuine_one_is_found(harness: StoreHarness) -> None:
    entry = harness.stores.audit.append("POLICY", a_draft())
    _seal(harness)
    harness.remove_entry(entry)
    harness.add_entry(seal(a_draft(), KEYRING, chain="POLICY", seq=1, previous="", at=entry.at))
    assert _kinds(harness) == {(CHECKPOINTS, FindingKind.EDITED)}


def test_trail_set_back_with_its_checkpoints_is_found(harness: StoreHarness) -> None:
    stores = harness.stores
    first_record = _a_pending(harness)
    (first,) = _seal(harness)
    second_record = _a_pending(harness)
    (second,) = _seal(harness)
    exported = [write_line(each) for each in stores.audit.export()]
    _deliver_everything(harness)
    for entry in (second, *stores.audit.get_chain(second_record.chain)):
        harness.remove_entry(entry)
    harness.remove(second_record)
    assert _findings(harness) == []
    pinned = PinnedCheckpoint.from_text(f"{second.seq}:{second.digest}")
    (finding,) = check_pinned(stores.audit, pinned)
    assert (finding.chain, finding.kind) == (CHECKPOINTS, FindingKind.ROLLED_BACK)
    assert list(check_pinned(stores.audit, PinnedCheckpoint(first.seq, first.digest))) == []
    lost = {(each.chain, each.kind) for each in compare_with_export(stores.audit, exported)}
    assert lost == {(second_record.chain, FindingKind.REMOVED), (CHECKPOINTS, FindingKind.REMOVED)}
    # The bot goes on, and seals another second one.
    _a_pending(harness)
    _seal(harness)
    (finding,) = check_pinned(stores.audit, pinned)
    assert finding.text == "checkpoint 2 has another digest now"
    assert first_record.chain not in {each.chain for each in compare_with_export(stores.audit, exported)}


def _deliver_everything(harness: StoreHarness) -> None:
    outbox, now = harness.stores.outbox, harness.clock.now()
    while due := list(outbox.iterate_due(now)):
        for leased in (outbox.lease(each, "a sweeper", now, now + timedelta(minutes=1)) for each in due):
            if leased is not None:
                outbox.finish(leased)


def test_export_finds_each_changed_entry_by_name(harness: StoreHarness) -> None:
    request = _a_pending(harness)
    exported = [write_line(each) for each in harness.stores.audit.export()]
    assert list(compare_with_export(harness.stores.audit, [*exported, "", "\n"])) == []
    (entry,) = harness.stores.audit.get_chain(request.chain)
    harness.remove_entry(entry)
    harness.add_entry(entry.model_copy(update={"actor": INVOKER}))
    (finding,) = compare_with_export(harness.stores.audit, exported)
    assert (finding.chain, finding.kind) == (request.chain, FindingKind.EDITED)
    with pytest.raises(InvalidInput, match="line 2 is not an exported entry"):
        list(compare_with_export(harness.stores.audit, [exported[0], "{}"]))


def test_hidden_entry_of_the_past_is_found(harness: StoreHarness) -> None:
    _a_pending(harness)
    _seal(harness)
    planted = seal(a_draft(), KEYRING, chain="POLICY", seq=1, previous="", at=A_MOMENT)
    harness.add_entry(planted)
    assert _kinds(harness) == {(CHECKPOINTS, FindingKind.BACKDATED)}
    harness.hide_entry(planted)
    (finding,) = _findings(harness)
    assert (finding.chain, finding.kind) == ("POLICY", FindingKind.UNREADABLE)
    assert "filed under" in finding.text


def test_entry_kept_out_of_lists_is_found_before_a_checkpoint(harness: StoreHarness) -> None:
    request = _a_pending(harness)
    (entry,) = harness.stores.audit.get_chain(request.chain)
    harness.hide_entry(entry)
    assert _kinds(harness) == {(request.chain, FindingKind.UNREADABLE)}


def test_removed_refusals_with_their_head_are_found(harness: StoreHarness) -> None:
    harness.stores.refusals.note(a_refusal())
    harness.stores.refusals.flush()
    (chain,) = {chain for chain, _ in harness.stored_entries()}
    _seal(harness)
    harness.remove_refusals(chain)
    assert _kinds(harness) == {(CHECKPOINTS, FindingKind.REMOVED)}


def test_delivery_of_a_removed_entry_keeps_no_later_one_away(harness: StoreHarness) -> None:
    entry = harness.stores.audit.append("POLICY", a_draft())
    harness.remove_entry(entry)
    assert harness.stores.audit.append("POLICY", a_draft()).seq == 1


# From a checkpoint on


def _since(harness: StoreHarness, start: AuditEntry, tally: Tally | None = None) -> list[Finding]:
    run = TrailVerification.prepare(harness.stores, KEYRING, harness.clock.now(), tally or Tally())
    return list(verify_since(run, start))


def test_verification_since_reads_only_what_is_new(harness: StoreHarness) -> None:
    stores = harness.stores
    old, touched = _a_pending(harness), _a_pending(harness)
    (start,) = _seal(harness)
    _a_vote(stores, touched)
    stores.refusals.note(a_refusal())
    stores.refusals.flush()
    _seal(harness)
    tally = Tally()
    assert _since(harness, start, tally) == []
    assert (tally.records, tally.checkpoints) == (1, 1)
    harness.spoil(old, {"justification": "Something else entirely"})
    assert _since(harness, start) == []
    harness.spoil(touched, {"justification": "Something else entirely"})
    assert {(each.chain, each.kind) for each in _since(harness, start)} == {(touched.chain, FindingKind.RECORD_CHANGED)}


def test_verification_since_finds_removed_and_forged_entries(harness: StoreHarness) -> None:
    stores = harness.stores
    first = stores.audit.append("POLICY", a_draft())
    (start,) = _seal(harness)
    second, third = stores.audit.append("POLICY", a_draft()), stores.audit.append("POLICY", a_draft())
    _seal(harness)
    assert _since(harness, start) == []
    harness.remove_entry(second)
    assert {(each.chain, each.kind) for each in _since(harness, start)} == {
        (CHECKPOINTS, FindingKind.REMOVED),
        ("POLICY", FindingKind.REMOVED),
    }
    forged = seal(a_draft(), AuditKeyring(), chain="POLICY", seq=2, previous=first.digest, at=second.at)
    harness.add_entry(forged)
    assert ("POLICY", FindingKind.UNKNOWN_KEY) in {(each.chain, each.kind) for each in _since(harness, start)}
    assert third.seq == 3


# Keys


def _with_new_key(harness: StoreHarness) -> Stores:
    """An instance with a new key before the old one, after the old one has been quiet."""
    harness.clock.advance(QUIET_TIME + timedelta(seconds=1))
    harness.settings = replace(harness.settings, keyring=NEW_RING.model_copy())
    harness.stores = harness.open()
    deliver_due(harness.stores.outbox, [RecordingSink("webhook")], harness.clock)
    return harness.stores


def _retire(harness: StoreHarness) -> Stores:
    stores = _with_new_key(harness)
    retire_key(stores, harness.clock, KEYRING.key_id)
    return stores


def test_retired_key_keeps_what_it_sealed_genuine(harness: StoreHarness) -> None:
    _a_vote(harness.stores, _a_pending(harness))
    stores = _retire(harness)
    assert list(verify_trail(stores, NEW_RING, harness.clock.now())) == []
    (retirement,) = stores.audit.get_chain(KEYS)
    assert (retirement.event, retirement.key_id) == (AuditAction.AUDIT_KEY_RETIRED, NEW_RING.key_id)
    assert retirement.details["key_id"] == KEYRING.key_id


def test_entry_forged_with_a_retired_key_is_found(harness: StoreHarness) -> None:
    _a_pending(harness)
    _retire(harness)
    forged = seal(a_draft(), KEYRING, chain="POLICY", seq=1, previous="", at=harness.clock.now())
    harness.add_entry(forged)
    assert _kinds(harness, NEW_RING) == {("POLICY", FindingKind.RETIRED_KEY)}


def test_backdated_chain_of_a_retired_key_is_found(harness: StoreHarness) -> None:
    _a_pending(harness)
    _retire(harness)
    forged = seal(a_draft(), KEYRING, chain="POLICY", seq=1, previous="", at=A_MOMENT)
    harness.add_entry(forged)
    assert _kinds(harness, NEW_RING) == {(CHECKPOINTS, FindingKind.BACKDATED)}
    harness.hide_entry(forged)
    assert _kinds(harness, NEW_RING) == {("POLICY", FindingKind.UNREADABLE)}


def test_checkpoints_resealed_with_a_retired_key_are_found(harness: StoreHarness) -> None:
    _a_pending(harness)
    (first,) = _seal(harness)
    _retire(harness)
    harness.remove_entry(first)
    draft = EntryDraft(event=first.event, actor=first.actor, outcome=first.outcome, details={**first.details})
    harness.add_entry(seal(draft, KEYRING, chain=CHECKPOINTS, seq=1, previous="", at=first.at))
    assert (CHECKPOINTS, FindingKind.REORDERED) in _kinds(harness, NEW_RING)


def test_removing_the_retirement_does_not_bring_the_key_back(harness: StoreHarness) -> None:
    _a_pending(harness)
    stores = _retire(harness)
    _a_pending(harness)
    _seal(harness)
    (retirement,) = stores.audit.get_chain(KEYS)
    harness.remove_entry(retirement)
    harness.add_entry(seal(a_draft(), KEYRING, chain="POLICY", seq=1, previous="", at=harness.clock.now()))
    assert _kinds(harness, NEW_RING) == {(CHECKPOINTS, FindingKind.REMOVED), ("POLICY", FindingKind.RETIRED_KEY)}


def test_retired_key_cannot_retire_the_new_one(harness: StoreHarness) -> None:
    _a_pending(harness)
    stores = _retire(harness)
    details: dict[str, JsonValue] = {"key_id": NEW_RING.key_id, "until": "2026-01-01T00:00:00.000000Z", "checkpoint": 1}
    draft = EntryDraft(
        event=AuditAction.AUDIT_KEY_RETIRED, actor=stores.audit.get_chain(KEYS)[0].actor, outcome="x", details=details
    )
    last = stores.audit.get_chain(KEYS)[-1]
    harness.add_entry(seal(draft, KEYRING, chain=KEYS, seq=2, previous=last.digest, at=harness.clock.now()))
    Checkpointer(stores.audit, harness.clock).refresh_keys()
    assert stores.audit.keyring.retired == {KEYRING.key_id}


def test_seal_of_a_retired_key_is_refused_where_it_decides(harness: StoreHarness) -> None:
    _a_pending(harness)
    stores = _retire(harness)
    ring = stores.audit.keyring
    ledger = UsageLedger.of_invoker(INVOKER)
    forged = seal_ledger(ledger, A_MOMENT, KEYRING).item
    read_sealed_ledger(ledger, forged, ring)
    Checkpointer(stores.audit, harness.clock).refresh_keys()
    with pytest.raises(BrokenSeal, match="retired"):
        read_sealed_ledger(ledger, forged, ring)


def test_records_and_ledgers_outlive_the_key_that_is_retired(harness: StoreHarness) -> None:
    pending = _a_pending(harness)
    codes = harness.stores.break_glass.get_codes(INVOKER)
    harness.stores.break_glass.put_codes(codes)
    stores = _retire(harness)
    Checkpointer(stores.audit, harness.clock).refresh_keys()
    assert _a_vote(stores, stores.requests.get(RequestId(pending.id))).approvals
    stores.break_glass.put_codes(stores.break_glass.get_codes(INVOKER))
    assert stores.reseal() == 0
    assert _findings(harness, NEW_RING) == []


def test_record_forged_with_a_retired_key_is_refused(harness: StoreHarness) -> None:
    pending = _a_pending(harness)
    sealed_before = harness.stored(pending) or {}
    stores = _retire(harness)
    Checkpointer(stores.audit, harness.clock).refresh_keys()
    stores.requests.get(RequestId(pending.id))
    for forged in (sealed_before, {**sealed_before, "seal": None}):
        harness.put_back(pending, forged)
        with pytest.raises(BrokenSeal):
            stores.requests.get(RequestId(pending.id))


def test_forged_record_is_not_sealed_anew(harness: StoreHarness) -> None:
    pending = _a_pending(harness)
    _seal(harness)
    harness.spoil(pending, {"justification": "Something else entirely"})
    stores = _with_new_key(harness)
    with pytest.raises(InvalidInput, match="the trail has findings"):
        retire_key(stores, harness.clock, KEYRING.key_id)
    with pytest.raises(BrokenSeal):
        stores.reseal()
    assert stores.audit.get_chain(KEYS) == ()


def test_key_in_use_is_not_retired(harness: StoreHarness) -> None:
    old = harness.stores
    stores = _with_new_key(harness)
    ring = stores.audit.keyring
    with pytest.raises(InvalidInput, match="is the key that seals"):
        retire_key(stores, harness.clock, ring.key_id)
    with pytest.raises(InvalidInput, match="is not the name of a key"):
        retire_key(stores, harness.clock, "00000000")
    old.audit.append("POLICY", a_draft())
    with pytest.raises(InvalidInput, match="sealed an entry in the last 10 minutes"):
        retire_key(stores, harness.clock, KEYRING.key_id)
    harness.clock.advance(QUIET_TIME + timedelta(seconds=1))
    with pytest.raises(InvalidInput, match="the outbox still holds notifications"):
        retire_key(stores, harness.clock, KEYRING.key_id)
    deliver_due(stores.outbox, [RecordingSink("webhook")], harness.clock)
    retire_key(stores, harness.clock, KEYRING.key_id)
    with pytest.raises(InvalidInput, match="is retired already"):
        retire_key(stores, harness.clock, KEYRING.key_id)


def test_checkpoint_is_delivered_to_the_sinks(harness: StoreHarness) -> None:
    _a_pending(harness)
    (sealed,) = _seal(harness)
    assert sealed in [each.entry for each in harness.stores.outbox.iterate_due(harness.clock.now())]


def test_places_and_records_are_read_by_the_hundred(harness: StoreHarness) -> None:
    stores = harness.stores
    requests = [_a_pending(harness) for _ in range(3)]
    harness.make_unreadable(requests[0])
    (entry,) = stores.audit.get_chain(requests[1].chain)
    harness.spoil_entry(entry)
    found = stores.requests.find_many([each.id for each in requests] + ["0" * 16])
    assert {name for name, each in found.items() if isinstance(each, MalformedRecord)} == {requests[0].id}
    assert found.keys() == {each.id for each in requests}
    places = [(each.chain, number) for each in requests for number in (1, 2)]
    entries = stores.audit.get_entries(places)
    assert {place for place, each in entries.items() if isinstance(each, MalformedRecord)} == {(entry.chain, 1)}
    assert entries.keys() == {(each.chain, 1) for each in requests}
    listed = {(each.chain, each.seq) for each in stores.audit.list_digests()}
    assert listed == entries.keys()
    assert stores.audit.get_entries([]) == {}
    assert stores.requests.find_many([]) == {}
