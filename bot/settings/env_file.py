"""A file of environment variables, in the form that a shell, systemd and Countersign read alike.

Invariant: a line means the same to `sh` as to Countersign, or it is refused. No error quotes a value, and what is set
in the environment already is never replaced.
"""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

from bot.settings.variables import MAX_BYTES, SUFFIX
from core.errors import InvalidInput

_OPTION: Final = "env-file"
_LINE: Final = re.compile(r"(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)")
_PLAIN: Final = re.compile(r"'[^']*'|[^\s'\"$`\\;&|<>()~*?\[#]*")
"""What every reader takes literally: a text in single quotes, or one without any character that a shell knows."""
_FIX: Final = "Write NAME=value, with the value in single quotes if it has spaces or signs that a shell knows."


def read_env_file(path: str) -> dict[str, str]:
    """The variables in the file. Raises InvalidInput that names the line."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InvalidInput(_OPTION, f"{path} can't be read: {reason}", "Check its name and its permissions.") from None
    if len(content) > MAX_BYTES:
        raise InvalidInput(_OPTION, f"{path} has more than {MAX_BYTES} bytes", "Check its name.")
    if "\r" in text or text.startswith("\ufeff"):
        problem = "it was saved as on Windows, and a shell would take signs at the ends of its lines for its values"
        raise InvalidInput(_OPTION, f"{path}: {problem}", "Save it with Unix line ends, as UTF-8 without a mark.")
    found: dict[str, str] = {}
    # Only these: Python knows more ends of lines, and more spaces, than a shell.
    for number, line in enumerate(text.split("\n"), 1):
        written = line.strip(" \t")
        if not written or written.startswith("#"):
            continue
        match = _LINE.fullmatch(written)
        if match is None or not _PLAIN.fullmatch(match["value"]) or not match["value"].isprintable():
            raise InvalidInput(_OPTION, f"{path}, line {number}: it is not a variable", _FIX)
        found[match["name"]] = match["value"].strip("'")
    return found


def is_private(path: str) -> bool:
    """False if everybody on this host can read or change the file."""
    return not Path(path).stat().st_mode & (stat.S_IROTH | stat.S_IWOTH)


def write_lines(values: Mapping[str, str]) -> str:
    """The variables as lines. Raises InvalidInput for a value that no line can hold."""
    for name, value in values.items():
        if not _PLAIN.fullmatch(shlex.quote(value)) or not value.isprintable():
            raise InvalidInput(name, "its value has a quote or a line break in it", "Leave that out.")
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def add_missing(values: Mapping[str, str], environ: MutableMapping[str, str]) -> None:
    """Set the variables that aren't set, by themselves or by the file that holds them."""
    for name, value in values.items():
        bare = name.removesuffix(SUFFIX)
        if bare not in environ and f"{bare}{SUFFIX}" not in environ:
            environ[name] = value
