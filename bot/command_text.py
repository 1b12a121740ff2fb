"""What people type after /access, read: a form, a list, help, or a request in one line.

Invariant: nothing is guessed. Text that can be read in two ways, or in none, raises InvalidInput, which says what was
understood and how to say it right; and what somebody typed comes out as they typed it, not as Slack wrapped it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Final, NoReturn

from bot.blocks.elements import shorten
from bot.blocks.lists import MOST_PAGES
from bot.blocks.request_form import Asked
from bot.surface import ACCESS
from core.actor import check_profile_name
from core.duration import format_duration, parse_duration
from core.errors import InvalidInput
from core.request import JUSTIFICATION_LENGTH
from core.text import clean_text

EXAMPLE: Final = f"{ACCESS} prod 2h deploy the fix for INC-12"
_WHY: Final = "deploy the fix for INC-12"
_SHOWN: Final = 100
"""How much of what somebody typed is said back to them."""

_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">"}
_ENTITY = re.compile(r"&(amp|lt|gt);")
_ESCAPED = re.compile(r"<([^<>]*)>|&(amp|lt|gt);")
_WORD = re.compile(r"\s*(\S+)\s*")
_NUMBER = re.compile(r"[0-9]{1,6}")
_UNIT = re.compile(r"d|h|m|s|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?", re.IGNORECASE)
_NEARLY = re.compile(rf"-?([0-9]{{1,6}})\s*({_UNIT.pattern})", re.IGNORECASE)
_LENGTH = re.compile(r"(?:[0-9]{1,6}[dhms])+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OpenForm:
    """Nothing was typed: show the form."""


@dataclass(frozen=True, slots=True)
class ShowHelp:
    """Say what can be typed."""


@dataclass(frozen=True, slots=True)
class ListMine:
    """Show this person's own requests. Pages count from 1."""

    page: int = 1


@dataclass(frozen=True, slots=True)
class ListPending:
    """Show what waits for a decision. Pages count from 1."""

    page: int = 1


AccessCommand = OpenForm | ShowHelp | ListMine | ListPending | Asked
_KEYWORDS: Final = ("help", "mine", "pending")


def parse_access(text: object) -> AccessCommand:
    """Read the `text` of an /access command as Slack sends it. Raises InvalidInput, and nothing else."""
    if text is not None and not isinstance(text, str):
        raise InvalidInput("text", "this is not text", f"Write it like {EXAMPLE}")
    typed = unescape(text or "").strip()
    if not typed:
        return OpenForm()
    first, rest = _split(typed)
    keyword, after = first.lower(), _split(rest)[0]
    # A profile may be called `mine`. With a duration behind it, it cannot be meant as anything else.
    if keyword not in _KEYWORDS or _LENGTH.fullmatch(after):
        return _read_request(first, rest)
    if keyword == "help":
        return ShowHelp()
    page = _read_page(keyword, rest)
    return ListMine(page) if keyword == "mine" else ListPending(page)


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


def _read_page(keyword: str, rest: str) -> int:
    if not rest:
        return 1
    if _NUMBER.fullmatch(rest) and 1 <= int(rest) <= MOST_PAGES:
        return int(rest)
    raise InvalidInput(
        "page",
        f"after {keyword} comes the number of a page, not {_quoted(rest)}",
        f"Write {ACCESS} {keyword}, or {ACCESS} {keyword} 2",
    )


def _read_request(profile: str, rest: str) -> Asked:
    if not rest:
        _refuse_one_word(profile)
    written, why = _take_duration(rest)
    if not written.removeprefix("-")[:1].isdigit():
        _refuse_missing_duration(profile, rest)
    try:
        check_profile_name(profile)
    except InvalidInput as error:
        raise InvalidInput("profile", error.problem, f"{error.fix} {_say(written, why, '<profile>')}") from error
    try:
        duration = parse_duration(written)
    except InvalidInput as error:
        raise InvalidInput(
            "duration", error.problem, f"Understood: the profile {profile}. {_say(_mend(written), why, profile)}"
        ) from error
    _check_one_duration(profile, written, why)
    return Asked(profile, duration, _read_reason(profile, duration, why))


