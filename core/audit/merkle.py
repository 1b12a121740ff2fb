"""The root of a Merkle tree (RFC 6962, section 2.1): one hash that stands for a list, in its order.

Invariant: two lists have the same root only if they are equal. Leaves and nodes are hashed apart, so no node can be
passed off as a leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_LEAF, _NODE = b"\x00", b"\x01"


def merkle_root(leaves: Iterable[bytes]) -> str:
    """The root over the leaves, in hex. It holds one hash for each level, however many leaves there are."""
    # The subtrees that are complete, from left to right, each with its number of leaves: always a smaller one to the
    # right of a larger one, as in RFC 6962, which splits at the largest power of two.
    complete: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, top = 1, _hash(_LEAF + leaf)
        while complete and complete[-1][0] == size:
            size, top = 2 * size, _hash(_NODE + complete.pop()[1] + top)
        complete.append((size, top))
    if not complete:
        return _hash(b"").hex()
    _, root = complete.pop()
    while complete:
        root = _hash(_NODE + complete.pop()[1] + root)
    return root.hex()


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
