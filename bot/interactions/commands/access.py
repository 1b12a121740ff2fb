"""What people type after /access, read: a form, a list, help, what becomes of open access, or a request in one line.

Invariant: nothing is guessed. Text that can be read in two ways, or in none, raises InvalidInput, which gives the line
to send instead; and what a person typed comes out as they typed it, not as Slack wrapped it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NoReturn

from bot.interactions.commands.devices import DEVICES, PAIR, DeviceCommand, read_device_command
from bot.interactions.commands.open_access import (
    END,
    EXTEND,
    REVOKE,
    OpenAccessCommand,
    ShowLive,
    read_open_access,
)
from bot.interactions.commands.tokens import (
    DURATION,
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
    take_one_duration,
)
from bot.slack.app_surface import ACCESS
from bot.views.access.list import AccessListKind
from bot.views.request.form import RequestDraft
from bot.views.request.list import ListKind
from core.duration import format_duration, parse_duration
from core.errors import InvalidInput
from core.request import JUSTIFICATION_LENGTH
from core.text import clean_text

_JUSTIFICATION: Final = "deploy the fix for INC-12"
_HELP: Final = "help"
_NOTIFY: Final = "notify"


@dataclass(frozen=True, slots=True)
class ShowNotify:
    """Show which direct messages this person gets."""


AccessCommand = OpenForm | ShowHelp | ShowList[ListKind] | OpenAccessCommand | DeviceCommand | ShowNotify | RequestDraft
_OPEN_ACCESS: Final = (END, EXTEND, REVOKE)
_DEVICES: Final = (PAIR, DEVICES)
_BY_THEMSELVES: Final = (_HELP, _NOTIFY)
_KEYWORDS: Final = (*_BY_THEMSELVES, *ListKind, *AccessListKind, *_OPEN_ACCESS, *_DEVICES)


def parse_access(text: object) -> AccessCommand:
    """Read the `text` of an /access command as Slack sends it. Raises InvalidInput, and nothing else."""
    typed = read_line(text, _suggest())
    if not typed:
        return OpenForm()
    first, rest = split_word(typed)
    keyword, after = first.lower(), split_word(rest)[0]
    # A profile can be called `mine`. Followed by a duration, it can't mean anything else; `extend 2h` can.
    if keyword not in _KEYWORDS or (DURATION.fullmatch(after) and keyword != EXTEND):
        return _read_request(first, rest)
    if keyword in _OPEN_ACCESS:
        # A mention is an id only as Slack sent it.
        return read_open_access(keyword, rest, split_word(str(text))[1])
    if keyword in _DEVICES:
        return read_device_command(keyword, rest)
    if keyword in _BY_THEMSELVES:
        return ShowHelp() if keyword == _HELP else ShowNotify()
    page = read_page(ACCESS, keyword, rest)
    return ShowLive(page) if keyword in set(AccessListKind) else ShowList(ListKind(keyword), page)


def _read_request(profile: str, rest: str) -> RequestDraft:
    if not rest:
        _refuse_one_word(profile)
    written, justification = take_duration(rest)
    if not DURATION.fullmatch(written.replace(" ", "")):
        check_keyword(ACCESS, profile, _OPEN_ACCESS, _as_profile(profile), rest)
    if not written.removeprefix("-")[:1].isdigit():
        _refuse_missing_duration(profile, rest)
    check_profile(profile, _suggest(duration=written, justification=justification))
    try:
        duration = parse_duration(written)
    except InvalidInput as error:
        fix = _suggest(profile, suggest_duration(written), justification)
        raise InvalidInput("duration", error.problem, fix) from error
    _check_one_duration(profile, written, justification)
    return RequestDraft((profile,), duration, _read_justification(profile, duration, justification))


def _check_one_duration(profile: str, written: str, rest: str) -> None:
    """Raises InvalidInput for `1h 30m …`: one duration in two words, or a justification that begins with a time."""
    following, justification = take_one_duration(rest)
    if not DURATION.fullmatch(following.replace(" ", "")):
        return
    try:
        together = format_duration(parse_duration(f"{written}{following}"))
    except InvalidInput:
        # `1h 2h …` can't be one duration, so the second one belongs to the justification.
        return
    raise InvalidInput(
        "duration",
        f"{quoted(f'{written} {following}')} can mean two things",
        f"{_suggest(profile, together, justification)}\nOr begin the justification with another word.",
    )


def _read_justification(profile: str, duration: timedelta, text: str) -> str:
    least, most = JUSTIFICATION_LENGTH
    if not text:
        raise InvalidInput(
            "justification", "the justification is missing", _suggest(profile, format_duration(duration))
        )
    try:
        return clean_text("justification", text, at_least=least, at_most=most)
    except InvalidInput as error:
        raise InvalidInput("justification", f"this justification can't be used: {error.problem}", error.fix) from error


def _refuse_one_word(word: str) -> NoReturn:
    check_keyword(ACCESS, word, _KEYWORDS, _as_profile(word))
    if DURATION.fullmatch(word):
        raise InvalidInput("profile", "the profile and the justification are missing", _suggest(duration=word))
    raise InvalidInput("duration", "the duration and the justification are missing", _suggest(word))


def _refuse_missing_duration(profile: str, rest: str) -> NoReturn:
    second, after = split_word(rest)
    if DURATION.fullmatch(profile):
        raise InvalidInput("profile", "the profile comes before the duration", _suggest(second, profile, after))
    words = rest.split()
    later = next((word for word in words if DURATION.fullmatch(word)), "")
    justification = " ".join(word for word in words if word is not later)
    problem = "the duration comes before the justification" if later else "the duration is missing"
    raise InvalidInput("duration", problem, _suggest(profile, later, justification))


def _as_profile(word: str) -> str:
    """How to request a profile that is called nearly like a command."""
    return f"To request a profile of that name, for example:\n{_suggest(word).partition(chr(10))[2]}"


def _suggest(profile: str = "", duration: str = "", justification: str = "") -> str:
    """The line to send instead, with the person's own words where there are any."""
    is_example = not (profile and duration and justification)
    words = (profile or "prod", duration or "2h", justification or _JUSTIFICATION)
    return suggest(ACCESS, *words, is_example=is_example)
