"""What people type after /access, read: a list, help, what becomes of open access, or a request, complete or begun.

Invariant: only a line with everything in its order requests anything. All else that isn't a command of ours begins a
form, with every word in it; and what a person typed comes out as they typed it, not as Slack wrapped it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

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
    check_begun_text,
    check_keyword,
    read_line,
    read_page,
    split_word,
    suggest,
    take_duration,
    take_one_duration,
)
from bot.interactions.commands.words import ProfileNames, read_words
from bot.slack.app_surface import ACCESS
from bot.views.access.list import AccessListKind
from bot.views.request.form import BegunRequest, RequestDraft
from bot.views.request.list import ListKind
from core.duration import parse_duration
from core.errors import InvalidInput
from core.request import JUSTIFICATION_LENGTH
from core.services.bundle import MAX_PROFILES
from core.text import clean_text
from core.written_time import begins_like_time, take_time

_JUSTIFICATION: Final = "deploy the fix for INC-12"
_HELP: Final = "help"
_NOTIFY: Final = "notify"


@dataclass(frozen=True, slots=True)
class ShowNotify:
    """Show which direct messages this person gets."""


AccessCommand = (
    OpenForm
    | ShowHelp
    | ShowList[ListKind]
    | OpenAccessCommand
    | DeviceCommand
    | ShowNotify
    | RequestDraft
    | BegunRequest
)
_OPEN_ACCESS: Final = (END, EXTEND, REVOKE)
_DEVICES: Final = (PAIR, DEVICES)
_BY_THEMSELVES: Final = (_HELP, _NOTIFY)
_KEYWORDS: Final = (*_BY_THEMSELVES, *ListKind, *AccessListKind, *_OPEN_ACCESS, *_DEVICES)


def parse_access(
    text: object, profiles: Collection[str] | None = None, *, is_ticket: Callable[[str], bool] = lambda _: False
) -> AccessCommand:
    """Read the `text` of an /access command as Slack sends it. Raises InvalidInput, and nothing else.

    `profiles` are those that there are; None: not known here, so the first word is one if it could be. `is_ticket` says
    whether a word is a ticket.
    """
    typed = read_line(text, suggest(ACCESS, "prod", "2h", _JUSTIFICATION, is_example=True))
    if not typed:
        return OpenForm()
    first, rest = split_word(typed)
    keyword, after = first.lower(), split_word(rest)[0]
    # A profile can be called `mine`. Followed by a duration, it can't mean anything else; `extend 2h` can.
    if keyword not in _KEYWORDS or (DURATION.fullmatch(after) and keyword != EXTEND):
        return _read_request(typed, ProfileNames(profiles, is_ticket))
    if keyword in _OPEN_ACCESS:
        # A mention is an id only as Slack sent it.
        return read_open_access(keyword, rest, split_word(str(text))[1])
    if keyword in _DEVICES:
        return read_device_command(keyword, rest)
    if keyword in _BY_THEMSELVES:
        return ShowHelp() if keyword == _HELP else ShowNotify()
    page = read_page(ACCESS, keyword, rest)
    return ShowLive(page) if keyword in set(AccessListKind) else ShowList(ListKind(keyword), page)


def _read_request(typed: str, names: ProfileNames) -> RequestDraft | BegunRequest:
    if (complete := _read_complete(typed, names)) is not None:
        return complete
    found = read_words(typed, names, has_codes=False, most_profiles=MAX_PROFILES)
    if not found.profiles or names.known is None:
        first, rest = split_word(typed)
        if not rest:
            check_keyword(ACCESS, first, _KEYWORDS, _as_profile(first))
        elif not DURATION.fullmatch(split_word(rest)[0]):
            check_keyword(ACCESS, first, _OPEN_ACCESS, _as_profile(first), rest)
    check_begun_text("justification", found.text, JUSTIFICATION_LENGTH)
    return BegunRequest(
        found.profiles, found.duration, found.text, unread=found.unread, starts=found.starts, ticket=found.ticket
    )


def _read_complete(typed: str, names: ProfileNames) -> RequestDraft | None:
    """A line with everything in its order: profile, duration, perhaps when it starts, justification."""
    word, rest = split_word(typed)
    profile, (written, text) = names.find(word), take_duration(rest)
    if profile is None or not DURATION.fullmatch(written.replace(" ", "")):
        return None
    if DURATION.fullmatch(take_one_duration(text)[0].replace(" ", "")):
        # `1h 30m …` can be one duration, or a justification that begins with a time: the form asks.
        return None
    starts, text = take_time(text) or (None, text)
    if begins_like_time(text, is_after_time=starts is not None):
        # `tomorrow …`, `22:00 …`: when it starts, or the first words of the justification: the form asks.
        return None
    try:
        justification = clean_text(
            "justification", text, at_least=JUSTIFICATION_LENGTH[0], at_most=JUSTIFICATION_LENGTH[1]
        )
        return RequestDraft((profile,), parse_duration(written), justification, starts=starts)
    except InvalidInput:
        return None


def _as_profile(word: str) -> str:
    """How to request a profile that is called nearly like a command."""
    example = suggest(ACCESS, word, "2h", _JUSTIFICATION, is_example=True).partition("\n")[2]
    return f"To request a profile of that name, for example:\n{example}"
