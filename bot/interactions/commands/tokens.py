"""What both grammars of slash commands share: the words as they were typed, durations, pages, and common mistakes.

Invariant: what somebody typed comes out as they typed it, not as Slack wrapped it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Generic, TypeVar

from bot.views.block_kit import shorten
from bot.views.pagination import MAX_PAGES, Kind
from core.actor import check_profile_name
from core.errors import InvalidInput

Command = TypeVar("Command")

SHOWN: Final = 100
"""How much of what somebody typed is said back to them."""

_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">"}
_ENTITY = re.compile(r"&(amp|lt|gt);")
_ESCAPED = re.compile(r"<([^<>]*)>|&(amp|lt|gt);")
_WORD = re.compile(r"\s*(\S+)\s*")
_NUMBER = re.compile(r"[0-9]{1,6}")
_UNIT = re.compile(r"d|h|m|s|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?", re.IGNORECASE)
_NEARLY = re.compile(rf"-?([0-9]{{1,6}})\s*({_UNIT.pattern})", re.IGNORECASE)
LENGTH = re.compile(r"(?:[0-9]{1,6}[dhms])+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OpenForm:
    """Nothing was typed: show the form."""


@dataclass(frozen=True, slots=True)
class ShowHelp:
    """Say what can be typed."""


@dataclass(frozen=True, slots=True)
class ShowList(Generic[Kind]):
    """Show a page of a list. Pages count from 1."""

    kind: Kind
    page: int = 1


def parse_once(parse: Callable[[object], Command], text: object) -> Command | InvalidInput:
    """The command that was typed, or the mistake in it as a value, which whoever answers the command raises."""
    try:
        return parse(text)
    except InvalidInput as mistake:
        return mistake


def read_line(text: object, example: str) -> str:
    """The `text` of a command as the person typed it, without the space around it; empty: nothing was typed.

    Raises InvalidInput, with this example of a whole line, for what is not text.
    """
    if text is not None and not isinstance(text, str):
        raise InvalidInput("text", "this is not text", f"Write it like {example}")
    return unescape(text or "").strip()


def unescape(text: str) -> str:
    """What the person typed, where Slack escaped `&`, `<` and `>` and wrapped mentions and links.

    A mention reads `@name` or `#name`. It becomes plain text, which mentions nobody.
    """
    # In one pass: a person's own `&lt;` must not turn into a bracket that is then read as Slack's.
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
    # Slack links `example.com` by itself; a label that says something else than its target is shown with the target.
    if not label or label == target:
        return target
    return label if target.partition(":")[2].removeprefix("//").rstrip("/") == label else f"{label} ({target})"


def take_duration(text: str) -> tuple[str, str]:
    """The words that stand where the duration belongs, and what follows them: `2h`, `2 h`, `for 2h`."""
    word, rest = split_word(text)
    return take_length(rest) if word.lower() == "for" and rest[:1].isdigit() else take_length(text)


def take_length(text: str) -> tuple[str, str]:
    """A length of time at the beginning, also one in two words such as `2 h`, and what follows it."""
    word, rest = split_word(text)
    unit, after = split_word(rest)
    if _NUMBER.fullmatch(word) and _UNIT.fullmatch(unit):
        return f"{word} {unit}", after
    return word, rest


def suggest_duration(written: str) -> str:
    """The duration that was meant, for the advice: `2h` for `2 hours`."""
    nearly = _NEARLY.fullmatch(written)
    return f"{nearly[1]}{nearly[2][0].lower()}" if nearly and int(nearly[1]) else "2h"


def read_page(command: str, keyword: str, rest: str) -> int:
    """The page that stands after the keyword of a list; nothing there means the first. Raises InvalidInput."""
    page = int(rest) if _NUMBER.fullmatch(rest) else 0 if rest else 1
    if 1 <= page <= MAX_PAGES:
        return page
    raise InvalidInput(
        "page",
        f"after {keyword} comes the number of a page, not {quoted(rest)}",
        f"Write {command} {keyword}, or {command} {keyword} 2",
    )


def check_profile(profile: str, advice: str) -> None:
    """Raises InvalidInput for what is no profile's name; its fix ends with this advice."""
    try:
        check_profile_name(profile)
    except InvalidInput as error:
        raise InvalidInput("profile", error.problem, f"{error.fix} {advice}") from error


def check_keyword(command: str, word: str, keywords: Sequence[str], advice: str) -> None:
    """Raises InvalidInput for a word that is nearly a keyword; the advice says how to use it as a profile's name."""
    if near := get_close_matches(word.lower()[:SHOWN], keywords, n=1, cutoff=0.75):
        fix = f"Did you mean {command} {near[0]}? If it is a profile: {advice}"
        raise InvalidInput("text", f"{quoted(word)} is no command here", fix)


def quoted(text: str) -> str:
    """What somebody typed, said back to them."""
    return f'"{shorten(text, SHOWN)}"'


def split_word(text: str) -> tuple[str, str]:
    """The first word, and everything after it as it was typed."""
    match = _WORD.match(text)
    return (match[1], text[match.end() :]) if match else ("", "")
