"""What people type after /breakglass, read: the form, a list, help, a close, or a declaration in one line.

Invariant: nothing is guessed, least of all in an emergency. Text that can be read in two ways, or in none, raises
InvalidInput, which says what was understood and gives the whole line to send instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Final, NoReturn

from bot.interactions.commands.tokens import (
    LENGTH,
    SHOWN,
    OpenForm,
    ShowHelp,
    ShowList,
    check_keyword,
    check_profile,
    quoted,
    read_line,
    read_page,
    split_word,
    suggest_duration,
    take_duration,
)
from bot.slack.app_surface import BREAK_GLASS
from bot.views.block_kit import shorten
from bot.views.break_glass.form import BreakGlassDraft
from bot.views.break_glass.list import BreakGlassListKind
from core.break_glass import JUSTIFICATION_LENGTH, REASON_LENGTH, EventId, ReasonCode
from core.duration import format_duration, parse_duration
from core.errors import InvalidInput
from core.record import check_record_id
from core.text import clean_text

_WHY: Final = "the checkout is down, see INC-12"
EXAMPLE: Final = f"{BREAK_GLASS} prod incident 1h {_WHY}"
_CLOSE_EXAMPLE: Final = f"{BREAK_GLASS} close 0123456789abcdef it is up again"


@dataclass(frozen=True, slots=True)
class CloseEvent:
    """End an event before its time."""

    event_id: EventId
    reason: str


BreakGlassCommand = OpenForm | ShowHelp | ShowList[BreakGlassListKind] | CloseEvent | BreakGlassDraft
_KEYWORDS: Final = ("help", *BreakGlassListKind, "close")


def parse_break_glass(text: object) -> BreakGlassCommand:
    """Read the `text` of a /breakglass command as Slack sends it. Raises InvalidInput, and nothing else."""
    typed = read_line(text, EXAMPLE)
    if not typed:
        return OpenForm()
    first, rest = split_word(typed)
    keyword = first.lower()
    # A profile may be called `active`. With a reason behind it, it cannot be meant as anything else.
    if keyword not in _KEYWORDS or split_word(rest)[0].lower() in set(ReasonCode):
        return _read_declaration(first, rest)
    match keyword:
        case "help":
            return ShowHelp()
        case "close":
            return _read_close(rest)
    return ShowList(BreakGlassListKind(keyword), read_page(BREAK_GLASS, keyword, rest))


def _read_close(rest: str) -> CloseEvent:
    written, reason = split_word(rest)
    try:
        event_id = EventId(check_record_id(written.strip("`").lower()))
    except InvalidInput as error:
        problem = "there is no id here" if not written else f"{quoted(written)} is not an id"
        fix = f"The id stands on the card; its Close button needs none. Write {_CLOSE_EXAMPLE}"
        raise InvalidInput("id", problem, fix) from error
    if not reason:
        fix = f"Say why as well: {BREAK_GLASS} close {event_id} it is up again"
        raise InvalidInput("reason", "there is no reason here", fix)
    return CloseEvent(event_id, clean_text("reason", reason, at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1]))


def _read_declaration(profile: str, rest: str) -> BreakGlassDraft:
    if not rest:
        _refuse_one_word(profile)
    check_profile(profile, _say("<profile>"))
    word, after = split_word(rest)
    reason_code = _read_reason_code(profile, word, after)
    written, why = take_duration(after)
    duration = _read_duration(profile, reason_code, written, why)
    return BreakGlassDraft(profile, reason_code, duration, _read_why(profile, reason_code, duration, why))


def _read_reason_code(profile: str, word: str, after: str) -> ReasonCode:
    if word.lower() in set(ReasonCode):
        return ReasonCode(word.lower())
    near = get_close_matches(word.lower()[:SHOWN], list(ReasonCode), n=1)
    # In the other order, as /access has it: `prod 1h incident …`.
    following, rest = split_word(after)
    if LENGTH.fullmatch(word) and following.lower() in set(ReasonCode):
        fix = _say(profile, following.lower(), word, rest)
        raise InvalidInput("reason", "the duration stands before the reason here", fix)
    problem = f"{quoted(word)} is not a reason; these are: {', '.join(ReasonCode)}"
    written, why = take_duration(after)
    is_duration = LENGTH.fullmatch(written.replace(" ", "")) is not None
    fix = _say(profile, near[0] if near else "incident", written if is_duration else "1h", why if is_duration else "")
    raise InvalidInput("reason", problem, f"Understood: the profile {shorten(profile, SHOWN)}. {fix}")


def _read_duration(profile: str, reason_code: ReasonCode, written: str, why: str) -> timedelta:
    try:
        return parse_duration(written)
    except InvalidInput as error:
        understood = f"Understood: the profile {profile}, {reason_code}."
        if not written:
            raise InvalidInput(
                "duration", "there is no duration here", f"{understood} {_say(profile, reason_code)}"
            ) from error
        is_word = not written.removeprefix("-")[:1].isdigit()
        said = f"{written} {why}".strip() if is_word else why
        problem = f"{quoted(written)} is not a duration" if is_word else error.problem
        right = _say(profile, reason_code, "1h" if is_word else suggest_duration(written), said)
        raise InvalidInput("duration", problem, f"{understood} {right}") from error


def _read_why(profile: str, reason_code: ReasonCode, duration: timedelta, why: str) -> str:
    least, most = JUSTIFICATION_LENGTH
    understood = f"Understood: the profile {profile}, {reason_code}, for {format_duration(duration)}."
    if not why:
        right = _say(profile, reason_code, format_duration(duration))
        raise InvalidInput("justification", "there is no justification here", f"{understood} {right}")
    try:
        return clean_text("justification", why, at_least=least, at_most=most)
    except InvalidInput as error:
        problem = f"the justification cannot be used: {error.problem}"
        raise InvalidInput("justification", problem, f"{error.fix} {understood}") from error


def _refuse_one_word(word: str) -> NoReturn:
    check_keyword(BREAK_GLASS, word, _KEYWORDS, _say(word))
    raise InvalidInput(
        "reason",
        "there is no reason, no duration and no justification here",
        f"Understood: the profile {shorten(word, SHOWN)}. {_say(word)}, or {BREAK_GLASS} alone for the form.",
    )


def _say(profile: str, reason_code: str = "incident", duration: str = "1h", why: str = "") -> str:
    """How to say it right, in their own words as far as there are any."""
    parts = (profile, reason_code, duration, why or _WHY)
    return f"Write {BREAK_GLASS} {' '.join(shorten(part, SHOWN) for part in parts)}"
