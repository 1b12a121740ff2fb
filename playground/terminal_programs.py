"""The two programs of the playground's terminals: this very `countersign`, and the pretend `aws`.

Invariant: they run with the Python and the packages of the playground itself, whatever else is installed.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

PACKAGES: Final = Path(__file__).parents[1]
"""Where those packages are, for a process that starts elsewhere."""
_PROGRAMS: Final = {"countersign": "bot.terminal.start", "aws": "playground.aws_command"}
_SCRIPT: Final = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import sys

from {module} import main

sys.exit(main())
"""
"""For the shell, it starts Python with this file; for Python, that line is a text. So the path may be long."""


def write_programs(folder: Path) -> Path:
    """Make the folder with the programs, or bring it up to date. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, module in _PROGRAMS.items():
        program, text = folder / name, _SCRIPT.format(python=shlex.quote(sys.executable), module=module)
        if not program.exists() or program.read_text(encoding="utf-8") != text:
            unfinished = folder / f"{name}.new"
            unfinished.write_text(text, encoding="utf-8")
            unfinished.chmod(0o700)
            unfinished.replace(program)
    return folder
