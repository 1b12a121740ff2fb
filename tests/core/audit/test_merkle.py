"""The root of a Merkle tree, against RFC 6962's definition and the test vectors of Certificate Transparency."""

from __future__ import annotations

import hashlib
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audit.merkle import merkle_root

LEAVES: Final = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The leaves of the reference implementation of Certificate Transparency, and its root over all eight."""
ROOT_OF_EIGHT: Final = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def _by_definition(leaves: list[bytes]) -> bytes:
    """Section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while 2 * split < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + _by_definition(leaves[:split]) + _by_definition(leaves[split:])).digest()


def test_root_is_that_of_certificate_transparency() -> None:
    assert merkle_root(LEAVES) == ROOT_OF_EIGHT
    assert merkle_root([]) == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("count", range(40))
def test_root_is_as_rfc_6962_defines_it(count: int) -> None:
    leaves = [bytes([number]) for number in range(count)]
    assert merkle_root(iter(leaves)) == _by_definition(leaves).hex()


@given(st.lists(st.binary(max_size=4), max_size=20), st.lists(st.binary(max_size=4), max_size=20))
def test_different_lists_have_different_roots(one: list[bytes], other: list[bytes]) -> None:
    assert (merkle_root(one) == merkle_root(other)) is (one == other)
