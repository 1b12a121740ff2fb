"""What people type after /breakglass, read: the form, a list, help, a close, or a declaration in one line.

Invariant: nothing is guessed, least of all in an emergency. Text that can be read in two ways, or in none, raises
InvalidInput, which gives the whole line to send instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Final, NoReturn

from bot.interactions.commands.tokens import (
    DURATION,
    MAX_QUOTED,
    OpenForm,
    ShowHelp,
    ShowList,
    check_keyword,
    check_profile,
    quoted,
    read_line,
    read_page,
    split_word,
    suggest,
    suggest_duration,
    take_duration,
)
from bot.slack.app_surface import BREAK_GLASS
from bot.views.break_glass.form import BreakGlassDraft
from bot.views.break_glass.list import BreakGlassListKind
from core.break_glass import JUSTIFICATION_LENGTH, REASON_LENGTH, EventId, ReasonCode
from core.duration import parse_duration
from core.errors import InvalidInput
from core.record import check_record_id
from core.text import clean_text

_JUSTIFICATION: Final = "the checkout is down, see INC-12"
_CLOSE_REASON: Final = "the checkout is back up"


@dataclass(frozen=True, slots=True)
class CloseEvent:
    """End an event early."""

    event_id: EventId
    reason: str


BreakGlassCommand = OpenForm | ShowHelp | ShowList[BreakGlassListKind] | CloseEvent | BreakGlassDraft
_KEYWORDS: Final = ("help", *BreakGlassListKind, "close")


def parse_break_glass(text: object) -> BreakGlassCommand:
    """Read the `text` of a /breakglass command as Slack sends it. Raises InvalidInput, and nothing else."""
    typed = read_line(text, _suggest())
    if not typed:
        return OpenForm()
    first, rest = split_word(typed)
    keyword = first.lower()
    # A profile can be called `active`. Followed by a reason code, it can't mean anything else.
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
        problem = f"{quoted(written)} isn't an event id" if written else "the event id is missing"
        example = suggest(BREAK_GLASS, "close", "0123456789abcdef", reason or _CLOSE_REASON, is_example=True)
        fix = f"Press Close on the event's card, or copy the id from there. {example}"
        raise InvalidInput("id", problem, fix) from error
    if not reason:
        fix = suggest(BREAK_GLASS, "close", event_id, _CLOSE_REASON, is_example=True)
        raise InvalidInput("reason", "the reason is missing", fix)
    return CloseEvent(event_id, clean_text("reason", reason, at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1]))


def _read_declaration(profile: str, rest: str) -> BreakGlassDraft:
    if not rest:
        _refuse_one_word(profile)
    check_profile(profile, _suggest())
    word, after = split_word(rest)
    reason_code = _read_reason_code(profile, word, after)
    written, justification = take_duration(after)
    duration = _read_duration(profile, reason_code, written, justification)
    return BreakGlassDraft(
        profile, reason_code, duration, _read_justification(profile, reason_code, written, justification)
    )


def _read_reason_code(profile: str, word: str, after: str) -> ReasonCode:
    if word.lower() in set(ReasonCode):
        return ReasonCode(word.lower())
    # In the other order, as /access has it: `prod 1h incident …`.
    following, rest = split_word(after)
    if DURATION.fullmatch(word) and following.lower() in set(ReasonCode):
        fix = _suggest(profile, following.lower(), word, rest)
        raise InvalidInput("reason", "the reason code comes before the duration", fix)
    near = get_close_matches(word.lower()[:MAX_QUOTED], list(ReasonCode), n=1)
    written, justification = take_duration(after)
    is_duration = DURATION.fullmatch(written.replace(" ", "")) is not None
    known = (written, justification) if is_duration else ("", "")
    fix = f"Use one of: {', '.join(ReasonCode)}. {_suggest(profile, near[0] if near else '', *known)}"
    raise InvalidInput("reason", f"{quoted(word)} isn't a reason code", fix)


def _read_duration(profile: str, reason_code: ReasonCode, written: str, justification: str) -> timedelta:
    try:
        return parse_duration(written)
    except InvalidInput as error:
        if written.removeprefix("-")[:1].isdigit():
            fix = _suggest(profile, reason_code, suggest_duration(written), justification)
            raise InvalidInput("duration", error.problem, fix) from error
        fix = _suggest(profile, reason_code, "", f"{written} {justification}".strip())
        raise InvalidInput("duration", "the duration is missing", fix) from error


def _read_justification(profile: str, reason_code: ReasonCode, duration: str, text: str) -> str:
    least, most = JUSTIFICATION_LENGTH
    if not text:
        fix = _suggest(profile, reason_code, duration)
        raise InvalidInput("justification", "the justification is missing", fix)
    try:
        return clean_text("justification", text, at_least=least, at_most=most)
    except InvalidInput as error:
        raise InvalidInput("justification", f"this justification can't be used: {error.problem}", error.fix) from error


def _refuse_one_word(word: str) -> NoReturn:
    check_keyword(BREAK_GLASS, word, _KEYWORDS, f"To break the glass for a profile of that name: {_suggest(word)}")
    raise InvalidInput("reason", "the reason code, the duration and the justification are missing", _suggest(word))


def _suggest(profile: str = "", reason_code: str = "", duration: str = "", justification: str = "") -> str:
    """The line to send instead, with the person's own words where there are any."""
    is_example = not (profile and reason_code and duration and justification)
    words = (profile or "prod", reason_code or "incident", duration or "1h", justification or _JUSTIFICATION)
    return suggest(BREAK_GLASS, *words, is_example=is_example)
