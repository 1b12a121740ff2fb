"""Who the people on a schedule are in the workspace: by the source's Slack id, else by e-mail, else by the policy.

Invariant: a person is found only if every way that names somebody names the same one, and nobody said that they are
deactivated or a guest. A name alone identifies nobody, unless the policy's `people` says whose it is.
"""

from __future__ import annotations

import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.actor import UserId, is_person
from core.clock import Clock
from core.errors import NotKnown
from core.on_call import OnCallName
from core.policy.principals import fold_email
from core.policy.rules import PolicyDocument
from core.schedules.answer import PersonOnCall
from core.schedules.base import SchedulePerson

FindByEmail = Callable[[str], UserId | None]
"""The active full member with this confirmed e-mail address; None if there is none. Raises NotKnown."""
IsActive = Callable[[UserId], bool | None]
"""Whether this is an active full member, as far as that is known already. Never waits."""

FOUND_FOR: Final = timedelta(minutes=15)
NOBODY_FOR: Final = timedelta(minutes=3)
"""How long an answer about an e-mail address is used: a mistake that was corrected is seen soon."""
KEPT_FOR: Final = timedelta(hours=1)
"""How long the person who was found last counts while Slack can't be asked."""
MAX_ADDRESSES: Final = 2_000

_DEACTIVATED: Final = "their Slack account is deactivated, or is no full member of this workspace"
_DIFFERENT: Final = "the schedule says that they are {found}, and `people` in the policy says {named}"
_SEVERAL: Final = "`people` in the policy gives this name to several people"
_NO_ACCOUNT: Final = "no active account in Slack has their e-mail address"
_NOBODY: Final = "the schedule gives no Slack id and no e-mail address, and `people` in the policy doesn't name them"
_ASK_AGAIN: Final = "Slack couldn't say whose e-mail address it is"


@dataclass(frozen=True, slots=True)
class PeopleTable:
    """What the policy's `people` says about one schedule: names at its source, or in this schedule, by Slack id."""

    names: tuple[tuple[UserId, str], ...] = ()
    same_person: tuple[tuple[UserId, ...], ...] = ()

    @classmethod
    def of(cls, document: PolicyDocument, name: OnCallName, kind: str) -> PeopleTable:
        """The names for a schedule of this kind of source."""
        names = (
            (UserId(person), text)
            for person, names in document.people.items()
            for key, text in names.items()
            if key in {kind, name}
        )
        return cls(tuple(names), document.named_people().same_person)

    def find(self, person: SchedulePerson) -> tuple[UserId, ...]:
        """Whose name this is: usually one person's, or nobody's. Of several ids of one person, the first."""
        known_as = {fold_name(each) for each in (person.source_id, person.name, person.email) if each is not None}
        found: dict[UserId, UserId] = {}
        for user_id, text in self.names:
            if fold_name(text) in known_as:
                found.setdefault(self.person_of(user_id), user_id)
        return tuple(found.values())

    def person_of(self, user_id: UserId) -> UserId:
        """The id that stands for all ids of this person."""
        return next((ids[0] for ids in self.same_person if user_id in ids), user_id)


class EmailAnswers:
    """The answers about e-mail addresses. Safe for threads."""

    def __init__(self, find: FindByEmail, clock: Clock) -> None:
        self._find = find
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, tuple[UserId | None, datetime]] = OrderedDict()

    def find(self, email: str) -> UserId | None:
        """Whose address it is, asked lately or now. Raises NotKnown when that can't be said."""
        address, now = fold_email(email) or email, self._clock.now()
        known = self._known(address, now)
        if known is not None and now - known[1] < (NOBODY_FOR if known[0] is None else FOUND_FOR):
            return known[0]
        try:
            found = self._find(address)
        except NotKnown:
            if known is None or known[0] is None:
                raise
            return known[0]
        with self._lock:
            self._answers[address] = (found, now)
            self._answers.move_to_end(address)
            while len(self._answers) > MAX_ADDRESSES:
                self._answers.popitem(last=False)
        return found

    def _known(self, address: str, now: datetime) -> tuple[UserId | None, datetime] | None:
        with self._lock:
            known = self._answers.get(address)
        # An answer from the future has no known age: the clock was set back.
        return known if known is not None and timedelta() <= now - known[1] < KEPT_FOR else None


class PeopleOnCall:
    """Says who the people on schedules are. Safe for threads; may wait for Slack."""

    def __init__(self, find_by_email: FindByEmail, is_active: IsActive, clock: Clock) -> None:
        self._emails = EmailAnswers(find_by_email, clock)
        self._is_active = is_active

    def find_all(
        self, people: Iterable[SchedulePerson], table: PeopleTable, may_go_on: Callable[[], bool] = lambda: True
    ) -> Mapping[SchedulePerson, PersonOnCall]:
        """Who each of them is. Once `may_go_on` says no, nobody is asked about any more: those aren't known."""
        return {each: self.find(each, table, may_ask=may_go_on()) for each in dict.fromkeys(people)}

    def find(self, person: SchedulePerson, table: PeopleTable, *, may_ask: bool = True) -> PersonOnCall:
        """Who this is."""
        named = table.find(person)
        if len(named) > 1:
            return PersonOnCall(problem=_SEVERAL)
        by_table = named[0] if named else None
        found, problem = self._by_source(person, may_ask=may_ask)
        if found is not None and by_table is not None and table.person_of(found) != table.person_of(by_table):
            return PersonOnCall(problem=_DIFFERENT.format(found=found, named=by_table))
        user_id = found or by_table
        if user_id is None:
            return PersonOnCall(is_known=problem != _ASK_AGAIN, problem=problem)
        if self._is_active(user_id) is False:
            return PersonOnCall(problem=_DEACTIVATED)
        return PersonOnCall(user_id=user_id)

    def _by_source(self, person: SchedulePerson, *, may_ask: bool) -> tuple[UserId | None, str]:
        """The person by what the source says of them, or why there is none."""
        if person.slack_id is not None and is_person(person.slack_id):
            return UserId(person.slack_id), ""
        if person.email is None:
            return None, _NOBODY
        if not may_ask:
            return None, _ASK_AGAIN
        try:
            return self._emails.find(person.email), _NO_ACCOUNT
        except NotKnown:
            return None, _ASK_AGAIN


def fold_name(text: str) -> str:
    """A name for comparison: neither case nor spaces nor the way in which a letter is composed make a difference."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
