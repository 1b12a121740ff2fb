"""What people type about access that is open, read: end it, extend it, revoke it.

Invariant: nothing is guessed. A person is only who Slack says was mentioned; what is incomplete raises InvalidInput,
which says what is missing, with the person's own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NoReturn

from bot.interactions.commands.tokens import (
    DURATION,
    check_profile,
    quoted,
    split_word,
    suggest,
    suggest_duration,
    take_duration,
    unescape,
)
from bot.slack.app_surface import ACCESS
from core.actor import ProfileName, UserId, is_person
from core.break_glass import REASON_LENGTH, BreakGlassEvent
from core.duration import parse_duration
from core.errors import InvalidInput
from core.record import check_record_id
from core.request import JUSTIFICATION_LENGTH, Request
from core.text import clean_text

END: Final = "end"
EXTEND: Final = "extend"
REVOKE: Final = "revoke"
_REASON: Final = "the incident is over"
_AN_ID: Final = "0123456789abcdef"
_KINDS: Final = (Request.KIND, BreakGlassEvent.KIND)
_MENTION = re.compile(r"<@([UW][A-Z0-9]{2,31})(?:\|[^<>]*)?>\s*(.*)", re.DOTALL)
"""A person as Slack writes them into the text of a command; anybody can type the rest, but not these brackets."""


@dataclass(frozen=True, slots=True)
class NamedAccess:
    """What somebody named: a profile, or the record whose id they typed; both for a word that can be either.

    `sources` are the chains that an id can mean. Nothing was named when both are empty.
    """

    profile: ProfileName | None = None
    sources: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when only the command was typed."""
        return self.profile is None and not self.sources


@dataclass(frozen=True, slots=True)
class EndAccess:
    """End one's own access."""

    named: NamedAccess


@dataclass(frozen=True, slots=True)
class ExtendAccess:
    """Open the form to request the same access again, with what was typed already."""

    named: NamedAccess
    duration: timedelta | None = None
    justification: str = ""


@dataclass(frozen=True, slots=True)
class RevokeAccess:
    """End the access that one decision gave somebody; `sources` are the chains that its id can mean."""

    sources: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class RevokePerson:
    """End all the access of one person."""

    person: UserId
    reason: str


@dataclass(frozen=True, slots=True)
class ShowLive:
    """Show a page of who has what now. Pages count from 1."""

    page: int = 1


OpenAccessCommand = ShowLive | EndAccess | ExtendAccess | RevokeAccess | RevokePerson


def read_open_access(keyword: str, rest: str, sent: str) -> OpenAccessCommand:
    """What follows a keyword: the `rest` as the person typed it, and as Slack `sent` it, with mentions as ids.

    Raises InvalidInput.
    """
    match keyword:
        case "end":
            return _read_end(rest)
        case "extend":
            return _read_extend(rest)
    return _read_revoke(rest, sent)


def _read_end(rest: str) -> EndAccess:
    word, more = split_word(rest)
    if more:
        # Those who write more may mean something else, and access that has ended doesn't come back.
        fix = suggest(ACCESS, END, word)
        raise InvalidInput("text", f"only a profile or an id can follow `{END}`", fix)
    return EndAccess(_read_named(END, word))


def _read_extend(rest: str) -> ExtendAccess:
    # All of it can be left out, and the rest becomes the justification.
    word, more = split_word(rest)
    if _is_duration(take_duration(rest)[0]):
        word, more = "", rest
    named, (written, justification) = _read_named(EXTEND, word), take_duration(more)
    if not _is_duration(written):
        # What isn't a duration begins the justification: a form shows it before anything is requested.
        return ExtendAccess(named, None, _read_begun(more))
    try:
        return ExtendAccess(named, parse_duration(written.replace(" ", "")), _read_begun(justification))
    except InvalidInput as error:
        words = [each for each in (word, suggest_duration(written), justification) if each]
        raise InvalidInput("duration", error.problem, suggest(ACCESS, EXTEND, *words)) from error


def _read_revoke(rest: str, sent: str) -> RevokeAccess | RevokePerson:
    if mentioned := _MENTION.match(sent):
        person, reason = UserId(mentioned[1]), unescape(mentioned[2]).strip()
        return RevokePerson(person, _read_reason(person, reason))
    word, reason = split_word(rest)
    if is_person(named := word.strip("`").removeprefix("@")):
        return RevokePerson(UserId(named), _read_reason(named, reason))
    sources = _read_sources(word)
    if not sources:
        _refuse_revoke_of(word, reason)
    return RevokeAccess(sources, _read_reason(word.strip("`"), reason))


def _is_duration(written: str) -> bool:
    return DURATION.fullmatch(written.replace(" ", "")) is not None


def _read_begun(text: str) -> str:
    """A justification that the form shows: too short is for the form to say, too long has no room there."""
    if not text:
        return ""
    try:
        return clean_text("justification", text, at_least=1, at_most=JUSTIFICATION_LENGTH[1])
    except InvalidInput as error:
        raise InvalidInput("justification", f"this justification can't be used: {error.problem}", error.fix) from error


def _read_named(keyword: str, word: str) -> NamedAccess:
    if not word:
        return NamedAccess()
    sources = _read_sources(word)
    if sources and "#" in word:
        return NamedAccess(sources=sources)
    name = word.strip("`")
    check_profile(name, f"To choose from a list, send this instead:\n`{ACCESS} {keyword}`")
    return NamedAccess(ProfileName(name), sources)


def _read_sources(word: str) -> tuple[str, ...]:
    """The chains that an id can mean, typed with or without its kind; none for what is no id."""
    kind, has_kind, written = word.strip("`").rpartition("#")
    try:
        record_id = check_record_id(written.lower())
    except InvalidInput:
        return ()
    if has_kind:
        return (f"{kind.upper()}#{record_id}",) if kind.upper() in _KINDS else ()
    return tuple(f"{each}#{record_id}" for each in _KINDS)


def _read_reason(named: str, reason: str) -> str:
    if not reason:
        fix = suggest(ACCESS, REVOKE, named, _REASON, is_example=True)
        raise InvalidInput("reason", "the reason is missing", fix)
    try:
        return clean_text("reason", reason, at_least=REASON_LENGTH[0], at_most=REASON_LENGTH[1])
    except InvalidInput as error:
        raise InvalidInput("reason", f"this reason can't be used: {error.problem}", error.fix) from error


def _refuse_revoke_of(word: str, reason: str) -> NoReturn:
    if word.startswith("@"):
        # Slack makes a mention of a name only when it is chosen from the list that Slack offers.
        problem = f"Slack didn't say who {quoted(word)} is"
        raise InvalidInput("person", problem, f"Choose the person from the list that Slack shows after `@`. {_both()}")
    if not word:
        raise InvalidInput("id", "what to revoke, and the reason, are missing", _both())
    example = suggest(ACCESS, REVOKE, _AN_ID, reason or _REASON, is_example=True)
    fix = f"Copy the id from the card, or from `{ACCESS} live`. {example}"
    raise InvalidInput("id", f"{quoted(word)} is neither an id nor a person", fix)


def _both() -> str:
    return suggest(ACCESS, REVOKE, _AN_ID, _REASON, is_example=True) + f"\n`{ACCESS} {REVOKE} @person {_REASON}`"
