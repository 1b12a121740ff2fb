"""What people type after /access, read: a form, a list, help, or a request in one line.

Invariant: nothing is guessed. Text that can be read in two ways, or in none, raises InvalidInput, which says what was
understood and how to say it right; and what somebody typed comes out as they typed it, not as Slack wrapped it.
"""

from __future__ import annotations

from datetime import timedelta
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
    take_length,
)
from bot.slack.app_surface import ACCESS
from bot.views.block_kit import shorten
from bot.views.request.form import RequestDraft
from bot.views.request.list import ListKind
from core.duration import format_duration, parse_duration
from core.errors import InvalidInput
from core.request import JUSTIFICATION_LENGTH
from core.text import clean_text

EXAMPLE: Final = f"{ACCESS} prod 2h deploy the fix for INC-12"
_WHY: Final = "deploy the fix for INC-12"


AccessCommand = OpenForm | ShowHelp | ShowList[ListKind] | RequestDraft
_KEYWORDS: Final = ("help", *ListKind)


def parse_access(text: object) -> AccessCommand:
    """Read the `text` of an /access command as Slack sends it. Raises InvalidInput, and nothing else."""
    typed = read_line(text, EXAMPLE)
    if not typed:
        return OpenForm()
    first, rest = split_word(typed)
    keyword, after = first.lower(), split_word(rest)[0]
    # A profile may be called `mine`. With a duration behind it, it cannot be meant as anything else.
    if keyword not in _KEYWORDS or LENGTH.fullmatch(after):
        return _read_request(first, rest)
    if keyword == "help":
        return ShowHelp()
    return ShowList(ListKind(keyword), read_page(ACCESS, keyword, rest))


def _read_request(profile: str, rest: str) -> RequestDraft:
    if not rest:
        _refuse_one_word(profile)
    written, why = take_duration(rest)
    if not written.removeprefix("-")[:1].isdigit():
        _refuse_missing_duration(profile, rest)
    check_profile(profile, _say(written, why, "<profile>"))
    try:
        duration = parse_duration(written)
    except InvalidInput as error:
        raise InvalidInput(
            "duration",
            error.problem,
            f"Understood: the profile {profile}. {_say(suggest_duration(written), why, profile)}",
        ) from error
    _check_one_duration(profile, written, why)
    return RequestDraft(profile, duration, _read_reason(profile, duration, why))


def _check_one_duration(profile: str, written: str, why: str) -> None:
    """Raises InvalidInput for `1h 30m …`: one duration in two words, or a reason that begins with a time."""
    following, reason = take_length(why)
    if not LENGTH.fullmatch(following.replace(" ", "")):
        return
    try:
        together = format_duration(parse_duration(f"{written}{following}"))
    except InvalidInput:
        # `1h 2h …` can be no single duration, so the second one belongs to the reason.
        return
    raise InvalidInput(
        "duration",
        f"{quoted(f'{written} {following}')} can be read in two ways",
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
    check_keyword(ACCESS, word, _KEYWORDS, _say("2h", "", word))
    if LENGTH.fullmatch(word):
        raise InvalidInput("profile", f"there is only a duration here, {quoted(word)}", _say(word, "", "<profile>"))
    raise InvalidInput(
        "duration",
        "there is no duration and no reason here",
        f"Understood: the profile {shorten(word, SHOWN)}. {_say('2h', '', word)}, or {ACCESS} alone for the form.",
    )


def _refuse_missing_duration(profile: str, rest: str) -> NoReturn:
    second, after = split_word(rest)
    if LENGTH.fullmatch(profile):
        raise InvalidInput("profile", f"the duration comes first here, {quoted(profile)}", _say(profile, after, second))
    words = rest.split()
    later = next((word for word in words if LENGTH.fullmatch(word)), None)
    why = " ".join(word for word in words if word is not later)
    raise InvalidInput(
        "duration",
        f"{quoted(second)} is not a duration",
        f"Understood: the profile {shorten(profile, SHOWN)}. {_say(later or '2h', why, profile)}",
    )


def _say(duration: str, why: str, profile: str) -> str:
    """How to say it right, in their own words as far as there are any."""
    return f"Write {ACCESS} {shorten(profile, SHOWN)} {shorten(duration, SHOWN)} {shorten(why or _WHY, SHOWN)}"
