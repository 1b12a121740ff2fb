"""Principals: the ways in which a policy names people, and whether a person is among them.

Invariant: a person matches by what Slack confirms: their id or a user group. An e-mail address matches nobody unless
the operator trusts e-mail, and then only as a whole, ignoring case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

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
            return PrincipalSelector(kind=PrincipalKind.EMAIL, value=text.casefold())
        for kind, check in ((PrincipalKind.USER, check_user_id), (PrincipalKind.USER_GROUP, check_user_group_id)):
            try:
                return PrincipalSelector(kind=kind, value=check(text))
            except InvalidInput:
                continue
    raise InvalidInput("selector", f"{text!r:.60} is not a user, a user group, a group or an e-mail address", _WAYS)


def _read(value: object) -> PrincipalSelector:
    if isinstance(value, PrincipalSelector):
        return value
    try:
        return parse_selector(value)
    except InvalidInput as error:
        raise mistake(error.problem, error.fix) from error


class People(BaseModel):
    """Finds who is meant: the groups of the policy, and whether e-mail addresses count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: Mapping[str, tuple[PrincipalSelector, ...]] = {}
    is_email_trusted: bool = False

    def find(self, actor: Actor, selectors: tuple[PrincipalSelector, ...]) -> PrincipalSelector | None:
        """The first selector that this person matches, or None."""
        return next((each for each in selectors if self._is_among(actor, each)), None)

    def leaves(self, selectors: tuple[PrincipalSelector, ...]) -> frozenset[PrincipalSelector]:
        """The selectors with each group replaced by its members. A group that does not exist has none."""
        found: set[PrincipalSelector] = set()
        for each in selectors:
            found |= set(self.groups.get(each.value, ())) if each.kind is PrincipalKind.GROUP else {each}
        return frozenset(found)

    def _is_among(self, actor: Actor, selector: PrincipalSelector) -> bool:
        # Groups do not nest, and a file in which they do is refused, so a group's members are checked directly.
        members = self.groups.get(selector.value, ()) if selector.kind is PrincipalKind.GROUP else (selector,)
        return any(self._is_named(actor, member) for member in members)

    def _is_named(self, actor: Actor, selector: PrincipalSelector) -> bool:
        match selector.kind:
            case PrincipalKind.USER:
                return actor.id == UserId(selector.value)
            case PrincipalKind.USER_GROUP:
                return UserGroupId(selector.value) in actor.user_groups
            case PrincipalKind.EMAIL:
                return self.is_email_trusted and (actor.email or "").casefold() == selector.value
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
