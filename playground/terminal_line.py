"""What may be typed in the playground's terminal: `countersign` for people, and the pretend `aws` that exec runs.

Invariant: no line starts a shell, another program, or a command that reads or writes a file of somebody's choice. What
isn't known here is refused.
"""

from __future__ import annotations

import re
import shlex
from typing import Final

from localslack.refusals import NotOnScreen

MAX_LINE: Final = 1_000
_PROGRAM: Final = "countersign"
_COMMANDS: Final = ("login", "logout", "devices", "request", "access", "credentials", "exec", "aws")
_OPTIONS: Final = frozenset(
    {"--all", "--env", "--help", "--idempotency-key", "--json", "--name", "--prefix", "--region", "--service",
     "--timeout", "--wait"}
)  # fmt: skip
_PROFILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ONLY: Final = "Only countersign runs here: " + ", ".join(_COMMANDS) + "."
_EXEC: Final = "Write it like: countersign exec prod-admin -- aws s3 ls"


def read_line(line: str) -> list[str]:
    """The arguments of `countersign` that this line asks for. Raises NotOnScreen."""
    try:
        words = shlex.split(line)
    except ValueError:
        raise NotOnScreen("A quotation mark is missing.") from None
    if words[:1] == [_PROGRAM] and len(words) == 1:
        return ["--help"]
    if words[:1] != [_PROGRAM] or words[1] not in {*_COMMANDS, "--help"}:
        raise NotOnScreen(_ONLY)
    if words[1] == "exec" and words[2:3] != ["--help"]:
        return _read_exec(words[1:])
    unknown = [each for each in words[1:] if each.startswith("-") and each.partition("=")[0] not in _OPTIONS]
    if unknown:
        raise NotOnScreen(f"{unknown[0]} isn't available in the playground.")
    return words[1:]


def _read_exec(words: list[str]) -> list[str]:
    """Exactly `exec [--env] PROFILE -- aws …`: whatever else stands before the command could be one."""
    before, after = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    named = [each for each in before[1:] if each != "--env"]
    if len(named) != 1 or not _PROFILE.fullmatch(named[0]) or after[:1] != ["aws"]:
        raise NotOnScreen(_EXEC)
    return words
