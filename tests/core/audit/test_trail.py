from __future__ import annotations

import hashlib
import hmac
import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, SecretBytes, ValidationError

from core.actor import DeciderId
from core.audit.canonical import canonical_json
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, AuditEntry, EntryDraft, EntryId, seal
from core.clock import TICK
from core.errors import InvalidInput, MalformedRecord
from tests.builders import APPROVER, PROD, REQUESTER, a_draft, a_refusal
from tests.harness.clock import A_MOMENT
from tests.harness.keys import AUDIT_KEY as NEW
from tests.harness.keys import OLDER_AUDIT_KEY as OLD

CHAIN: Final = "REQUEST#0123456789abcdef"


def sealed(keyring: AuditKeyring, draft: EntryDraft | None = None) -> AuditEntry:
    """An entry with every field filled."""
    return seal(
        draft or a_draft(subject=REQUESTER, profile=PROD, record=CHAIN, details={"rule": "prod", "approvals": 1}),
        keyring,
        chain=CHAIN,
        seq=2,
        previous="ab" * 32,
        at=A_MOMENT,
        record_digest="cd" * 32,
        kept_until=A_MOMENT + TICK,
    )


# Seals


KEYRINGS: Final = {"keyed": AuditKeyring.from_text(NEW), "unkeyed": AuditKeyring()}


@pytest.mark.parametrize("keyring", KEYRINGS.values(), ids=KEYRINGS)
def test_sealed_entry_stays_genuine_when_stored_and_read(keyring: AuditKeyring) -> None:
    entry = sealed(keyring)
    assert keyring.is_genuine(entry)
    read = AuditEntry.from_item(json.loads(json.dumps(entry.to_item())))
    assert read == entry
    assert keyring.is_genuine(read)


EDITS: Final[dict[str, object]] = {
    "id": EntryId("0000000000000000"),
    "event": AuditAction.REQUEST_APPROVED,
    "actor": DeciderId("U0FORGER"),
    "outcome": "approved",
    "subject": APPROVER,
    "profile": "staging",
    "record": "REQUEST#0000000000000000",
    "details": {"rule": "prod", "approvals": 2},
    "chain": "REQUEST#0000000000000000",
    "seq": 3,
    "at": A_MOMENT + TICK,
    "record_digest": "ef" * 32,
    "previous_record_digest": "ef" * 32,
    "ledgers": {"INVOKER#U0FORGER": "ef" * 32},
    "newer": '{"mood": "good"}',
    "kept_until": A_MOMENT,
    "previous": "ef" * 32,
    "key_id": "00000000",
    "signing_key_id": "00000000",
    "digest": "ef" * 32,
}


def test_every_field_of_an_entry_is_edited_below() -> None:
    # A signature covers the seal, not the other way round; see test_signature.
    assert set(EDITS) == set(AuditEntry.model_fields) - {"signature"}


@pytest.mark.parametrize("keyring", KEYRINGS.values(), ids=KEYRINGS)
@pytest.mark.parametrize("field", EDITS)
def test_entry_that_was_edited_in_any_field_is_not_genuine(keyring: AuditKeyring, field: str) -> None:
    assert not keyring.is_genuine(sealed(keyring).model_copy(update={field: EDITS[field]}))


@pytest.mark.parametrize(
    "field", ["subject", "profile", "record", "record_digest", "kept_until", "previous", "details"]
)
def test_entry_that_lost_a_field_is_not_genuine(field: str) -> None:
    keyring = KEYRINGS["keyed"]
    item = sealed(keyring).to_item()
    del item[field]
    assert not keyring.is_genuine(AuditEntry.from_item(item))


