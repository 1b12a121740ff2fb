"""The form of a ticket's name: a small part of regular expressions, in which every match is found quickly.

Invariant: no name takes long to match, whatever the policy says: a group with a quantifier in it has none of its own, a
pattern can match in at most `MAX_WAYS` ways, and nothing longer than 80 characters is tried. What matches has letters,
digits and `-_.:#` only.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from core.errors import InvalidInput
from core.tickets.base import MAX_TICKET_LENGTH

MAX_PATTERN_LENGTH: Final = 100
MAX_WAYS: Final = 250_000
"""In how many ways a pattern can try to match one name: far less than a click could notice."""
_FIELD: Final = "pattern"
_LITERAL: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:#")
_ESCAPED: Final = frozenset("dw-.#_:")
_CLASS: Final = re.compile(r"\[(?:[A-Za-z0-9_.:#]-[A-Za-z0-9]|\\[dw.#_:-]|[A-Za-z0-9_.:#])+-?\]")
_QUANTIFIER: Final = re.compile(r"[*+?]|\{(?P<least>\d{1,3})(?P<to>,(?P<most>\d{1,3})?)?\}")
_FIX: Final = r"Write it like INC-\d+ or (INC|CHG)-\d{4,8}."


_AROUND: Final = ".,:;!?()[]{}<>\"'`*_~\u201c\u201d\u2018\u2019\u2026"
_BETWEEN: Final = re.compile(r"[/?&=,;|()\[\]<>]+")
_MAX_WORD: Final = 500
_SHOWN: Final = 3
_DIGITS: Final = "1234567890"


@dataclass(frozen=True, slots=True)
class _PatternPart:
    """A part of a pattern: how many open quantifiers are in it, its other ways to match, and what it matches."""

    open: int = 0
    ways: int = 1
    example: str = ""

    def then(self, other: _PatternPart) -> _PatternPart:
        return _PatternPart(self.open + other.open, self.ways * other.ways, self.example + other.example)

    def count(self) -> int:
        """At most so many ways: what is open shares the characters of one name."""
        return self.ways * math.comb(MAX_TICKET_LENGTH + self.open, self.open)


class _PatternReader:
    """Reads a pattern from left to right. Raises InvalidInput for what isn't part of the grammar."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def read(self) -> _PatternPart:
        found = self._alternatives()
        if self._at < len(self._pattern):
            raise _mistake(f"it has a {self._pattern[self._at]} that nothing opens", _FIX)
        return found

    def _alternatives(self) -> _PatternPart:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        if len(parts) == 1:
            return parts[0]
        # One of them matches; which is tried first makes no more ways than all together have.
        ways = sum(each.ways for each in parts)
        return _PatternPart(max(each.open for each in parts), ways, parts[0].example)

    def _sequence(self) -> _PatternPart:
        found, is_empty = _PatternPart(), True
        while self._peek() not in {"", "|", ")"}:
            found, is_empty = found.then(self._quantified()), False
        if is_empty:
            raise _mistake("it has an empty part", _FIX)
        return found

    def _quantified(self) -> _PatternPart:
        is_group = self._peek() == "("
        part = self._atom()
        found = _QUANTIFIER.match(self._pattern, self._at)
        if found is None:
            return part
        self._at = found.end()
        if _QUANTIFIER.match(self._pattern, self._at):
            raise _mistake(f"it has {found[0]}{self._peek()}", "Leave the second quantifier out.")
        return self._repeated(part, found, is_group=is_group)

    def _repeated(self, part: _PatternPart, found: re.Match[str], *, is_group: bool) -> _PatternPart:
        if found[0] == "?":
            return replace(part, ways=part.ways + 1, example="")
        if is_group:
            # (a+)+ and (a|a)* are how a pattern comes to take for ever.
            raise _mistake(f"it repeats a group with {found[0]}", "Repeat single characters or a class, such as \\d+.")
        if found["least"] is None:
            return _PatternPart(open=1, example=_repeat(part.example, _SHOWN if found[0] == "+" else 0))
        least = int(found["least"])
        if least > MAX_TICKET_LENGTH:
            raise _mistake(f"it has {found[0]}", f"A ticket has at most {MAX_TICKET_LENGTH} characters.")
        example = _repeat(part.example, least)
        if found["to"] is None:
            return replace(part, example=example)
        if found["most"] is None:
            return _PatternPart(open=1, example=example)
        if (most := int(found["most"])) < least:
            raise _mistake(f"it has {found[0]}", "Write the smaller number first.")
        return _PatternPart(ways=min(most, MAX_TICKET_LENGTH) - least + 1, example=example)

    def _atom(self) -> _PatternPart:
        first, start = self._peek(), self._at
        if first == "(":
            return self._group()
        if first == "[":
            found = _CLASS.match(self._pattern, self._at)
            if found is None:
                raise _mistake("it has a class that can't be used here", "Write it like [A-Z0-9].")
            self._at = found.end()
        elif first == "\\":
            if self._pattern[self._at + 1 : self._at + 2] not in _ESCAPED:
                raise _mistake(f"it has {self._pattern[self._at : self._at + 2]}", _FIX)
            self._at += 2
        elif first in _LITERAL:
            self._at += 1
        elif first in {"^", "$"}:
            raise _mistake(f"it has {first}", "Leave ^ and $ out: the whole ticket has to match anyway.")
        else:
            raise _mistake(f"it has {first!a}", _FIX)
        return _PatternPart(example=_character(self._pattern[start : self._at]))

    def _group(self) -> _PatternPart:
        self._at += 3 if self._pattern.startswith("(?:", self._at) else 1
        found = self._alternatives()
        if self._peek() != ")":
            raise _mistake("it has a ( that nothing closes", _FIX)
        self._at += 1
        return found

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]


