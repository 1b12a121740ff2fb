"""promtool, from Debian's package `prometheus`: plays the alerts as Prometheus would.

Invariant: nothing is installed or started. `.ci/run` unpacks this one program, as the package would start a server.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

_UNPACKED: Final = Path(__file__).resolve().parents[2] / ".cache" / "promtool" / "usr" / "bin"


def why_no_promtool() -> str | None:
    """Why promtool cannot run here, in a few words; None when it can."""
    return None if _promtool() else "no promtool on this machine; Debian's package `prometheus` has it"


def play_alerts(situations: Path) -> subprocess.CompletedProcess[str]:
    """What promtool says about a file of situations and the alerts that they expect."""
    command = [_promtool() or "promtool", "test", "rules", situations.name]
    return subprocess.run(  # noqa: S603 - the program that was found
        command, cwd=situations.parent, capture_output=True, text=True, check=False, timeout=300
    )


def _promtool() -> str | None:
    return shutil.which("promtool") or shutil.which("promtool", path=_UNPACKED)
