"""A typed line, in whatever order its words come: profiles, a kind of emergency, how long; the rest is the text.

Invariant: no word is lost: each is a part of what was understood, of the text, or among the words that nothing could be
made of. A word that can belong to a sentence stays in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import Final

from bot.interactions.commands.tokens import DURATION, meant_duration, split_word, take_duration, take_one_duration
from bot.views.unread import MAX_UNREAD, MAX_UNREAD_WORD
from core.actor import check_profile_name
from core.break_glass import ReasonCode
from core.duration import parse_duration
from core.errors import InvalidInput
from core.written_time import WrittenTime, take_time

_AROUND: Final = ".,:;!?()[]\"'`*_"
"""What stands around a word in a sentence and isn't a part of it."""
_NEAR: Final = 0.75


@dataclass(frozen=True)
class ProfileNames:
    """The profiles that a word can name; None: not known here, so the first word is one if it could be."""

    known: Collection[str] | None = None
    is_ticket: Callable[[str], bool] = lambda _: False
    """True for a word that is a ticket by its form."""

    def find(self, word: str) -> str | None:
        """The profile that this word names, written as the policy writes it."""
        if self.known is None:
            return word if is_profile_name(word) else None
        if word in self.known:
            return word
        folded = self._folded.get(word.casefold(), ())
        return folded[0] if len(folded) == 1 else None

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        """The profiles by their name without regard to case: a long line has many words, and a policy many profiles."""
        found: dict[str, list[str]] = {}
        for name in self.known or ():
            found.setdefault(name.casefold(), []).append(name)
        return found

    def find_all(self, joined: str) -> tuple[str, ...]:
        """The profiles in `prod,staging`; none unless each part is one."""
        found = [self.find(part) for part in joined.split(",") if part]
        return tuple(name for name in found if name is not None) if all(found) else ()

    def find_in_text(self, text: str) -> tuple[str, ...]:
        """The profiles that a sentence names; none where it isn't known which profiles there are."""
        if self.known is None:
            return ()
        found = (self.find(word) or self.find(word.strip(_AROUND)) for word in text.split())
        return tuple(dict.fromkeys(name for name in found if name is not None))


@dataclass(frozen=True, slots=True)
class TypedWords:
    """What a line is made of. `unread` are the words that nothing could be made of; `text` is what remains."""

    profiles: tuple[str, ...] = ()
    reason_code: ReasonCode | None = None
    duration: timedelta | None = None
    text: str = ""
    unread: tuple[str, ...] = ()
    starts: WrittenTime | None = None
    ticket: str = ""


@dataclass(slots=True)
class _WordReader:
    names: ProfileNames
    has_codes: bool
    most: int
    found: TypedWords = field(default_factory=TypedWords)

    def take(self, rest: str) -> str | None:
        """What follows the next word, if something could be made of it; None: the text begins here."""
        takes = (
            self._take_profiles, self._take_code, self._take_start, self._take_duration, self._take_ticket,
            self._take_nearly,
        )  # fmt: skip
        for take in takes:
            after = take(rest)
            if after is not None:
                return after
        return None

    def _take_profiles(self, rest: str) -> str | None:
        word, after = split_word(rest)
        profiles = self.names.find_all(word)
        if not profiles or len(self.found.profiles) + len(profiles) > self.most:
            return None
        if self.found.profiles and not self._ends_a_list(after):
            # A second one may as well be the first word of a sentence.
            return None
        if self.names.known is None and self.found.profiles:
            return None
        self.found = replace(self.found, profiles=tuple(dict.fromkeys((*self.found.profiles, *profiles))))
        return after

    def _ends_a_list(self, after: str) -> bool:
        """True when nothing but profiles follows, up to a duration or the end of the line."""
        while after:
            if _read_duration(after) is not None:
                return True
            word, after = split_word(after)
            if not self.names.find_all(word):
                return False
        return True

    def _take_code(self, rest: str) -> str | None:
        word, after = split_word(rest)
        if not self.has_codes or self.found.reason_code is not None or word.lower() not in set(ReasonCode):
            return None
        self.found = replace(self.found, reason_code=ReasonCode(word.lower()))
        following = split_word(after)[0]
        is_apart = self.found.profiles or not after or _read_duration(after) or self.names.find(following)
        return after if is_apart else None

    def _take_start(self, rest: str) -> str | None:
        """When it starts, once. Break-glass, which has codes, opens at once: there, a time is a word of the text."""
        taken = take_time(rest) if self.found.starts is None and not self.has_codes else None
        if taken is None:
            return None
        self.found = replace(self.found, starts=taken[0])
        return taken[1]

    def _take_duration(self, rest: str) -> str | None:
        if self.found.duration is not None or (read := _read_duration(rest)) is None:
            return None
        duration, written, after = read
        if duration is None and not self._has_room_for(written):
            return None
        unread = () if duration is not None else (written,)
        self.found = replace(self.found, duration=duration, unread=(*self.found.unread, *unread))
        return after

    def _take_ticket(self, rest: str) -> str | None:
        """A ticket before the next part of the line. Before a sentence, it is a word of the sentence."""
        word, after = split_word(rest)
        ticket = word.strip(_AROUND)
        if self.has_codes or self.found.ticket or not self.names.is_ticket(ticket):
            return None
        is_apart = _read_duration(after) or take_time(after) or self.names.find_all(split_word(after)[0]) or not after
        if not is_apart:
            return None
        self.found = replace(self.found, ticket=ticket)
        return after

    def _take_nearly(self, rest: str) -> str | None:
        """A word that is nearly a profile or a kind of emergency, right before the next part of a line."""
        word, after = split_word(rest)
        profiles = [] if self.found.profiles else list(self.names.known or ())
        if not self._has_room_for(word) or self.found.duration is not None:
            return None
        if self.has_codes and split_word(after)[0].lower() in set(ReasonCode):
            return self._leave_unread(word, after) if _is_near(word, profiles) else None
        if _read_duration(after) is None:
            return None
        known = [*profiles, *(ReasonCode if self.has_codes else ())]
        is_first = not self.found.profiles and not self.found.unread and is_profile_name(word)
        return self._leave_unread(word, after) if is_first or _is_near(word, known) else None

    def _leave_unread(self, word: str, after: str) -> str:
        self.found = replace(self.found, unread=(*self.found.unread, word))
        return after

    def _has_room_for(self, word: str) -> bool:
        return len(self.found.unread) < MAX_UNREAD - 1 and len(word) <= MAX_UNREAD_WORD


