"""What is wrong with the settings: every problem of one reading, not only the first.

Invariant: a value that can't be used is named and replaced by its default, so that the others are still judged. Code
that needs that one setting sees in `bad` that its value isn't what was set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bot.settings.variables import EnvironmentSettings, field_of
from core.errors import InvalidInput

Kind = TypeVar("Kind", bound=EnvironmentSettings)


class InvalidSettings(InvalidInput):
    """Several settings can't be used. Nothing was started."""

    is_list = True

    def __init__(self, problems: Sequence[InvalidInput]) -> None:
        super().__init__("settings", f"{len(problems)} can't be used", "Fix each of them.")
        self.problems = tuple(problems)
        self.args = ("\n".join([f"{len(problems)} settings have to be fixed first:", *(f"  {p}" for p in problems)]),)


@dataclass(frozen=True, slots=True)
class Examined(Generic[Kind]):
    """Settings with a default in place of each `bad` field; None where what is wrong concerns no one field."""

    settings: Kind | None
    problems: tuple[InvalidInput, ...] = ()
    bad: frozenset[str] = frozenset()


def examine_settings(kind: type[Kind], **given: object) -> Examined[Kind]:
    """Read settings of this kind, and go on after each problem. `given` comes before the environment."""
    values: dict[str, Any] = dict(given)
    problems: list[InvalidInput] = []
    bad: set[str] = set()
    # Each round leaves one field out, or ends.
    for _ in range(len(kind.model_fields) + 1):
        try:
            return Examined(kind(**values), tuple(problems), frozenset(bad))
        except InvalidInput as error:
            field = field_of(kind, error.field)
            if field in bad:
                # It's missed by another one, and was named already.
                field = kind.needed_by.get(field)
            else:
                problems.append(error)
        if field is None or field in bad:
            break
        bad.add(field)
        info = kind.model_fields[field]
        name = info.validation_alias if isinstance(info.validation_alias, str) else field
        values[name] = info.get_default(call_default_factory=True)
    return Examined(None, tuple(problems), frozenset(bad))


def require_no_problem(problems: Iterable[InvalidInput]) -> None:
    """Raises the one problem, or InvalidSettings with all of them, each once."""
    unique = list({str(each): each for each in problems}.values())
    if len(unique) == 1:
        raise unique[0]
    if unique:
        raise InvalidSettings(unique)
