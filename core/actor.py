"""Who acts: the ids of people, user groups and profiles, and the Actor whom policy judges.

Invariant: an Actor is a person whose identity was verified before it was made. `core/` never sees anybody else, and
never takes an identity from the text of a message. A user group or a schedule about which nobody answered is neither a
yes nor a no.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, NewType, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict

from core.duty import Duty, OnCallName
from core.errors import InvalidInput

UserId = NewType("UserId", str)
"""A Slack user id, such as U0AB12CD3: stable where names and e-mail addresses are not."""
UserGroupId = NewType("UserGroupId", str)
"""A Slack user group id, such as S0ENGINEERS."""
Need: TypeAlias = UserGroupId | OnCallName
"""What has to be known about a person before a rule can judge them: a user group, or a schedule."""
ProfileName = NewType("ProfileName", str)
"""What access is asked for: an AWS profile, or any named privilege."""
ChannelId = NewType("ChannelId", str)
"""A Slack channel id, such as C0ACCESS1; D… is a conversation of two people."""
ServiceName = NewType("ServiceName", str)
"""A service that the policy names, such as `ci-deploy`: it acts for its owner, with rights of its own."""
DeciderId = NewType("DeciderId", str)
"""Who caused a change: a user id, `policy:<rule>`, `clock` or `slack`."""

CLOCK: Final = DeciderId("clock")
"""The decider of what only the passing of time did."""
OPERATOR: Final = DeciderId("operator")
"""The decider of what was done on the host: a file was changed, or a command was run. Nobody knows by whom."""
SLACK: Final = DeciderId("slack")
"""The decider of what somebody did in Slack itself, where Slack doesn't say who."""

_POLICY: Final = "policy:"
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,31}")
_USER_GROUP_ID = re.compile(r"S[A-Z0-9]{2,31}")
_CHANNEL_ID = re.compile(r"[CDG][A-Z0-9]{2,31}")
_SERVICE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@+-]{0,79}")


def by_policy(rule: str) -> DeciderId:
    """The decider of what a policy rule did automatically."""
    return DeciderId(f"{_POLICY}{rule}")


def is_person(decider: str) -> bool:
    """True when the decider is a human being, not a rule and not the clock."""
    return _USER_ID.fullmatch(decider) is not None


def is_user_group(selector: str) -> bool:
    """True when this is the id of a Slack user group."""
    return _USER_GROUP_ID.fullmatch(selector) is not None


def check_user_id(text: object, field: str = "user") -> UserId:
    """Raises InvalidInput unless the text is a Slack user id."""
    if not isinstance(text, str) or not _USER_ID.fullmatch(text):
        raise InvalidInput(field, f"{text!r:.60} is not a Slack user id", "It looks like U0AB12CD3.")
    return UserId(text)


def check_user_group_id(text: object, field: str = "user group") -> UserGroupId:
    """Raises InvalidInput unless the text is a Slack user group id."""
    if not isinstance(text, str) or not _USER_GROUP_ID.fullmatch(text):
        raise InvalidInput(field, f"{text!r:.60} is not a Slack user group id", "It looks like S0ENGINEERS.")
    return UserGroupId(text)


def check_channel_id(text: object, field: str = "channel") -> ChannelId:
    """Raises InvalidInput unless the text is a Slack channel id."""
    if not isinstance(text, str) or not _CHANNEL_ID.fullmatch(text):
        raise InvalidInput(field, f"{text!r:.60} is not a Slack channel id", "It looks like C0ACCESS1.")
    return ChannelId(text)


def check_profile_name(text: object, field: str = "profile") -> ProfileName:
    """Raises InvalidInput unless the text can name a profile: 1 to 80 of letters, digits and `._/@+-`."""
    if not isinstance(text, str) or not _PROFILE_NAME.fullmatch(text):
        raise InvalidInput(
            field,
            f"{text!r:.60} is not a profile's name",
            "Use 1 to 80 letters, digits and ._/@+-, beginning with a letter or a digit.",
        )
    return ProfileName(text)


def check_service_name(text: object, field: str = "service") -> ServiceName:
    """Raises InvalidInput unless the text can name a service: 1 to 40 small letters, digits and `._-`."""
    if not isinstance(text, str) or not _SERVICE_NAME.fullmatch(text):
        raise InvalidInput(
            field,
            f"{text!r:.60} is not a service's name",
            "Use 1 to 40 of a-z, 0-9 and ._-, beginning with a letter or a digit.",
        )
    return ServiceName(text)


def _check_decider(text: str) -> str:
    if is_person(text) or text in {CLOCK, OPERATOR, SLACK} or (text.startswith(_POLICY) and text != _POLICY):
        return text
    raise InvalidInput("decider", f"{text!r:.60} is not a user, a policy rule or the clock", "Use a Slack user id.")


ValidUserId = Annotated[UserId, AfterValidator(check_user_id)]
ValidChannelId = Annotated[ChannelId, AfterValidator(check_channel_id)]
ValidProfileName = Annotated[ProfileName, AfterValidator(check_profile_name)]
ValidServiceName = Annotated[ServiceName, AfterValidator(check_service_name)]
ValidDeciderId = Annotated[DeciderId, AfterValidator(_check_decider)]


class Actor(BaseModel):
    """A verified person, as policy judges them. `name` and `email` are for display unless an operator trusts e-mail.

    With `service`, it is not the person who acts but this service of theirs, with no right but those of the service.
    `memberships` has the user groups about which Slack answered, and whether the person is in them; `duties` has the
    schedules that answered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: ValidUserId
    name: str = ""
    email: str | None = None
    service: ValidServiceName | None = None
    memberships: Mapping[UserGroupId, bool] = {}
    duties: Mapping[OnCallName, Duty] = {}

    def is_in(self, group: UserGroupId) -> bool | None:
        """Whether the person is in this user group; None when that is not known."""
        return self.memberships.get(group)

    def on_call(self, name: OnCallName) -> Duty | None:
        """What this schedule says about the person; None when nobody answered."""
        return self.duties.get(name)

    @property
    def owner(self) -> Self:
        """The person, without the service that they act for."""
        return self if self.service is None else self.model_copy(update={"service": None})

    def with_memberships(self, answers: Mapping[UserGroupId, bool]) -> Self:
        """The same person, about whom more is known."""
        return self.model_copy(update={"memberships": {**self.memberships, **answers}})

    def with_duties(self, answers: Mapping[OnCallName, Duty]) -> Self:
        """The same person, about whose schedules more is known."""
        return self.model_copy(update={"duties": {**self.duties, **answers}})
