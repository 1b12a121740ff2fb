"""What `credentials`, `exec` and `aws configure` need of the machine.

Invariant: where it's missing, that is said in one line before anything is done.
"""

from __future__ import annotations

import os

from core.errors import InvalidInput


def require_posix(command: str) -> None:
    """Raises InvalidInput on Windows, whose files and signals work in another way."""
    if os.name != "posix":
        problem = f"`countersign {command}` runs on Linux and macOS, not on Windows"
        raise InvalidInput("system", problem, "Use it in WSL, the Windows Subsystem for Linux.")