def read_words(typed: str, names: ProfileNames, *, has_codes: bool, most_profiles: int) -> TypedWords:
    """Everything that can be understood of a line. Never raises."""
    reading, rest = _WordReader(names, has_codes, most_profiles), typed.strip()
    while rest and (after := reading.take(rest)) is not None:
        rest = after
    found = replace(reading.found, text=rest)
    if found.duration is None:
        found = _take_last_duration(found)
    if not found.profiles:
        named = names.find_in_text(found.text)
        if len(named) == 1:
            # The sentence keeps its word.
            found = replace(found, profiles=named)
        elif _is_a_slip(found, names):
            found = replace(found, text="", unread=(*found.unread, found.text))
    return found


def is_profile_name(word: str) -> bool:
    """True for what could be a profile's name."""
    try:
        check_profile_name(word)
    except InvalidInput:
        return False
    return True


def _is_near(word: str, known: Sequence[str]) -> bool:
    return bool(get_close_matches(word.lower(), known, n=1, cutoff=_NEAR))


def _is_a_slip(found: TypedWords, names: ProfileNames) -> bool:
    """One word alone is no sentence: it was meant to be a profile."""
    return names.known is not None and len(found.text.split()) == 1 and len(found.text) <= MAX_UNREAD_WORD


def _take_last_duration(found: TypedWords) -> TypedWords:
    """A duration at the end: `fix the login 2h`, `fix the login for 2 hours`."""
    words = found.text.split()
    for count in (3, 2, 1):
        last = " ".join(words[-count:])
        if len(words) < count or (read := _read_duration(last)) is None:
            continue
        duration, _, after = read
        if duration is not None and not after:
            kept = found.text.rstrip()
            for word in reversed(words[-count:]):
                kept = kept.removesuffix(word).rstrip()
            return replace(found, duration=duration, text=kept)
    return found


def _read_duration(text: str) -> tuple[timedelta | None, str, str] | None:
    """A duration at the beginning, as it was written, and what follows it; None: there is none.

    The duration is None where one was meant that can't be used, such as `0h`.
    """
    written, after = take_duration(text)
    if (meant := meant_duration(written)) is None:
        return None
    following, rest = take_one_duration(after)
    whole = text[: len(text) - len(after)].strip()
    if DURATION.fullmatch(following.replace(" ", "")) and (together := _parse(f"{meant}{following}")) is not None:
        return together, f"{whole} {following}", rest
    return _parse(meant), whole, after


def _parse(written: str) -> timedelta | None:
    try:
        return parse_duration(written.replace(" ", ""))
    except InvalidInput:
        return None
