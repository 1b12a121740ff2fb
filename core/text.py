"""Text from people: stripped, bounded, and free of characters that could deceive a reader.

Invariant: text that reached a record has visible characters, no control characters, and no marks that hide something or
change the reading direction without need; it is otherwise what the person typed. What is removed was never visible. It
is untrusted: `quoted` makes it safe for one log line.
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
_DIRECTION_HINTS = frozenset("\u061c\u200e\u200f")
_JOINERS = frozenset("\u200c\u200d")
_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_TAGS = frozenset(map(chr, range(0xE0000, 0xE0080)))
_NO_WIDTH = frozenset("\u00ad\u180e\u200b\ufeff\ufff9\ufffa\ufffb") | frozenset(map(chr, range(0x2060, 0x2070)))
_HIDDEN = _DIRECTION_HINTS | _DIRECTION_MARKS | _JOINERS | _SELECTORS | _TAGS | _NO_WIDTH
"""Every character that shows nothing itself and is more than a space."""
_FLAGS = re.compile(
    "(?<=\U0001f3f4)(?:"
    + "|".join("".join(chr(0xE0000 + ord(each)) for each in country) for country in ("gbeng", "gbsct", "gbwls"))
    + ")\U000e007f"
)
"""The tags that make a black flag the one of England, Scotland or Wales: the only ones that emoji fonts know."""
_KEYCAPS = frozenset("0123456789#*")


def clean_text(field: str, text: object, *, at_least: int, at_most: int) -> str:
    """Return what a person typed without surrounding white space, and without what hides in it.

    Removed are tags, marks that reverse the reading direction, and characters of no width. They stay where a script or
    an emoji needs them: joiners and direction hints beside letters that take them, one variation selector, three flags.

    Lengths are in characters of what remains; invisible characters do not count towards `at_least`. Raises
    InvalidInput, naming `field`, when the value is not text, too short, too long, or contains a control character.
    """
    return check_text(field, _reveal(text) if isinstance(text, str) else text, at_least=at_least, at_most=at_most)


def check_text(field: str, text: object, *, at_least: int, at_most: int) -> str:
    """The same for text that is stored, in which nothing is removed: an older version kept more.

    Raises InvalidInput also for a mark that reverses the reading direction.
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
    """A pydantic validator for a model field that holds text from a person; see `check_text`."""
    check: Callable[[str], str] = lambda text: check_text(field, text, at_least=at_least, at_most=at_most)  # noqa: E731
    return AfterValidator(check)


def quoted(text: str) -> str:
    """The text in double quotes and pure ASCII, on one line: so what a person typed can never forge a log line."""
    return json.dumps(text, ensure_ascii=True)


def _reveal(text: str) -> str:
    """The text without the characters that show nothing and that nothing visible needs."""
    if text.isascii():
        return text
    flags = {at for found in _FLAGS.finditer(text) for at in range(*found.span())}
    kept: list[str] = []
    for at, character in enumerate(text):
        after = text[at + 1 : at + 2]
        before = kept[-1] if kept else ""
        if character not in _HIDDEN or at in flags or _is_needed(character, before, "" if after in _HIDDEN else after):
            kept.append(character)
    return "".join(kept)


def _is_needed(character: str, before: str, after: str) -> bool:
    if character in _SELECTORS:
        # One selector belongs to one character. A row of them is a message that nobody sees.
        if before.isascii():
            return before in _KEYCAPS
        return before not in _HIDDEN and unicodedata.category(before)[0] not in "CZ"
    if character in _DIRECTION_HINTS:
        return any(unicodedata.bidirectional(each) in {"R", "AL"} for each in (before, after) if each)
    if character in _JOINERS:
        # Persian, the scripts of India and emoji need them, between two characters of their own; ASCII never does.
        return _takes_joiner(before) and _takes_joiner(after)
    return False


def _takes_joiner(character: str) -> bool:
    if character in _SELECTORS:
        return True
    return not character.isascii() and unicodedata.category(character)[0] in "LMS"


def _is_blank(character: str) -> bool:
    return character in _BLANKS or unicodedata.category(character) in _INVISIBLE_KINDS


def _is_forbidden(character: str) -> bool:
    if character in _ALLOWED_CONTROLS:
        return False
    # Cs: a lone surrogate cannot be written as UTF-8, so no store and no Slack call could carry it.
    return unicodedata.category(character) in {"Cc", "Cs"} or character in _DIRECTION_MARKS
