"""What people type after /breakglass, read: a list, help, a close, or a declaration, complete or begun.

Invariant: only a line with everything in its order declares anything; least of all in an emergency is anything guessed.
All else that isn't a command of ours begins the form, with every word in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from bot.interactions.commands.tokens import (
    DURATION,
    OpenForm,
    ShowHelp,
    ShowList,
    check_begun_text,
    check_keyword,
    quoted,
    read_line,
    read_page,
    split_word,
    suggest,
    take_duration,
)
from bot.interactions.commands.words import ProfileNames, read_words
from bot.slack.app_surface import BREAK_GLASS
from bot.views.break_glass.form import BegunBreakGlass, BreakGlassDraft
from bot.views.break_glass.list import BreakGlassListKind
from core.break_glass import JUSTIFICATION_LENGTH, EventId, ReasonCode
from core.duration import parse_duration
from core.errors import InvalidInput
from core.record import check_record_id
from core.text import clean_text
from core.written_time import take_time

_JUSTIFICATION: Final = "the checkout is down, see INC-12"
_CLOSE_REASON: Final = "the checkout is back up"
_LIKE_AN_ID: Final = re.compile(r"(?=.*[0-9])[0-9a-f]{6,40}|[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class CloseEvent:
    """End an event early: this one; or the only live one of this person, for the `profile` if one was named.

    `reason` is as it was typed, and empty where none was.
    """

    event_id: EventId | None
    reason: str = ""
    profile: str | None = None


BreakGlassCommand = OpenForm | ShowHelp | ShowList[BreakGlassListKind] | CloseEvent | BreakGlassDraft | BegunBreakGlass
_KEYWORDS: Final = ("help", *BreakGlassListKind, "close")


def parse_break_glass(text: object, profiles: Collection[str] | None = None) -> BreakGlassCommand:
    """Read the `text` of a /breakglass command as Slack sends it. Raises InvalidInput, and nothing else.

    `profiles` are those that there are; None: not known here, so the first word is one if it could be.
    """
    typed = read_line(text, suggest(BREAK_GLASS, "prod", "incident", "1h", _JUSTIFICATION, is_example=True))
    if not typed:
        return OpenForm()
    names, (first, rest) = ProfileNames(profiles), split_word(typed)
    keyword = first.lower()
    # A profile can be called `active`. Followed by a reason code, it can't mean anything else.
    if keyword not in _KEYWORDS or split_word(rest)[0].lower() in set(ReasonCode):
        return _read_declaration(typed, names)
    match keyword:
        case "help":
            return ShowHelp()
        case "close":
            return _read_close(rest, names)
    return ShowList(BreakGlassListKind(keyword), read_page(BREAK_GLASS, keyword, rest))


def _read_close(rest: str, names: ProfileNames) -> CloseEvent:
    written, reason = split_word(rest)
    bare = written.strip("`").lower()
    try:
        return CloseEvent(EventId(check_record_id(bare)), reason)
    except InvalidInput as error:
        if _LIKE_AN_ID.fullmatch(bare):
            # Another event than the one that was meant must not be closed for a slip of the finger.
            example = suggest(BREAK_GLASS, "close", "0123456789abcdef", reason or _CLOSE_REASON, is_example=True)
            fix = f"Press Close on the event's card, or copy the id from there. {example}"
            raise InvalidInput("id", f"{quoted(written)} isn't an event id", fix) from error
    profile = names.find(written) if names.known is not None else None
    return CloseEvent(None, reason if profile is not None else rest, profile)


def _read_declaration(typed: str, names: ProfileNames) -> BreakGlassDraft | BegunBreakGlass:
    if (complete := _read_complete(typed, names)) is not None:
        return complete
    found = read_words(typed, names, has_codes=True, most_profiles=1)
    first, rest = split_word(typed)
    if not rest and (not found.profiles or names.known is None):
        otherwise = f"To break the glass for a profile of that name: {_example(first)}"
        check_keyword(BREAK_GLASS, first, _KEYWORDS, otherwise)
    check_begun_text("justification", found.text, JUSTIFICATION_LENGTH)
    profile = found.profiles[0] if found.profiles else None
    return BegunBreakGlass(profile, found.reason_code, found.duration, found.text, found.unread)


def _read_complete(typed: str, names: ProfileNames) -> BreakGlassDraft | None:
    """A line with everything in its order: profile, reason code, duration, justification."""
    word, rest = split_word(typed)
    code, after = split_word(rest)
    profile, (written, text) = names.find(word), take_duration(after)
    if profile is None or code.lower() not in set(ReasonCode) or not DURATION.fullmatch(written.replace(" ", "")):
        return None
    try:
        justification = clean_text(
            "justification", text, at_least=JUSTIFICATION_LENGTH[0], at_most=JUSTIFICATION_LENGTH[1]
        )
        later = take_time(justification)
        if later is not None and later[0].day == "tomorrow":
            # Nothing of it is for later: the form says so.
            return None
        return BreakGlassDraft(profile, ReasonCode(code.lower()), parse_duration(written), justification)
    except InvalidInput:
        return None


def _example(profile: str) -> str:
    return suggest(BREAK_GLASS, profile, "incident", "1h", _JUSTIFICATION, is_example=True)
