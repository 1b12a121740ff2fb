"""A right: one level of access to one resource of one target, for one principal of that target.

Invariant: a right is a value with one spelling. Two rights are equal exactly when their keys are, so a key can name a
right in a table, and a key that `right_key` would not write is refused.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Self
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from core.errors import InvalidInput

MAX_PART_LENGTH: Final = 256
MAX_KEY_LENGTH: Final = 900
"""So that a key with a prefix fits into any key of a table: DynamoDB takes 1,024 bytes."""
_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PART = re.compile(rf"[\x21-\x7e]{{1,{MAX_PART_LENGTH}}}")
_SEPARATOR: Final = "|"
_PARTS: Final = 4


def _check_target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise InvalidInput("target", f"{text!r:.60} is not a target's name", "Use 1 to 64 letters, digits and ._-.")
    return text


def _check_part(text: str) -> str:
    if not _PART.fullmatch(text):
        fix = f"Use 1 to {MAX_PART_LENGTH} visible ASCII characters without spaces."
        raise InvalidInput("right", f"{text!r:.60} cannot be part of a right", fix)
    return text


_Part = Annotated[str, AfterValidator(_check_part)]


class Right(BaseModel):
    """What is given and taken. `principal` is the target's own name for the person, resolved once, at the request."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    target: Annotated[str, AfterValidator(_check_target)]
    resource: _Part
    level: _Part
    principal: _Part

    def __str__(self) -> str:
        return right_key(self)


class Permission(BaseModel):
    """A right without its principal: what a profile gives, to anyone who gets it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    target: Annotated[str, AfterValidator(_check_target)]
    resource: _Part
    level: _Part

    def of(self, principal: str) -> Right:
        """The right of this principal. Raises InvalidInput for one that can't be part of a right."""
        return check_right(Right(target=self.target, resource=self.resource, level=self.level, principal=principal))

    @classmethod
    def in_right(cls, right: Right) -> Self:
        """What this right gives."""
        return cls(target=right.target, resource=right.resource, level=right.level)


def right_key(right: Right) -> str:
    """The right as text: its four parts, separated by `|`, with `%` and `|` inside a part percent-encoded."""
    return _SEPARATOR.join(map(_escape, (right.target, right.resource, right.level, right.principal)))


def parse_right_key(text: object) -> Right:
    """Read what `right_key` wrote. Raises InvalidInput for anything else."""
    fix = "It looks like aws|111122223333|admin|ann."
    parts = text.split(_SEPARATOR) if isinstance(text, str) else []
    if len(parts) != _PARTS:
        raise InvalidInput("right", f"{text!r:.60} is not the key of a right", fix)
    right = Right(**dict(zip(("target", "resource", "level", "principal"), map(unquote, parts), strict=True)))
    if right_key(right) != text:
        raise InvalidInput("right", f"{text!r:.60} is not how this right is written", fix)
    return right


def check_right(right: Right) -> Right:
    """Raises InvalidInput when the right's key is too long for a table."""
    if len(right_key(right)) > MAX_KEY_LENGTH:
        raise InvalidInput("right", "its parts are too long together", f"Shorten them to {MAX_KEY_LENGTH} characters.")
    return right


def _escape(part: str) -> str:
    return part.replace("%", "%25").replace(_SEPARATOR, "%7C")


def _read(value: object) -> Right:
    return value if isinstance(value, Right) else parse_right_key(value)


ValidRight = Annotated[
    Right,
    BeforeValidator(_read),
    AfterValidator(check_right),
    PlainSerializer(right_key, return_type=str, when_used="json"),
]
"""A model field that holds a right: the value in memory, its key in JSON."""