def test_digest_is_an_hmac_that_anybody_with_the_key_can_compute() -> None:
    entry = sealed(KEYRINGS["keyed"])
    content = {name: value for name, value in entry.to_item().items() if name != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    assert entry.digest == hmac.new(NEW.encode(), text, hashlib.sha256).hexdigest()
    assert content["previous"] == "ab" * 32


def test_forger_without_the_key_cannot_reseal() -> None:
    forged = sealed(AuditKeyring())
    assert not KEYRINGS["keyed"].is_genuine(forged)
    named = forged.model_copy(update={"key_id": KEYRINGS["keyed"].key_id})
    assert not KEYRINGS["keyed"].is_genuine(named)


# Keys


def test_replaced_key_still_verifies_and_the_new_one_seals() -> None:
    before, during = AuditKeyring.from_text(OLD), AuditKeyring.from_text(f"{NEW}, {OLD}")
    after = AuditKeyring.from_text(NEW)
    old, new = sealed(before), sealed(during)
    assert new.key_id == after.key_id != old.key_id == before.key_id
    assert during.is_genuine(old)
    assert during.is_genuine(new)
    assert during.knows(old.key_id)
    assert not after.knows(old.key_id)
    assert not after.is_genuine(old)
    assert not before.is_genuine(new)


def test_empty_ring_says_it_has_no_key_and_knows_only_itself() -> None:
    empty = AuditKeyring()
    assert not empty.is_keyed
    assert KEYRINGS["keyed"].is_keyed
    assert empty.knows(empty.key_id)
    assert not empty.knows(KEYRINGS["keyed"].key_id)


@pytest.mark.parametrize("text", ["", "short", "x" * 31, f"{NEW},", f"{NEW},short", f",{NEW}", " " * 40])
def test_short_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        AuditKeyring.from_text(text)
    assert refusal.value.field == "COUNTERSIGN_AUDIT_KEY"
    assert "countersign audit key new" in refusal.value.fix
    assert not [part for part in ("short", NEW, "xxx") if part in str(refusal.value)]


_BYTES: Final = bytes(each | 0x80 for each in hashlib.sha256(b"any").digest())


def test_key_of_bytes_that_are_no_text_is_used_as_it_is() -> None:
    as_read_from_an_environment = _BYTES.decode(errors="surrogateescape")
    ring = AuditKeyring.from_text(as_read_from_an_environment)
    assert ring.key_id == AuditKeyring(keys=(SecretBytes(_BYTES),)).key_id


def test_key_is_never_shown_nor_guessable_from_its_name() -> None:
    ring = AuditKeyring.from_text(f"{NEW},{OLD}")
    shown = [repr(ring), str(ring), str(ring.model_dump()), ring.model_dump_json(), repr(ring.keys), repr(vars(ring))]
    assert not [text for text in shown if NEW in text or OLD in text]
    assert ring.key_id not in NEW + OLD
    assert len(ring.key_id) == 8
    with pytest.raises(ValidationError) as error:
        AuditKeyring(keys=(SecretBytes(NEW.encode()), 7))  # type: ignore[arg-type]
    assert NEW not in str(error.value)


# The one spelling

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(value=json_values)
def test_canonical_json_is_one_ascii_line_and_reads_back(value: JsonValue) -> None:
    written = canonical_json(value)
    assert written.isascii()
    assert b"\n" not in written
    assert json.loads(written) == value
    assert canonical_json(json.loads(written)) == written


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_json({"b": 1, "a": [True, None, "é"]}) == canonical_json({"a": [True, None, "é"], "b": 1})
    assert canonical_json({"b": 1, "a": "é"}) == b'{"a":"\\u00e9","b":1}'


@given(details=st.dictionaries(st.text(max_size=9), json_values, max_size=4))
def test_entry_with_any_details_stays_genuine_in_its_stored_form(
    details: dict[str, JsonValue],
) -> None:
    keyring = KEYRINGS["keyed"]
    entry = sealed(keyring, a_draft(details=details))
    assert keyring.is_genuine(AuditEntry.from_item(json.loads(json.dumps(entry.to_item()))))


# Entries


def test_stored_form_leaves_out_what_is_empty() -> None:
    entry = seal(a_draft(), AuditKeyring(), chain=CHAIN, seq=1, previous="", at=A_MOMENT)
    assert set(entry.to_item()) == {"id", "event", "actor", "outcome", "chain", "seq", "at", "key_id", "digest"}


def test_changes_emergencies_and_alarms_are_notified() -> None:
    def is_delivered(draft: EntryDraft) -> bool:
        return seal(draft, AuditKeyring(), chain=CHAIN, seq=1, previous="", at=A_MOMENT).must_be_delivered

    assert all(is_delivered(a_draft(event)) for event in AuditAction)
    assert [event for event in AuditAction if is_delivered(a_refusal(event))] == [
        AuditAction.INVOKE_REFUSED,
        AuditAction.SEAL_BROKEN,
    ]


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("seq", 0, "seq"),
        ("event", "gossip", "event"),
        ("at", "now", "at"),
        ("actor", "somebody", "is not a user, a policy rule or the clock"),
        ("id", "0123", "id"),
        ("key_id", None, "key_id"),
    ],
)
def test_unreadable_entry_is_named_with_its_fault_on_one_line(name: str, value: object, fault: str) -> None:
    with pytest.raises(MalformedRecord, match=fault) as error:
        AuditEntry.from_item({**sealed(AuditKeyring()).to_item(), name: value})
    assert error.value.record.startswith(f"audit entry {CHAIN}/")
    assert "\n" not in str(error.value)


def test_field_of_a_newer_version_is_kept_and_sealed() -> None:
    keyring = KEYRINGS["keyed"]
    newer = AuditEntry.from_item({**sealed(keyring).to_item(), "mood": "good"})
    resealed = newer.model_copy(update={"digest": keyring.sign(newer)})
    read = AuditEntry.from_item(resealed.to_item())
    assert read.to_item()["mood"] == "good"
    assert keyring.is_genuine(read)
    assert not keyring.is_genuine(AuditEntry.from_item({**resealed.to_item(), "mood": "bad"}))


def test_entry_that_says_nothing_is_named_by_question_marks() -> None:
    with pytest.raises(MalformedRecord, match=r"audit entry \?/\? cannot be read"):
        AuditEntry.from_item({})


def test_drafts_have_ids_of_their_own_and_are_frozen() -> None:
    one = EntryDraft(event=AuditAction.REQUEST_DENIED, actor=DeciderId(APPROVER), outcome="denied")
    other = EntryDraft(event=AuditAction.REQUEST_DENIED, actor=DeciderId(APPROVER), outcome="denied")
    assert one.id != other.id
    with pytest.raises(ValidationError, match="frozen"):
        one.actor = DeciderId("U0FORGER")  # type: ignore[misc]
