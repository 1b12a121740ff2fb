"""Principals: the ways in which a policy names people, and whether a person is among them.

Invariant: a person matches by what Slack confirms, their id or a user group, or because a schedule says that they are
on call. Whether they are in a user group or on call can be not known, which is neither a match nor a miss. An e-mail
address matches nobody unless the operator trusts e-mail, and then only as a whole and in ASCII, ignoring the case of A
to Z.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from core.actor import Actor, Need, UserGroupId, UserId, check_user_group_id, check_user_id
from core.duty import ON_CALL_PREFIX, Duty, OnCallName, is_on_call_name, on_call_name, schedule_of
from core.errors import InvalidInput
from core.policy.document import NAME, mistake

GROUP_PREFIX: Final = "group:"
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
_WAYS: Final = "Write a Slack user id (U0AB12CD3), a user group id (S0ENGINEERS), group:name or on-call:schedule."
_NEARLY_ON_CALL = re.compile(r"on[-_ ]?call\s*[:=/]\s*(.+)", re.IGNORECASE)


class PrincipalKind(StrEnum):
    """The ways to name people."""

    USER = "user"
    USER_GROUP = "user_group"
    GROUP = "group"
    EMAIL = "email"
    ON_CALL = "on_call"


class PrincipalSelector(BaseModel):
    """One way to name people.

    `value` is the id, the e-mail address, the group's name without `group:`, or the schedule's without `on-call:`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: PrincipalKind
    value: str

    def __str__(self) -> str:
        return f"{_PREFIXES.get(self.kind, '')}{self.value}"


_PREFIXES: Final[Mapping[PrincipalKind, str]] = {
    PrincipalKind.GROUP: GROUP_PREFIX,
    PrincipalKind.ON_CALL: ON_CALL_PREFIX,
}


def parse_selector(text: object) -> PrincipalSelector:
    """Read `U…`, `W…`, `S…`, `group:name`, `on-call:schedule` or an e-mail address. Raises InvalidInput otherwise."""
    if isinstance(text, str):
        if text.startswith(ON_CALL_PREFIX):
            return PrincipalSelector(kind=PrincipalKind.ON_CALL, value=_check_schedule(text))
        if text.startswith(GROUP_PREFIX) and len(text) > len(GROUP_PREFIX):
            return PrincipalSelector(kind=PrincipalKind.GROUP, value=text.removeprefix(GROUP_PREFIX))
        if _EMAIL.fullmatch(text):
            return PrincipalSelector(kind=PrincipalKind.EMAIL, value=_check_email(text))
        for kind, check in ((PrincipalKind.USER, check_user_id), (PrincipalKind.USER_GROUP, check_user_group_id)):
            try:
                return PrincipalSelector(kind=kind, value=check(text))
            except InvalidInput:
                continue
        if nearly := _NEARLY_ON_CALL.fullmatch(text.strip()):
            fix = f"Write {ON_CALL_PREFIX}{nearly[1]:.80}."
            raise InvalidInput("selector", f"{text!r:.60} is not how a schedule is named", fix)
    problem = f"{text!r:.60} is not a user, a user group, a group, a schedule or an e-mail address"
    raise InvalidInput("selector", problem, _WAYS)


def fold_email(text: str | None) -> str | None:
    """An e-mail address as it is compared: A to Z become a to z. None for text that isn't ASCII, which matches nobody.

    Folding the case of other letters would make the addresses of two people equal: a long s would be an s.
    """
    return text.lower() if text and text.isascii() else None


def _check_schedule(text: str) -> str:
    name = text.removeprefix(ON_CALL_PREFIX)
    if NAME.fullmatch(name) is None:
        fix = "Write on-call: and the name of a schedule in on_call, such as on-call:primary."
        raise InvalidInput("selector", f"{text!r:.60} names no schedule", fix)
    return name


def _check_email(text: str) -> str:
    folded = fold_email(text)
    if folded is None:
        strange = next(each for each in text if not each.isascii())
        raise InvalidInput(
            "selector",
            f"the e-mail address {text!a:.60} has {strange!a}, which isn't an ASCII character, and would match nobody",
            "Type the address again with plain letters, or write the Slack user id.",
        )
    return folded


def _read(value: object) -> PrincipalSelector:
    if isinstance(value, PrincipalSelector):
        return value
    try:
        return parse_selector(value)
    except InvalidInput as error:
        raise mistake(error.problem, error.fix) from error


