"""The secrets that a policy file names and that aren't here, for `countersign policy check`.

Invariant: a secret that isn't here is a note and no mistake: the file may be checked where nobody has the secrets. No
secret is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from core.errors import InvalidInput
from core.policy.mistake import Mistake
from core.policy.rules import PolicyDocument
from core.targets.secret_source import is_secret_source, read_secret

_FIX: Final = "Set it where Countersign runs; use --offline where it isn't needed."


def note_missing(document: PolicyDocument) -> tuple[Mistake, ...]:
    """What tickets can't be checked and nobody can be paged with, from here."""
    named: list[tuple[tuple[str | int, ...], BaseModel]] = []
    if (pager := document.pager) is not None:
        named.append((("pager", pager.kind), pager.chosen))
    for index, rule in enumerate(document.approval):
        if rule.ticket is not None and rule.ticket.check is not None:
            named.append((("approval", index, "ticket", "check"), rule.ticket.check))
    return tuple(
        Mistake(at, f"it doesn't work from here: {missing}", _FIX)
        for at, config in named
        if (missing := find_missing_secret(config)) is not None
    )


def find_missing_secret(config: BaseModel) -> str | None:
    """What is wrong with the first secret of this part of the file that can't be read; None if all can."""
    for each in _texts(config):
        if is_secret_source(each):
            try:
                read_secret(each)
            except InvalidInput as missing:
                return missing.problem
    return None


def _texts(config: BaseModel) -> Iterator[str]:
    for _, value in config:
        if isinstance(value, str):
            yield value
        elif isinstance(value, BaseModel):
            yield from _texts(value)
