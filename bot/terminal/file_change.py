"""Changing a file of the person's in one step.

Invariant: the file is the old one or the new one, at any moment. Its mode stays; a link stays a link, and the file that
it leads to is changed. Of two changes at once, one comes after the other.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_NEW_MODE: Final = 0o600
_NEW_FOLDER_MODE: Final = 0o700


def change_file(path: Path, change: Callable[[bytes | None], bytes | None]) -> bool:
    """Replace what is in the file by what `change` makes of it; None is no file. Returns whether anything changed.

    Raises OSError, or what `change` raises, after which the file is as it was.
    """
    # Not at the top: Windows has no such module, and shows the help of all commands nonetheless.
    import fcntl  # noqa: PLC0415 - see above

    real = Path(os.path.realpath(path))
    real.parent.mkdir(mode=_NEW_FOLDER_MODE, parents=True, exist_ok=True)
    folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            # The folder's lock: a lock on the file would be of the file that is replaced.
            fcntl.flock(folder, fcntl.LOCK_EX)
        found = real.read_bytes() if real.exists() else None
        wanted = change(found)
        if wanted == found:
            return False
        if wanted is None:
            real.unlink()
        else:
            _replace(real, wanted)
        return True
    finally:
        os.close(folder)


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _NEW_MODE), "wb") as file:
            with suppress(FileNotFoundError):
                before = path.stat()
                if before.st_uid != os.geteuid() or before.st_gid != os.getegid():
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            file.write(content)
            file.flush()
            # A full disk may show only now.
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