class Match(NamedTuple):
    """Whether a person is among some selectors: yes by `selector`; not known without `needs`; otherwise no.

    `duty` is what a schedule said, where that is what made it a yes.
    """

    selector: PrincipalSelector | None = None
    needs: frozenset[Need] = frozenset()
    duty: Duty | None = None


class People(BaseModel):
    """Finds who is meant: the groups of the policy, and whether e-mail addresses count.

    `same_person` has the sets of ids that belong to one person each; `sources` says what to call the source of each
    schedule, such as PagerDuty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: Mapping[str, tuple[PrincipalSelector, ...]] = {}
    is_email_trusted: bool = False
    same_person: tuple[tuple[UserId, ...], ...] = ()
    sources: Mapping[OnCallName, str] = {}

    def ids_of(self, user_id: UserId) -> tuple[UserId, ...]:
        """Every id of the person who has this one: in the order of the file, so that the first one stands for all."""
        return next((ids for ids in self.same_person if user_id in ids), (user_id,))

    def find(
        self,
        actor: Actor,
        selectors: tuple[PrincipalSelector, ...],
        *,
        for_approving: bool = False,
        later: datetime | None = None,
    ) -> Match:
        """Whether the person is among those whom the selectors name.

        What is known decides first; a user group or a schedule is only needed when nothing that is known names the
        person. `for_approving`: a schedule's last answer holds longer, and the last shift a little. `later`: only a
        shift that is on then, too, counts.
        """
        needs: set[Need] = set()
        for selector in selectors:
            for leaf in self._members(selector):
                duty = actor.on_call(on_call_name(leaf.value)) if leaf.kind is PrincipalKind.ON_CALL else None
                is_named = self._is_named(actor, leaf, duty, for_approving=for_approving)
                if is_named and duty is not None and later is not None and not duty.lasts_until(later):
                    continue
                if is_named:
                    return Match(selector, duty=duty)
                if is_named is None:
                    needs.add(_need_of(leaf))
        return Match(needs=frozenset(needs))

    def leaves(self, selectors: tuple[PrincipalSelector, ...]) -> frozenset[PrincipalSelector]:
        """The selectors with each group replaced by its members. A group that does not exist has none."""
        found: set[PrincipalSelector] = set()
        for each in selectors:
            found |= set(self._members(each))
        return frozenset(found)

    def describe_unknown(self, user_id: UserId, needs: Collection[Need]) -> str:
        """Who couldn't say what about this person, in words: Slack about user groups, a source about its schedules."""
        groups = sorted(each for each in needs if not is_on_call_name(each))
        said = [f"Slack couldn't say whether {user_id} is in {' or '.join(groups)}"] if groups else []
        by_source: dict[str, list[str]] = {}
        for each in sorted(needs):
            if is_on_call_name(each):
                name = OnCallName(each)
                by_source.setdefault(self.sources.get(name, "nothing"), []).append(schedule_of(name))
        for source, schedules in sorted(by_source.items()):
            subject = f"{source} couldn't say" if source != "nothing" else "nobody could say"
            said.append(f"{subject} who is on call in {' or '.join(schedules)}")
        return " and ".join(said)

    def _members(self, selector: PrincipalSelector) -> Iterator[PrincipalSelector]:
        # Groups do not nest, and a file in which they do is refused, so a group's members are checked directly.
        if selector.kind is PrincipalKind.GROUP:
            yield from self.groups.get(selector.value, ())
        else:
            yield selector

    def _is_named(
        self, actor: Actor, selector: PrincipalSelector, duty: Duty | None, *, for_approving: bool
    ) -> bool | None:
        match selector.kind:
            case PrincipalKind.USER:
                return actor.id == UserId(selector.value)
            case PrincipalKind.USER_GROUP:
                return actor.is_in(UserGroupId(selector.value))
            case PrincipalKind.EMAIL:
                return self.is_email_trusted and fold_email(actor.email) == selector.value
            case PrincipalKind.ON_CALL:
                return duty.holds(for_approving=for_approving) if duty is not None else None
            case PrincipalKind.GROUP:
                return False


def _need_of(leaf: PrincipalSelector) -> Need:
    return on_call_name(leaf.value) if leaf.kind is PrincipalKind.ON_CALL else UserGroupId(leaf.value)


SelectorField = Annotated[
    PrincipalSelector,
    BeforeValidator(_read),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^([UW][A-Z0-9]{2,31}|S[A-Z0-9]{2,31}|group:.+|on-call:.+|[^@\s]{1,64}@[^@\s]{1,190})$",
            "description": "A Slack user id, a user group id, group:name, on-call:schedule or a trusted e-mail.",
        }
    ),
]
"""A model field that names people."""
