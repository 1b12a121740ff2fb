"""How many connections fit into the number of files that the operating system lets this process open.

Invariant: what the bot itself needs to open, for the store, for Slack and for its files, stays in reserve.
"""

from __future__ import annotations

import resource
from typing import Final

MAX_CONNECTIONS: Final = 1_000
ACCEPTED_AT_ONCE: Final = 32
"""How many connections are accepted before the first of them is counted."""
_RESERVE: Final = 256 + 4 * ACCEPTED_AT_ONCE
"""SQLite opens three files per thread in use, the AWS SDK and Slack's client one each; closing takes some turns."""
_MIN_SHARE: Final = 4
"""With few files, at least a quarter of them are for connections."""


def raise_file_limit() -> int:
    """Raise the soft limit as far as needed and allowed. Returns how many files this process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + _RESERVE
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= allowed:
        return wanted if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (ValueError, OSError):
        # macOS refuses more than a limit of its kernel.
        return soft
    return allowed


def connections_for(files: int) -> int:
    """How many connections may be open at once in a process that may open so many files."""
    return min(MAX_CONNECTIONS, max(files - _RESERVE, files // _MIN_SHARE, 1))
