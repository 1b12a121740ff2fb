"""Which keys are refused because they can be guessed."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.audit.key_strength import find_weakness
from core.audit.keyring import AuditKeyring
from core.errors import InvalidInput
from tests.harness.keys import AUDIT_KEY


@pytest.mark.parametrize(
    "key",
    [
        "a" * 32,
        "k" * 64,
        "0" * 31 + "1",
        "abc" * 11,
        "abcabcabc" * 8,
        "0123456789abcdef" * 2,
        "0123456789abcdef" * 4,
        "abcdefghijklmnopqrstuvwxyz012345",
        "zyxwvutsrqponmlkjihgfedcba987654",
        "12345678901234567890123456789012",
        "aaaaaaaabbbbbbbbccccccccdddddddd",
        "passwordpasswordpasswordpassword1",
        "changemechangemechangemechangeme!!",
        "01" * 40,
    ],
)
def test_key_that_can_be_guessed_is_refused(key: str) -> None:
    for ring in (key, f"{AUDIT_KEY},{key}", f"{key},{AUDIT_KEY}"):
        with pytest.raises(InvalidInput, match="can be guessed") as refusal:
            AuditKeyring.from_text(ring)
        assert key not in str(refusal.value)
        assert "countersign audit key new" in refusal.value.fix


@given(st.randoms(use_true_random=True))
@settings(max_examples=500)
def test_random_key_of_128_bits_is_never_refused(random: object) -> None:
    key = random.randbytes(16)  # type: ignore[attr-defined]
    assert find_weakness(key.hex().encode()) is None


@given(st.randoms(use_true_random=True), st.integers(24, 64))
@settings(max_examples=500)
def test_random_base64_key_is_never_refused(random: object, size: int) -> None:
    key = random.randbytes(size)  # type: ignore[attr-defined]
    assert find_weakness(base64.urlsafe_b64encode(key)) is None
    assert find_weakness(key.hex().encode()) is None
