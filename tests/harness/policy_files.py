"""Policy files as a test writes them.

Invariant: a file counts at once: what was just written is read twice, a settle time of two seconds apart.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_settled(path: Path, text: str | bytes) -> None:
    """Write a policy file that looks as if it had been there for long."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (0, 0))
