"""Who besides the owner may write the policy file, or replace it.

Invariant: anyone who may write the file, or the folder that it is in, decides who gets access; so nobody is left out
because they would need two steps.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def find_writers(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """One sentence for each file or folder on the way to the policy that others may write; each says how to fix it.

    A link counts with both its ends. What can't be looked at is left out: loading the policy says why.
    """
    named = Path(path).absolute()
    places = dict.fromkeys(place for each in _with_links(named) for place in (each, each.parent))
    return tuple(sentence for place in places if (sentence := _judge(place)) is not None)


def _with_links(path: Path) -> Iterator[Path]:
    """The path, and what it links to, link by link."""
    for _ in range(10):
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()
    yield path.resolve()


def _judge(place: Path) -> str | None:
    try:
        found = place.stat(follow_symlinks=False)
        is_read_only = bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    except OSError:
        return None
    # A link's own mode says nothing; a volume that is mounted read-only can't be written whatever its modes say.
    if stat.S_ISLNK(found.st_mode) or is_read_only:
        return None
    is_folder = stat.S_ISDIR(found.st_mode)
    if is_folder and found.st_mode & stat.S_ISVTX:
        # In a folder such as /tmp, only the owner may replace a file.
        return None
    if found.st_mode & stat.S_IWOTH:
        who, fix = "everyone on this host", f"chmod go-w {place}"
    elif found.st_mode & stat.S_IWGRP and found.st_gid not in {0, found.st_uid}:
        who, fix = f"the group {found.st_gid}", f"chmod g-w {place}"
    else:
        return None
    what = f"the folder {place}" if is_folder else str(place)
    return f"{who} may write {what}, and so decide who gets access. Run: {fix}"
