"""Text from people: stripped, bounded, and free of characters that could deceive a reader.

Invariant: text that reached a record has visible characters, no control characters and no marks that reverse the
reading direction; it is otherwise what the person typed. It is untrusted: `quoted` makes it safe for one log line.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable

from pydantic import AfterValidator

from core.errors import InvalidInput

_USER_INFO = re.compile(r"(//|^)[^/?#\s]*@")
_ALLOWED_CONTROLS = frozenset("\n\t")
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Unicode's embedding, override and isolate marks: they can make a sentence read as another one (UAX 9)."""
_INVISIBLE_KINDS = frozenset({"Cf", "Zs", "Zl", "Zp"})
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Letters, symbols and marks that leave the paper white: fillers, the empty Braille pattern, variation selectors."""


def clean_text(field: str, text: object, *, at_least: int, at_most: int) -> str:
    """Return the text without surrounding white space.

    Lengths are in characters, after stripping; invisible characters do not count towards `at_least`. Raises
    InvalidInput, naming `field`, when the value is not text, too short, too long, or contains a control character.
    """
    if not isinstance(text, str):
        raise InvalidInput(field, "this is not text", f"Write {at_least} to {at_most} characters.")
    stripped = text.replace("\r\n", "\n").strip()
    if stripped.isascii() and stripped.isprintable() and max(at_least, 1) <= len(stripped) <= at_most:
        # The usual case: printable ASCII has no invisible, control or direction characters.
        return stripped
    for character in stripped:
        if _is_forbidden(character):
            raise InvalidInput(
                field,
                f"it contains the control character U+{ord(character):04X}",
                "Remove it; it may have come along when the text was pasted.",
            )
    visible = sum(1 for character in stripped if not _is_blank(character))
    if visible == 0 and at_least > 0:
        raise InvalidInput(field, "it is empty", f"Write {at_least} to {at_most} characters.")
    counted = visible + stripped.count(" ")
    if counted < at_least:
        raise InvalidInput(
            field, f"it has {counted} characters", f"Write at least {at_least}, so that a reader can understand."
        )
    if len(stripped) > at_most:
        raise InvalidInput(field, f"it has {len(stripped)} characters", f"Shorten it to {at_most}.")
    return stripped


def without_password(url: str) -> str:
    """The URL, or the part of one with its host, without the user name and password in it: fit for an error."""
    return _USER_INFO.sub(r"\1[hidden]@", url)


def clean_optional_text(field: str, text: str | None, *, at_least: int, at_most: int) -> str | None:
    """The same for optional text; None when it is missing or only white space."""
    if text is None or not text.strip():
        return None
    return clean_text(field, text, at_least=at_least, at_most=at_most)


def text_rule(field: str, *, at_least: int, at_most: int) -> AfterValidator:
    """A pydantic validator for a model field that holds text from a person; see `clean_text`."""
    check: Callable[[str], str] = lambda text: clean_text(field, text, at_least=at_least, at_most=at_most)  # noqa: E731
    return AfterValidator(check)


def quoted(text: str) -> str:
    """The text in double quotes and pure ASCII, on one line: so what a person typed can never forge a log line."""
    return json.dumps(text, ensure_ascii=True)


def _is_blank(character: str) -> bool:
    return character in _BLANKS or unicodedata.category(character) in _INVISIBLE_KINDS


def _is_forbidden(character: str) -> bool:
    if character in _ALLOWED_CONTROLS:
        return False
    # Cs: a lone surrogate cannot be written as UTF-8, so no store and no Slack call could carry it.
    return unicodedata.category(character) in {"Cc", "Cs"} or character in _DIRECTION_MARKS
