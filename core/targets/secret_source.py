"""Where the policy says that a secret is: in a variable of the environment, or in a file.

Invariant: what was read is in no error; an error names the variable or the file, and what to do.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from core.errors import InvalidInput

ENV: Final = "env:"
FILE: Final = "file:"
_MAX_BYTES: Final = 8192


def is_secret_source(text: str) -> bool:
    """True when the text says where a secret is, and isn't one itself."""
    return text.startswith((ENV, FILE))


def read_secret(source: str) -> SecretStr:
    """The secret, without spaces and line ends around it. Raises InvalidInput when it isn't there."""
    if source.startswith(ENV):
        return _given(os.environ.get(source.removeprefix(ENV), ""), f"the variable {source.removeprefix(ENV)}", "set")
    path = Path(source.removeprefix(FILE))
    try:
        if path.exists() and not path.is_file():
            # A pipe would keep the caller for as long as nobody writes.
            raise InvalidInput("secret", f"{path} is not a regular file", _fix("write"))
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        text = content.decode() if len(content) <= _MAX_BYTES else ""
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InvalidInput("secret", f"the file {path} can't be read: {reason}", _fix("create")) from error
    except UnicodeDecodeError as error:
        raise InvalidInput("secret", f"the file {path} isn't text", _fix("write")) from error
    return _given(text, f"the file {path}", "write")


def _given(text: str, where: str, verb: str) -> SecretStr:
    if not text.strip():
        raise InvalidInput("secret", f"{where} has no secret in it", _fix(verb))
    return SecretStr(text.strip())


def _fix(verb: str) -> str:
    if verb == "set":
        return "Set it where Countersign runs, and restart Countersign."
    return f"{verb.capitalize()} it where Countersign runs; it is read again within seconds."
