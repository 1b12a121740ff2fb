"""What both grammars of slash commands share: the words as they were typed, durations, pages, and common mistakes.

Invariant: what a person typed comes out as they typed it, not as Slack wrapped it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Generic, TypeVar

from bot.views.block_kit import shorten
from bot.views.inputs import MAX_TYPED_TEXT
from bot.views.pagination import MAX_PAGES, Kind
from core.actor import check_profile_name
from core.duration import parse_duration
from core.errors import InvalidInput

Command = TypeVar("Command")

MAX_QUOTED: Final = 100
"""How much of one word or part is quoted back."""
MAX_SUGGESTED: Final = 1000
"""How much of the last part of a suggested command is shown: the longest justification fits."""

_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">"}
_ENTITY = re.compile(r"&(amp|lt|gt);")
_ESCAPED = re.compile(r"<([^<>]*)>|&(amp|lt|gt);")
_WORD = re.compile(r"\s*(\S+)\s*")
_NUMBER = re.compile(r"[0-9]{1,6}")
_UNIT = re.compile(r"d|h|m|s|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?", re.IGNORECASE)
_NEARLY = re.compile(rf"-?([0-9]{{1,6}})\s*({_UNIT.pattern})", re.IGNORECASE)
DURATION = re.compile(r"(?:[0-9]{1,6}[dhms])+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OpenForm:
    """Nothing was typed: show the empty form."""


@dataclass(frozen=True, slots=True)
class ShowHelp:
    """Show what can be typed."""


@dataclass(frozen=True, slots=True)
class ShowList(Generic[Kind]):
    """Show a page of a list. Pages count from 1."""

    kind: Kind
    page: int = 1


def parse_once(
    parse: Callable[[object, Collection[str] | None], Command], text: object, profiles: Collection[str] | None = None
) -> Command | InvalidInput:
    """The command that was typed, or the mistake in it as a value, for the one who answers the command to raise.

    `profiles` are those that there are; None: not known here.
    """
    try:
        return parse(text, profiles)
    except InvalidInput as mistake:
        return mistake


def read_line(text: object, suggestion: str) -> str:
    """The `text` of a command as the person typed it, without the space around it; empty: nothing was typed.

    Raises InvalidInput, with this suggestion, for what isn't text.
    """
    if text is not None and not isinstance(text, str):
        raise InvalidInput("text", "this isn't text", suggestion)
    return unescape(text or "").strip()


def unescape(text: str) -> str:
    """What the person typed, where Slack escaped `&`, `<` and `>` and wrapped mentions and links.

    A mention reads `@name` or `#name`. It becomes plain text, which mentions nobody.
    """
    # In one pass: a person's own `&lt;` must not become a bracket that is then read as Slack's.
    return _ESCAPED.sub(_typed, text)


def _typed(match: re.Match[str]) -> str:
    inside, entity = match.groups()
    if entity is not None:
        return _ENTITIES[entity]
    target, _, label = (_ENTITY.sub(lambda found: _ENTITIES[found[1]], part) for part in inside.partition("|"))
    match target[:1]:
        case "@" | "#" as sign:
            return f"{sign}{(label or target[1:]).removeprefix(sign)}"
        case "!":
            # <!here>, <!subteam^S0SRE|@sre>, <!date^…|…>
            named = label or target[1:].rpartition("^")[2]
            return named if target.startswith("!date^") else f"@{named.removeprefix('@')}"
        case _ if ":" in target:
            return _link(target, label)
        case _:
            return f"<{_ENTITY.sub(lambda found: _ENTITIES[found[1]], inside)}>"


def _link(target: str, label: str) -> str:
    # Slack links `example.com` automatically; a label that differs from its target is shown with the target.
    if not label or label == target:
        return target
    return label if target.partition(":")[2].removeprefix("//").rstrip("/") == label else f"{label} ({target})"


def take_duration(text: str) -> tuple[str, str]:
    """The words where the duration belongs, and what follows them: `2h`, `2 h`, `for 2h`."""
    word, rest = split_word(text)
    return take_one_duration(rest) if word.lower() == "for" and rest[:1].isdigit() else take_one_duration(text)


def take_one_duration(text: str) -> tuple[str, str]:
    """A duration at the beginning, also one in two words such as `2 h`, and what follows it."""
    word, rest = split_word(text)
    unit, after = split_word(rest)
    if _NUMBER.fullmatch(word) and _UNIT.fullmatch(unit):
        return f"{word} {unit}", after
    return word, rest


def meant_duration(written: str) -> str | None:
    """What was meant by a duration as people write it, `3 hours` or `1h30m`; None for what is none."""
    if DURATION.fullmatch(together := written.replace(" ", "")):
        return together
    nearly = _NEARLY.fullmatch(written)
    return f"{'-' if written.startswith('-') else ''}{nearly[1]}{nearly[2][0].lower()}" if nearly else None


def suggest_duration(written: str) -> str:
    """The duration that was meant, to suggest it: `2h` for `2 hours`."""
    nearly = _NEARLY.fullmatch(written)
    meant = f"{nearly[1]}{nearly[2][0].lower()}" if nearly else ""
    try:
        parse_duration(meant)
    except InvalidInput:
        return "2h"
    return meant


def read_page(command: str, keyword: str, rest: str) -> int:
    """The page after the keyword of a list; nothing there means the first. Raises InvalidInput."""
    page = int(rest) if _NUMBER.fullmatch(rest) else 0 if rest else 1
    if 1 <= page <= MAX_PAGES:
        return page
    fix = suggest(command, keyword, "2", is_example=True)
    raise InvalidInput("page", f"{quoted(rest)} isn't a page number", fix)


def check_profile(profile: str, suggestion: str) -> None:
    """Raises InvalidInput for what can't be a profile's name; its fix ends with this suggestion."""
    try:
        check_profile_name(profile)
    except InvalidInput as error:
        raise InvalidInput("profile", error.problem, f"{error.fix} {suggestion}") from error


def check_keyword(command: str, word: str, keywords: Sequence[str], otherwise: str, rest: str = "") -> None:
    """Raises InvalidInput for a word that is nearly a keyword; `otherwise` says how to use it as a profile's name.

    `rest` is what was typed behind it.
    """
    if near := get_close_matches(word.lower()[:MAX_QUOTED], keywords, n=1, cutoff=0.75):
        meant = suggest(command, near[0], rest) if rest else suggest(command, near[0])
        raise InvalidInput("text", f"{quoted(word)} isn't a command", f"{meant}\n{otherwise}")


def check_begun_text(field: str, text: str, bounds: tuple[int, int]) -> None:
    """Raises InvalidInput for a text that is too long even for the form in which its writer would shorten it."""
    if len(text) > MAX_TYPED_TEXT:
        raise InvalidInput(field, f"this {field} has {len(text)} characters", f"Shorten it to {bounds[1]}.")


def quoted(text: str) -> str:
    """What the person typed, as code."""
    return f"`{shorten(_as_code(text), MAX_QUOTED)}`"


def suggest(*words: str, is_example: bool = False) -> str:
    """A command to send instead, as code on a line of its own; an example where words of the person are missing."""
    *head, last = map(_as_code, words)
    line = " ".join([*(shorten(each, MAX_QUOTED) for each in head), shorten(last, MAX_SUGGESTED)])
    return f"{'For example' if is_example else 'Send this instead'}:\n`{line}`"


def _as_code(text: str) -> str:
    # A backtick would end the code.
    return " ".join(text.replace("`", "'").split())


def split_word(text: str) -> tuple[str, str]:
    """The first word, and everything after it as it was typed."""
    match = _WORD.match(text)
    return (match[1], text[match.end() :]) if match else ("", "")
