"""Signatures: an auditor with the public key verifies, and can't forge; somebody with the secret key can't sign."""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from core.audit.checkpoint import INTERVAL, SETTLE_TIME, Checkpointer
from core.audit.findings import Finding, FindingKind, Tally
from core.audit.keyring import AuditKeyring, signed_content
from core.audit.signature import PublicKey, SigningKey
from core.audit.trail import AuditEntry, seal
from core.audit.verification import verify_trail
from core.errors import InvalidInput
from core.stores import open_stores
from tests.builders import APPROVER, a_draft, a_request
from tests.harness.clock import A_MOMENT, FrozenClock
from tests.harness.keys import AUDIT_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from core.stores import Stores

SEED: Final = "1f8b3c5d7e9a0b2c4d6e8f0a1b3c5d7e9f0a2b4c6d8e0f1a3b5c7d9e1f2a4b6c"
SIGNING: Final = SigningKey.from_text(SEED)
RING: Final = AuditKeyring.from_text(AUDIT_KEY)
SIGNING_RING: Final = RING.model_copy(update={"signer": SIGNING, "signature_check": SIGNING.public})
AUDITOR: Final = AuditKeyring(signature_check=SIGNING.public)


def _entry(ring: AuditKeyring = SIGNING_RING) -> AuditEntry:
    return seal(a_draft(), ring, chain="POLICY", seq=1, previous="", at=A_MOMENT)


def test_signed_entry_is_genuine_for_the_auditor_and_the_bot() -> None:
    read = AuditEntry.from_item(json.loads(json.dumps(_entry().to_item())))
    assert read.signing_key_id == SIGNING.key_id
    assert AUDITOR.is_genuine(read)
    assert SIGNING_RING.is_genuine(read)
    # Instances without the signing key verify the seal.
    assert RING.is_genuine(read)


def test_signature_is_what_openssl_verifies(tmp_path: Path) -> None:
    entry = _entry()
    (tmp_path / "key.pem").write_text(SIGNING.public.to_pem())
    (tmp_path / "content").write_bytes(signed_content(entry))
    (tmp_path / "signature").write_bytes(base64.b64decode(entry.signature))
    command = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in content -sigfile signature"
    done = subprocess.run(  # noqa: S603 - ours
        command.split(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Signature Verified Successfully" in done.stdout


@pytest.mark.parametrize("change", [{"actor": APPROVER}, {"digest": "ab" * 32}, {"previous": "ab" * 32}, {"seq": 2}])
def test_edited_entry_is_not_genuine_for_the_auditor(change: dict[str, object]) -> None:
    assert not AUDITOR.is_genuine(_entry().model_copy(update=change))


@pytest.mark.parametrize("signature", ["", "!", "AAAA", base64.b64encode(b"\0" * 64).decode(), "ü"])
def test_forged_signature_is_refused_whatever_it_holds(signature: str) -> None:
    forged = _entry().model_copy(update={"signature": signature})
    assert not AUDITOR.is_genuine(forged)
    assert not SIGNING_RING.is_genuine(forged)


def test_public_key_is_read_as_it_is_printed() -> None:
    assert PublicKey.from_text(SIGNING.public.to_pem()).key_id == SIGNING.key_id
    for text in ("", "x", SEED, SIGNING.public.to_pem()[:-30], SIGNING.public.to_pem().replace("MCow", "MCox")):
        with pytest.raises(InvalidInput, match="audit key public"):
            PublicKey.from_text(text)


def test_signing_key_is_never_shown() -> None:
    assert not [text for text in (repr(SIGNING), repr(SIGNING_RING), SIGNING_RING.model_dump_json()) if SEED in text]
    for text in ("", SEED[:-2], SEED[:-1] + "g", SEED + "00"):
        with pytest.raises(InvalidInput, match="64 hex digits") as refusal:
            SigningKey.from_text(text)
        assert SEED[:20] not in str(refusal.value)


class _Deployment:
    """A deployment that began to sign after its first request."""

    def __init__(self, path: Path, clock: FrozenClock) -> None:
        self.clock = clock
        self.url = f"sqlite:///{path / 'countersign.db'}"
        self.make(RING)
        self.make(SIGNING_RING)

    def make(self, ring: AuditKeyring) -> None:
        """A request and a checkpoint, by an instance with these keys."""
        stores = open_stores(self.url, keyring=ring, clock=self.clock)
        stores.requests.create(a_request(now=self.clock.now()), a_draft())
        self.clock.advance(INTERVAL + SETTLE_TIME)
        Checkpointer(stores.audit, self.clock).seal_due()
        stores.close()

    def verify(self, ring: AuditKeyring, tally: Tally | None = None) -> list[Finding]:
        """What somebody with these keys finds."""
        stores: Stores = open_stores(self.url, keyring=ring, clock=self.clock)
        try:
            return list(verify_trail(stores, ring, self.clock.now(), tally))
        finally:
            stores.close()


@pytest.fixture
def deployment(tmp_path: Path, clock: FrozenClock) -> _Deployment:
    return _Deployment(tmp_path, clock)


def test_auditor_verifies_all_that_is_signed_and_counts_the_rest(deployment: _Deployment) -> None:
    tally = Tally()
    assert deployment.verify(AUDITOR, tally) == []
    assert (tally.entries, tally.unsigned) == (4, 2)
    assert deployment.verify(SIGNING_RING) == []
    assert deployment.verify(RING) == []


def test_entry_without_a_signing_key_is_found(deployment: _Deployment) -> None:
    # Somebody who has the secret key, and not the signing key.
    deployment.make(RING)
    for ring in (AUDITOR, SIGNING_RING):
        assert {each.kind for each in deployment.verify(ring)} == {FindingKind.NOT_SIGNED}
    assert deployment.verify(RING) == []


def test_stripped_signature_is_found(deployment: _Deployment) -> None:
    with closing(sqlite3.connect(deployment.url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE audit SET body = json_remove(body, '$.signature')")
    assert {each.kind for each in deployment.verify(SIGNING_RING)} == {FindingKind.EDITED}
