"""Principals: the ways in which a policy names people, and whether a person is among them.

Invariant: a person matches by what Slack confirms: their id or a user group. Whether they are in a user group can be
not known, which is neither a match nor a miss. An e-mail address matches nobody unless the operator trusts e-mail, and
then only as a whole and in ASCII, ignoring the case of A to Z.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from core.actor import Actor, UserGroupId, UserId, check_user_group_id, check_user_id
from core.errors import InvalidInput
from core.policy.document import mistake

GROUP_PREFIX: Final = "group:"
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
_WAYS: Final = "Write a Slack user id (U0AB12CD3), a user group id (S0ENGINEERS) or group:name."


class PrincipalKind(StrEnum):
    """The ways to name people."""

    USER = "user"
    USER_GROUP = "user_group"
    GROUP = "group"
    EMAIL = "email"


class PrincipalSelector(BaseModel):
    """One way to name people. `value` is the id, the e-mail address, or the group's name without `group:`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: PrincipalKind
    value: str

    def __str__(self) -> str:
        return f"{GROUP_PREFIX}{self.value}" if self.kind is PrincipalKind.GROUP else self.value


def parse_selector(text: object) -> PrincipalSelector:
    """Read `U…`, `W…`, `S…`, `group:name` or an e-mail address. Raises InvalidInput for anything else."""
    if isinstance(text, str):
        if text.startswith(GROUP_PREFIX) and len(text) > len(GROUP_PREFIX):
            return PrincipalSelector(kind=PrincipalKind.GROUP, value=text.removeprefix(GROUP_PREFIX))
        if _EMAIL.fullmatch(text):
            return PrincipalSelector(kind=PrincipalKind.EMAIL, value=_check_email(text))
        for kind, check in ((PrincipalKind.USER, check_user_id), (PrincipalKind.USER_GROUP, check_user_group_id)):
            try:
                return PrincipalSelector(kind=kind, value=check(text))
            except InvalidInput:
                continue
    raise InvalidInput("selector", f"{text!r:.60} is not a user, a user group, a group or an e-mail address", _WAYS)


def fold_email(text: str | None) -> str | None:
    """An e-mail address as it is compared: A to Z become a to z. None for text that isn't ASCII, which matches nobody.

    Folding the case of other letters would make the addresses of two people equal: a long s would be an s.
    """
    return text.lower() if text and text.isascii() else None


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
    """Whether a person is among some selectors: yes by `selector`; not known without `needs`; otherwise no."""

    selector: PrincipalSelector | None = None
    needs: frozenset[UserGroupId] = frozenset()


class People(BaseModel):
    """Finds who is meant: the groups of the policy, and whether e-mail addresses count.

    `same_person` has the sets of ids that belong to one person each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: Mapping[str, tuple[PrincipalSelector, ...]] = {}
    is_email_trusted: bool = False
    same_person: tuple[tuple[UserId, ...], ...] = ()

    def ids_of(self, user_id: UserId) -> tuple[UserId, ...]:
        """Every id of the person who has this one: in the order of the file, so that the first one stands for all."""
        return next((ids for ids in self.same_person if user_id in ids), (user_id,))

    def find(self, actor: Actor, selectors: tuple[PrincipalSelector, ...]) -> Match:
        """Whether the person is among those whom the selectors name.

        What is known decides first; a user group is only needed when nothing that is known names the person.
        """
        needs: set[UserGroupId] = set()
        for selector in selectors:
            for leaf in self._members(selector):
                is_named = self._is_named(actor, leaf)
                if is_named:
                    return Match(selector)
                if is_named is None:
                    needs.add(UserGroupId(leaf.value))
        return Match(needs=frozenset(needs))

    def leaves(self, selectors: tuple[PrincipalSelector, ...]) -> frozenset[PrincipalSelector]:
        """The selectors with each group replaced by its members. A group that does not exist has none."""
        found: set[PrincipalSelector] = set()
        for each in selectors:
            found |= set(self._members(each))
        return frozenset(found)

    def _members(self, selector: PrincipalSelector) -> Iterator[PrincipalSelector]:
        # Groups do not nest, and a file in which they do is refused, so a group's members are checked directly.
        if selector.kind is PrincipalKind.GROUP:
            yield from self.groups.get(selector.value, ())
        else:
            yield selector

    def _is_named(self, actor: Actor, selector: PrincipalSelector) -> bool | None:
        match selector.kind:
            case PrincipalKind.USER:
                return actor.id == UserId(selector.value)
            case PrincipalKind.USER_GROUP:
                return actor.is_in(UserGroupId(selector.value))
            case PrincipalKind.EMAIL:
                return self.is_email_trusted and fold_email(actor.email) == selector.value
            case PrincipalKind.GROUP:
                return False


SelectorField = Annotated[
    PrincipalSelector,
    BeforeValidator(_read),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^([UW][A-Z0-9]{2,31}|S[A-Z0-9]{2,31}|group:.+|[^@\s]{1,64}@[^@\s]{1,190})$",
            "description": "A Slack user id, a user group id, group:name, or a trusted e-mail address.",
        }
    ),
]
"""A model field that names people."""
