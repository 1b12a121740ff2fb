"""The panel "AWS (pretend)": what the page shows of it, and what somebody may do there past Countersign.

Invariant: the page can only add what the playground's people and accounts have names for, and only remove what is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from core.access.holding import OperationKind
from core.access.right import Right, ValidRight, right_key
from core.clock import format_time
from localslack.records import Json
from localslack.refusals import NotOnScreen
from playground.demo_state import DemoAssignment, DemoState
from playground.demo_target import DemoTarget
from playground.people import PEOPLE

TARGET: Final = "aws"
"""What the playground's policy calls the pretend AWS."""


@dataclass(frozen=True, slots=True)
class DemoPermission:
    """A permission set in an account that the policy gives access to."""

    account: str
    account_name: str
    permission: str

    def of(self, principal: str) -> Right:
        """This permission for somebody."""
        return Right(target=TARGET, resource=self.account, level=self.permission, principal=principal)


PERMISSIONS: Final = (
    DemoPermission("111122223333", "Production", "AdministratorAccess"),
    DemoPermission("444455556666", "Staging", "PowerUserAccess"),
    DemoPermission("111122223333", "Production", "CheckoutOperator"),
)
_ACCOUNT_NAMES: Final = {each.account: each.account_name for each in PERMISSIONS}
_PEOPLE: Final = frozenset(each.person.id for each in PEOPLE)


class _AwsRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SwitchOutage(_AwsRequest):
    """Begin or end the outage."""

    do: Literal["outage"]
    is_out: bool


class AddByHand(_AwsRequest):
    """Give a permission to somebody, as an administrator of AWS could."""

    do: Literal["add"]
    person: str
    account: str
    permission: str


class RemoveByHand(_AwsRequest):
    """Take a right that is held, as an administrator of AWS could."""

    do: Literal["remove"]
    right: ValidRight


AwsRequest: TypeAlias = Annotated[SwitchOutage | AddByHand | RemoveByHand, Field(discriminator="do")]
_AWS_REQUEST: TypeAdapter[AwsRequest] = TypeAdapter(AwsRequest)


def carry_out(aws: DemoTarget, body: object) -> Json:
    """Do what the page asks. Raises NotOnScreen for what isn't there, and pydantic's ValidationError."""
    match _AWS_REQUEST.validate_python(body):
        case SwitchOutage(is_out=is_out):
            aws.switch_outage(is_out=is_out)
        case AddByHand() as asked:
            if asked.person not in _PEOPLE:
                raise NotOnScreen("there is nobody with this id")
            aws.add_by_hand(_find_permission(asked).of(asked.person))
        case RemoveByHand(right=right):
            if aws.state.find(right) is None:
                raise NotOnScreen("nobody holds this any more")
            aws.remove_by_hand(right)
    return show_aws(aws.state)


def show_aws(state: DemoState) -> Json:
    """The pretend AWS as the page shows it."""
    changes = {each.right: each.kind for each in state.under_way}
    coming = [each.right for each in state.under_way if each.kind is OperationKind.GIVE and not state.find(each.right)]
    held = [_show_held(each, changes.get(each.right)) for each in state.assignments]
    return {
        "is_out": state.is_out,
        "permissions": [
            {"account": each.account, "account_name": each.account_name, "permission": each.permission}
            for each in PERMISSIONS
        ],
        "held": [*held, *({**_show_right(right), "change": OperationKind.GIVE} for right in coming)],
        "happened": [
            {
                "at": format_time(each.at),
                "kind": each.kind,
                "is_by_hand": each.is_by_hand,
                "right": _show_right(each.right) if each.right is not None else None,
            }
            for each in state.happened
        ],
    }


def _show_held(assignment: DemoAssignment, change: OperationKind | None) -> Json:
    since = format_time(assignment.since)
    return {**_show_right(assignment.right), "since": since, "is_by_hand": assignment.is_by_hand, "change": change}


def _show_right(right: Right) -> Json:
    account = right.resource
    return {
        "right": right_key(right),
        "account": account,
        "account_name": _ACCOUNT_NAMES.get(account, account),
        "permission": right.level.rpartition("/")[2],
        "principal": right.principal,
    }


def _find_permission(asked: AddByHand) -> DemoPermission:
    for each in PERMISSIONS:
        if (each.account, each.permission) == (asked.account, asked.permission):
            return each
    raise NotOnScreen("this account has no such permission")
