"""Keys for the audit trail of a test: made by a random generator, because a key that can be guessed is refused.

Invariant: they are published here, so they protect nothing.
"""

from __future__ import annotations

from typing import Final

AUDIT_KEY: Final = "9f3c1b7e5a2d8046c1e97b35d0482fa6"
OLDER_AUDIT_KEY: Final = "4be07d92a8c6153f7e21d90b6ac4f835"
OTHER_AUDIT_KEY: Final = "c27a5e10f94d83b6052e7fc8a1b9d364"
