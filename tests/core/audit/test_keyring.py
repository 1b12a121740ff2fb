"""Seals over content that is no audit entry."""

from __future__ import annotations

from typing import Final

import pytest

from core.audit.keyring import AuditKeyring
from tests.harness.keys import AUDIT_KEY as NEW
from tests.harness.keys import OLDER_AUDIT_KEY as OLD

RING: Final = AuditKeyring.from_text(f"{NEW},{OLD}")


def test_mac_is_genuine_for_its_content_and_purpose_only() -> None:
    mac = RING.mac(b"record", b"content")
    assert RING.is_genuine_mac(RING.key_id, b"record", b"content", mac)
    assert not RING.is_genuine_mac(RING.key_id, b"ledger", b"content", mac)
    assert not RING.is_genuine_mac(RING.key_id, b"record", b"other content", mac)
    assert not RING.is_genuine_mac(AuditKeyring.from_text(OLD).key_id, b"record", b"content", mac)


def test_mac_of_an_older_key_stays_genuine_under_its_name() -> None:
    old = AuditKeyring.from_text(OLD)
    assert RING.is_genuine_mac(old.key_id, b"record", b"content", old.mac(b"record", b"content"))
    assert RING.mac(b"record", b"content") == AuditKeyring.from_text(NEW).mac(b"record", b"content")


@pytest.mark.parametrize("forged", ["", "ab" * 32, "ü" * 64, "\ud800"])
def test_forged_mac_is_refused_whatever_it_holds(forged: str) -> None:
    assert not RING.is_genuine_mac(RING.key_id, b"record", b"content", forged)


def test_mac_of_a_retired_key_is_refused_and_old_entries_are_not() -> None:
    ring, old = AuditKeyring.from_text(f"{NEW},{OLD}"), AuditKeyring.from_text(OLD)
    mac = old.mac(b"record", b"content")
    ring.retire([old.key_id])
    assert ring.retired == {old.key_id}
    assert not ring.is_genuine_mac(old.key_id, b"record", b"content", mac)
    assert ring.is_genuine_mac(ring.key_id, b"record", b"content", ring.mac(b"record", b"content"))
    assert ring.knows(old.key_id)


def test_keys_know_their_order() -> None:
    old = AuditKeyring.from_text(OLD)
    assert RING.key_ids == (RING.key_id, old.key_id)
    assert RING.is_newer(RING.key_id, than=old.key_id)
    assert RING.is_newer(old.key_id, than="a key that is gone")
    assert not RING.is_newer(old.key_id, than=RING.key_id)
    assert not RING.is_newer("a stranger's", than=old.key_id)
