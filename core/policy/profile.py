"""What the policy file says about a profile: its channel, and the access that it gives.

Invariant: an entry of `access` is one right without its person, in one of four forms: an account with a permission
set, a group, a resource with a level, or a target alone, whose role it is. Whether its target takes that form is
checked by `access_lint`.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, StrictStr, WithJsonSchema, model_validator

from core.access.right import MAX_PART_LENGTH, Permission
from core.actor import ProfileName
from core.policy.document import PolicyModel, mistake
from core.policy.rule_fields import ChannelId
from core.policy.target_config import AnyTargetConfig, AwsRoleConfig, TargetName, matches
from core.targets.aws_names import ACCOUNT_ID, ASSUME, MEMBER, PERMISSION_SET, STORE_ID

MAX_DESCRIPTION_LENGTH: Final = 200
MAX_RIGHTS: Final = 8
"""A decision makes its grants in its own transaction, which has room for so many."""
PART: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_PART_LENGTH}}}")
FORMS: Final = "account and permission_set, or group, or resource and level"
_PARTS: Final = ("account", "permission_set", "group", "resource", "level")

_Account = Annotated[
    StrictStr,
    matches(ACCOUNT_ID, "is not an AWS account id", 'Write its 12 digits in quotes: "111122223333".'),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{12}$"}),
]
_PermissionSet = Annotated[
    StrictStr,
    matches(
        PERMISSION_SET,
        "is not the ARN of a permission set",
        "Copy it from the Identity Center console; it looks like arn:aws:sso:::permissionSet/ssoins-…/ps-….",
    ),
    WithJsonSchema({"type": "string", "pattern": f"^({PERMISSION_SET.pattern})$"}),
]
_Group = Annotated[
    StrictStr,
    matches(
        STORE_ID,
        "is not the id of a group in Identity Center",
        "Copy the group id from the Identity Center console; a group's name can't be used.",
    ),
    WithJsonSchema({"type": "string", "pattern": f"^({STORE_ID.pattern})$"}),
]
_Part = Annotated[
    StrictStr,
    matches(PART, "cannot be part of a right", f"Use 1 to {MAX_PART_LENGTH} visible ASCII characters without spaces."),
    WithJsonSchema({"type": "string", "pattern": rf"^[!-~]{{1,{MAX_PART_LENGTH}}}$"}),
]


class AccessEntry(PolicyModel):
    """One right that a profile gives."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["account", "permission_set"]}, {"required": ["group"]},
                      {"required": ["resource", "level"]},
                      {"properties": dict.fromkeys(_PARTS, False)}]
        }
    )  # fmt: skip

    target: TargetName = Field(description="One of `targets`.")
    account: _Account | None = Field(default=None, description="The AWS account, with permission_set.")
    permission_set: _PermissionSet | None = Field(default=None, description="The ARN of the permission set.")
    group: _Group | None = Field(default=None, description="The id of a group in Identity Center.")
    resource: _Part | None = Field(default=None, description="What is accessed, as the target calls it; with level.")
    level: _Part | None = Field(default=None, description="The level of access, as the target calls it.")

    def permission_at(self, config: AnyTargetConfig | None) -> Permission:
        """The same as a right without its principal, where its target is configured like this."""
        if isinstance(config, AwsRoleConfig):
            return Permission(target=self.target, resource=config.role, level=ASSUME)
        if self.account is not None and self.permission_set is not None:
            return Permission(target=self.target, resource=self.account, level=self.permission_set)
        if self.group is not None:
            return Permission(target=self.target, resource=self.group, level=MEMBER)
        return Permission(target=self.target, resource=self.resource or "", level=self.level or "")

    @property
    def is_aws(self) -> bool:
        """True when it has a form of Identity Center."""
        return self.account is not None or self.group is not None

    @property
    def is_target_alone(self) -> bool:
        """True when it names nothing besides its target."""
        return not any(getattr(self, name) for name in _PARTS)

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        given = {name for name in _PARTS if getattr(self, name)}
        if given not in ({"account", "permission_set"}, {"group"}, {"resource", "level"}, set()):
            raise mistake("this doesn't say what is given, in one way", f"Besides target, write {FORMS}.")
        return self


class ProfileModel(PolicyModel):
    """What the file says about a profile."""

    description: StrictStr = Field(
        default="", max_length=MAX_DESCRIPTION_LENGTH, description="One line for people who choose a profile."
    )
    channel: ChannelId = Field(description="The Slack channel in which its requests are decided.")
    access: tuple[AccessEntry, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_RIGHTS,
        description=f"What it gives, up to {MAX_RIGHTS} rights. Left out: a decision only, which people carry out.",
    )


class Profile(ProfileModel):
    """A profile that people can request."""

    name: ProfileName
