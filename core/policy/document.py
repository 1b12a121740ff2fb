"""The base of everything that is read from a policy file, and how a mistake in it carries its fix.

Invariant: a value that was accepted is the value that was written; nothing is guessed, rounded or silently converted,
and an unknown key is never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StrictStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from core.actor import check_profile_name
from core.duration import format_duration, parse_duration
from core.errors import InvalidInput

MISTAKE: Final = "policy_mistake"
"""The type of the validation errors that carry their own problem and fix."""
_MAX_NAMES_SHOWN: Final = 10
_DAY: Final = timedelta(days=1)
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@+-]{0,79}")
"""How names look that are given in the file."""
_NAME_SCHEMA: Final = rf"^{NAME.pattern}$"
_DURATION_SCHEMA: Final = "".join(
    [r"^\s*(?=\d)", *(rf"(\d{{1,6}}\s*[{unit}{unit.upper()}]\s*)?" for unit in "dhms"), "$"]
)


class PolicyModel(BaseModel):
    """A part of the policy file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def mistake(problem: str, fix: str) -> PydanticCustomError:
    """A validation error that says what is wrong and how to fix it."""
    return PydanticCustomError(MISTAKE, "{problem}", {"problem": problem, "fix": fix})


def suggest(name: str, known: tuple[str, ...]) -> str:
    """The fix for a name that does not exist: the nearest one, or else those that do exist."""
    folded = {each.casefold(): each for each in known}
    near = get_close_matches(name.casefold()[:80], folded, n=1)
    if near:
        return f"Did you mean {folded[near[0]]}?"
    if not known:
        return "There is none yet."
    more = ", …" if len(known) > _MAX_NAMES_SHOWN else ""
    return f"Known here: {', '.join(known[:_MAX_NAMES_SHOWN])}{more}."


def _check_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise mistake(
            f"{text!r:.60} cannot be a name here",
            "Use 1 to 80 letters, digits and ._/@+- in it, and begin it with a letter or digit.",
        )
    return text


def _check_pattern(text: str) -> str:
    # Without the stars it has to look like a profile's name. In particular it has no [, which fnmatch would interpret.
    try:
        check_profile_name(re.sub(r"[*?]", "x", text))
    except InvalidInput as error:
        raise mistake(
            f"{text!r:.60} is not a profile's name and not a pattern for such names",
            "Write a name of the profiles above, or a pattern with * for any characters and ? for one.",
        ) from error
    return text


def _bounded(longest: timedelta) -> Callable[[object], timedelta]:
    likely = "mh" if longest <= _DAY else "mhd"

    def read(value: object) -> timedelta:
        # A bare number reaches parse_duration as text, because its error asks which unit was meant.
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        try:
            duration = parse_duration(text, likely=likely, longest=longest)
        except InvalidInput as error:
            raise mistake(error.problem, error.fix) from error
        if duration > longest:
            raise mistake(
                f"{format_duration(duration)} is longer than {format_duration(longest)}",
                f"Write at most {format_duration(longest)}.",
            )
        return duration

    return read


def duration_rule(longest: timedelta) -> tuple[BeforeValidator, WithJsonSchema]:
    """The rules for a model field that holds a duration of the file, such as `2h`, up to the longest."""
    return (
        BeforeValidator(_bounded(longest)),
        WithJsonSchema(
            {
                "type": "string",
                "pattern": _DURATION_SCHEMA,
                "description": f"A duration such as 2h, 90m or 1h30m; at most {format_duration(longest)}.",
            }
        ),
    )


Name = Annotated[StrictStr, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": _NAME_SCHEMA})]
"""The name of a rule, a group or a profile."""
ProfilePattern = Annotated[
    StrictStr,
    AfterValidator(_check_pattern),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9*?][A-Za-z0-9._/@+*?-]{0,79}$"}),
]
"""A profile's name, or a pattern with `*` and `?` that covers several."""