def check_pattern(pattern: str) -> str:
    """The pattern. Raises InvalidInput, with the fix, for one that isn't safe, or could match more than a name."""
    if not 1 <= len(pattern) <= MAX_PATTERN_LENGTH:
        raise _mistake(f"it has {len(pattern)} characters", f"Write 1 to {MAX_PATTERN_LENGTH}.")
    if _PatternReader(pattern).read().count() > MAX_WAYS:
        raise _mistake(
            "it could match one name in too many ways", r"Bound what repeats, such as \d{1,8} in place of \d+."
        )
    try:
        compiled = re.compile(pattern, re.ASCII)
    except re.error as error:
        raise _mistake(f"it is not a regular expression: {error.msg}", _FIX) from error
    if compiled.fullmatch(""):
        raise _mistake("it also matches nothing at all", _FIX)
    return pattern


def write_example(pattern: str) -> str:
    """A ticket of this form, such as INC-123."""
    return _PatternReader(pattern).read().example


def matches(pattern: str, text: str) -> bool:
    """True when the whole text is a ticket of this form."""
    return len(text) <= MAX_TICKET_LENGTH and _compiled(pattern).fullmatch(text) is not None


def find_tickets(pattern: str, text: str) -> tuple[str, ...]:
    """The tickets in a text, each once, in their order: words, or the last part of an address."""
    found = (each for word in text.split() for each in _candidates(word) if matches(pattern, each))
    return tuple(dict.fromkeys(found))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def _candidates(word: str) -> tuple[str, ...]:
    """What may be a ticket in a word: the word without what stands around it, or else the parts of an address."""
    bare = word.strip(_AROUND)
    if len(bare) > _MAX_WORD:
        return ()
    return (bare, *(part.strip(_AROUND) for part in _BETWEEN.split(bare) if part != bare))


def _character(part: str) -> str:
    """A character that this literal, escape or class matches."""
    inner = part.strip("[]")
    if inner[0] != "\\":
        return "1" if inner.startswith("0-9") else inner[0]
    return {"d": "1", "w": "a"}.get(inner[1], inner[1])


def _repeat(example: str, count: int) -> str:
    return "".join(_DIGITS[each % len(_DIGITS)] for each in range(count)) if example == "1" else example * count


def _mistake(problem: str, fix: str) -> InvalidInput:
    return InvalidInput(_FIELD, problem, fix)
