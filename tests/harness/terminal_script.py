"""A shell script on a terminal, and somebody who answers what it asks.

Invariant: a prompt that nobody expects, or a script that doesn't end, fails the test with what it showed.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 90.0
_BLOCK: Final = re.compile(r"^( *)<!-- tested -->\n\1```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def marked_blocks(page: Path) -> list[str]:
    """The shell blocks of a page that are marked as tested, in order."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return ["".join(line.removeprefix(indent) for line in body.splitlines(keepends=True)) for indent, body in found]


def run_on_terminal(
    script: str, folder: Path, environment: Mapping[str, str], answers: Sequence[tuple[str, str]], stop_at: str
) -> str:
    """Run the script there, answer its prompts in this order, and stop it as Ctrl-C does once it shows `stop_at`."""
    ours, theirs = os.openpty()
    with subprocess.Popen(  # noqa: S603  Ours.
        ["/bin/sh", "-euc", script], cwd=folder, env=environment,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown, answered, left, is_stopped = "", 0, list(answers), False
        deadline = time.monotonic() + PATIENCE_SECONDS
        while select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            try:
                read = os.read(ours, 65_536)
            except OSError:
                break
            shown += read.decode(errors="replace").replace("\r\n", "\n")
            if left and left[0][0] in shown[answered:] and shown.endswith(": "):
                answered = len(shown)
                os.write(ours, f"{left.pop(0)[1]}\n".encode())
            if stop_at in shown and not is_stopped:
                is_stopped = True
                os.killpg(process.pid, signal.SIGINT)
        else:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"it did not go on after:\n{shown}")
        os.close(ours)
        assert left == [], shown
    return shown
