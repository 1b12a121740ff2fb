"""One spelling for one value: the input of every digest and seal.

Invariant: pure. Equal values give equal bytes, on every machine and in every version.
"""

from __future__ import annotations

import json
from typing import Final

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def canonical_json(value: object) -> bytes:
    """The value as JSON with sorted keys, without spaces, in pure ASCII."""
    return _CANONICAL.encode(value).encode()
