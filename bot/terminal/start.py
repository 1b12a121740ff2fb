"""The installed `countersign` command: answers `countersign credentials` from the cache, or loads the command line.

Invariant: while cached credentials serve, nothing is imported but the standard library: SDKs may start this for every
call. What can't be answered that way is left to `bot.cli`, which says everything that there is to say.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Final

from bot.terminal.credential_output import print_credentials, write_for_process
from bot.terminal.credentials_cache import CacheKey, CredentialsCache
from bot.terminal.paired_device import find_device

_CREDENTIALS: Final = "credentials"
_TARGET: Final = "--target"
_NOT_PRINTED: Final = 1
_INTERRUPTED: Final = 130


def main() -> None:
    """The entry point of the installed command."""
    if (cached := find_cached(sys.argv[1:], os.environ, datetime.now(UTC))) is not None:
        if not print_credentials(cached):
            sys.exit(_NOT_PRINTED)
        return
    try:
        # By its name: the command line lies above this room, and most runs for credentials never need it.
        import_module("bot.cli").main()
    except KeyboardInterrupt:
        # While it was still being loaded.
        sys.exit(_INTERRUPTED)


def find_cached(arguments: Sequence[str], environ: Mapping[str, str], now: datetime) -> str | None:
    """What `credentials PROFILE [--target NAME]` prints, if these are its arguments and the cache is fresh."""
    match arguments:
        case [command, profile] if command == _CREDENTIALS:
            target = ""
        case [command, profile, option, target] if (command, option) == (_CREDENTIALS, _TARGET):
            pass
        case _:
            return None
    try:
        if os.name != "posix" or (paired := find_device(environ)) is None:
            return None
        cached = CredentialsCache.of(environ, CacheKey(paired.server, paired.device, profile, target)).read()
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        # Whatever is wrong with the files, the command line says it in a sentence.
        return None
    return write_for_process(cached.fields) if cached is not None and cached.is_fresh(now) else None


if __name__ == "__main__":
    main()