def _take_duration(text: str) -> tuple[str, str]:
    """The words that stand where the duration belongs, and what follows them: `2h`, `2 h`, `for 2h`."""
    word, rest = _split(text)
    return _take_length(rest) if word.lower() == "for" and rest[:1].isdigit() else _take_length(text)


def _take_length(text: str) -> tuple[str, str]:
    word, rest = _split(text)
    unit, after = _split(rest)
    if _NUMBER.fullmatch(word) and _UNIT.fullmatch(unit):
        return f"{word} {unit}", after
    return word, rest


def _check_one_duration(profile: str, written: str, why: str) -> None:
    """Raises InvalidInput for `1h 30m …`: one duration in two words, or a reason that begins with a time."""
    following, reason = _take_length(why)
    if not _LENGTH.fullmatch(following.replace(" ", "")):
        return
    try:
        together = format_duration(parse_duration(f"{written}{following}"))
    except InvalidInput:
        # `1h 2h …` can be no single duration, so the second one belongs to the reason.
        return
    raise InvalidInput(
        "duration",
        f"{_quoted(f'{written} {following}')} can be read in two ways",
        f"{_say(together, reason, profile)}, or begin the reason with another word.",
    )


def _read_reason(profile: str, duration: timedelta, why: str) -> str:
    least, most = JUSTIFICATION_LENGTH
    understood = f"Understood: the profile {profile} for {format_duration(duration)}."
    if not why:
        raise InvalidInput(
            "justification",
            "there is no reason here",
            f"{understood} Say why as well: {ACCESS} {profile} {format_duration(duration)} {_WHY}",
        )
    try:
        return clean_text("justification", why, at_least=least, at_most=most)
    except InvalidInput as error:
        problem = f"the reason cannot be used: {error.problem}"
        raise InvalidInput("justification", problem, f"{error.fix} {understood}") from error


def _refuse_one_word(word: str) -> NoReturn:
    if near := get_close_matches(word.lower()[:_SHOWN], _KEYWORDS, n=1, cutoff=0.75):
        fix = f"Did you mean {ACCESS} {near[0]}? If it is a profile: {_say('2h', '', word)}"
        raise InvalidInput("text", f"{_quoted(word)} is no command here", fix)
    if _LENGTH.fullmatch(word):
        raise InvalidInput("profile", f"there is only a duration here, {_quoted(word)}", _say(word, "", "<profile>"))
    raise InvalidInput(
        "duration",
        "there is no duration and no reason here",
        f"Understood: the profile {shorten(word, _SHOWN)}. {_say('2h', '', word)}, or {ACCESS} alone for the form.",
    )


def _refuse_missing_duration(profile: str, rest: str) -> NoReturn:
    second, after = _split(rest)
    if _LENGTH.fullmatch(profile):
        raise InvalidInput(
            "profile", f"the duration comes first here, {_quoted(profile)}", _say(profile, after, second)
        )
    words = rest.split()
    later = next((word for word in words if _LENGTH.fullmatch(word)), None)
    why = " ".join(word for word in words if word is not later)
    raise InvalidInput(
        "duration",
        f"{_quoted(second)} is not a duration",
        f"Understood: the profile {shorten(profile, _SHOWN)}. {_say(later or '2h', why, profile)}",
    )


def _mend(written: str) -> str:
    """The duration that was meant, for the advice: `2h` for `2 hours`."""
    nearly = _NEARLY.fullmatch(written)
    return f"{nearly[1]}{nearly[2][0].lower()}" if nearly and int(nearly[1]) else "2h"


def _say(duration: str, why: str, profile: str) -> str:
    """How to say it right, in their own words as far as there are any."""
    return f"Write {ACCESS} {shorten(profile, _SHOWN)} {shorten(duration, _SHOWN)} {shorten(why or _WHY, _SHOWN)}"


def _quoted(text: str) -> str:
    return f'"{shorten(text, _SHOWN)}"'


def _split(text: str) -> tuple[str, str]:
    """The first word, and everything after it as it was typed."""
    match = _WORD.match(text)
    return (match[1], text[match.end() :]) if match else ("", "")
