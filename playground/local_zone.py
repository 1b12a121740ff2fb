"""The time zone of this machine, which is the one that the page in its browser shows times in.

Invariant: never raises. A zone that can't be found is UTC.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

UTC_NAME: Final = "Etc/UTC"
LOCALTIME: Final = Path("/etc/localtime")


def find_local_zone(localtime: Path = LOCALTIME) -> str:
    """Its IANA name, such as Europe/Berlin: what TZ says, or where the system's own link leads."""
    _, _, linked = str(localtime.resolve()).partition("zoneinfo/")
    named = (os.environ.get("TZ", "").lstrip(":"), linked)
    return next((each for each in named if _is_zone(each)), UTC_NAME)


def _is_zone(name: str) -> bool:
    try:
        return bool(name) and bool(ZoneInfo(name))
    except (ValueError, LookupError, OSError):
        return False
