"""How hard a key is to guess, as far as its letters show.

Invariant: conservative in one direction only. A key that a random generator made, of 128 bits or more, always passes; a
key that passes may still be a sentence that somebody can guess.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

MIN_KEY_LENGTH: Final = 32
"""Characters: 128 bits written as hex, the least that NIST SP 800-107 advises for an HMAC key."""
MIN_BITS: Final = 75.0
"""Of 32 random hex digits, about one in 10^11 is estimated lower; the lowest of a million was 90."""
_RUN: Final = 3


def find_weakness(key: bytes) -> str | None:
    """What makes this key easy to guess; None if nothing shows. Never quotes the key."""
    if len(key) < MIN_KEY_LENGTH:
        return f"a key has fewer than {MIN_KEY_LENGTH} characters"
    if estimate_bits(key) < MIN_BITS:
        return "a key repeats itself or counts up, so it can be guessed"
    return None


def estimate_bits(key: bytes) -> float:
    """The entropy of the key, as far as its letters and their order show.

    The letters' own entropy, or that of their differences if it is lower: `abcdef` counts up. What was there before
    adds nothing: `changemechangeme` is as long as `changeme`.
    """
    steps = [(after - before) % 256 for before, after in pairwise(key)]
    runs = {key[start : start + _RUN] for start in range(len(key) - _RUN + 1)}
    return min(_entropy(key), _entropy(steps)) * (len(runs) + _RUN - 1)


def _entropy(symbols: Iterable[int]) -> float:
    counts = Counter(symbols)
    total = counts.total()
    return -sum(count / total * math.log2(count / total) for count in counts.values())
