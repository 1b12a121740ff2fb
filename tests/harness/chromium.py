"""Chromium, as the system has it: the browser in which the playground's page is tried.

Invariant: no browser is fetched. The tests use the one that is installed, or are left out.
"""

from __future__ import annotations

import shutil
from functools import cache

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@cache
def find_chromium() -> str | None:
    """Where it is."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def why_no_chromium() -> str | None:
    """Why there is none, in a few words; None when there is one."""
    return None if find_chromium() else "no chromium on this machine"
