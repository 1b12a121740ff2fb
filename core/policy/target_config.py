"""What the policy file says about targets: where access is given, and with which secret.

Invariant: the file never contains a secret. It names a variable or a file instead, and no error quotes what was
written in the place of one.
"""

from __future__ import annotations

import re
from datetime import timedelta
from re import Pattern
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from core.duration import format_duration
from core.errors import InvalidInput
from core.policy.document import PolicyModel, duration_rule, mistake
from core.targets.aws_names import (
    EXTERNAL_ID,
    FUNCTION,
    IDENTITY_STORE,
    INSTANCE,
    MAX_FUNCTION_LENGTH,
    MAX_ROLE_LENGTH,
    REGION,
    ROLE,
)
from core.targets.web_address import check_web_address

TARGET_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
IDENTITY_CENTER: Final = "identity-center"
WEBHOOK: Final = "webhook"
LAMBDA: Final = "lambda"
AWS_ROLE: Final = "aws-role"
DEMO: Final = "demo"
MAX_RESIDUAL: Final = timedelta(days=7)
MIN_LEASE: Final = timedelta(minutes=16)
"""An SDK of AWS that is handed credentials with less than 15 minutes left asks anew for every call."""
MAX_LEASE: Final = timedelta(hours=1)
"""A role that assumes another one gets an hour at most, and Countersign runs as a role."""
_OF_IDENTITY_CENTER: Final = ":role/aws-reserved/"
_SECRET_SOURCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:/[\x21-\x7e]{1,500}")
_MAX_ADDRESS_LENGTH: Final = 1000


def matches(pattern: Pattern[str], problem: str, fix: str) -> AfterValidator:
    """A validator for text that has to match the whole pattern. The problem follows the quoted text."""

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise mistake(f"{text!r:.80} {problem}", fix)
        return text

    return AfterValidator(check)


def _check_secret_source(text: str) -> str:
    if not _SECRET_SOURCE.fullmatch(text):
        # What stands here may well be the secret.
        raise mistake(
            "this doesn't say where the secret is",
            "Write env:NAME for a variable, or file:/path for a file; keep the secret itself out of the policy.",
        )
    return text


def _check_address(text: str) -> str:
    if _SECRET_SOURCE.fullmatch(text):
        return text
    try:
        check_web_address(text)
    except InvalidInput as error:
        raise _plain(error) from error
    if "?" in text or len(text) > _MAX_ADDRESS_LENGTH:
        raise mistake(
            "this address has a query or is very long, and so may contain a secret",
            "Put the address into a variable or a file, and write env:NAME or file:/path here.",
        )
    return text


def _check_portal(text: str) -> str:
    try:
        check_web_address(text)
    except InvalidInput as error:
        raise _plain(error) from error
    if not text.startswith("https://") or len(text) > _MAX_ADDRESS_LENGTH or re.search(r"[|<>\s]", text):
        raise mistake("this can't be a link", "Write it like https://d-1234567890.awsapps.com/start.")
    return text


def _check_role(text: str) -> str:
    if _OF_IDENTITY_CENTER in text:
        raise mistake(
            "this role belongs to Identity Center, and nobody can edit it to end access early",
            "Use a role of your own here, or an identity-center target.",
        )
    return text


def _check_lease(lease: timedelta) -> timedelta:
    if lease < MIN_LEASE:
        raise mistake(
            f"{format_duration(lease)} is shorter than {format_duration(MIN_LEASE)}, and with less than 15 minutes "
            "left an SDK of AWS asks for credentials at every call",
            f"Write {format_duration(MIN_LEASE)} to {format_duration(MAX_LEASE)}.",
        )
    return lease


def _plain(error: InvalidInput) -> PydanticCustomError:
    return mistake(error.problem, error.fix)


_REGION_FIX: Final = "Write it like eu-west-1."
Region = Annotated[
    StrictStr,
    matches(REGION, "is not an AWS region", _REGION_FIX),
    WithJsonSchema({"type": "string", "pattern": f"^({REGION.pattern})$"}),
]
InstanceArn = Annotated[
    StrictStr,
    matches(
        INSTANCE,
        "is not the ARN of an Identity Center instance",
        "Copy it from Settings in the Identity Center console; it looks like arn:aws:sso:::instance/ssoins-….",
    ),
    WithJsonSchema({"type": "string", "pattern": f"^({INSTANCE.pattern})$"}),
]
IdentityStoreId = Annotated[
    StrictStr,
    matches(
        IDENTITY_STORE,
        "is not the id of an identity store",
        "Copy it from Settings in the Identity Center console; it looks like d-1234567890.",
    ),
    WithJsonSchema({"type": "string", "pattern": f"^({IDENTITY_STORE.pattern})$"}),
]
FunctionName = Annotated[
    StrictStr,
    matches(
        FUNCTION, "is not the name or ARN of a Lambda function", "Copy the function's name or ARN from the console."
    ),
    Field(max_length=MAX_FUNCTION_LENGTH),
    WithJsonSchema({"type": "string", "maxLength": MAX_FUNCTION_LENGTH, "pattern": f"^({FUNCTION.pattern})$"}),
]
SecretSource = Annotated[
    StrictStr,
    AfterValidator(_check_secret_source),
    WithJsonSchema({"type": "string", "pattern": f"^({_SECRET_SOURCE.pattern})$"}),
]
Address = Annotated[
    StrictStr,
    AfterValidator(_check_address),
    WithJsonSchema({"type": "string", "pattern": r"^(https?://|env:|file:/)[^\s?]+$"}),
]
PortalAddress = Annotated[
    StrictStr,
    AfterValidator(_check_portal),
    WithJsonSchema({"type": "string", "pattern": r"^https://[^\s|<>]+$"}),
]
TargetName = Annotated[
    StrictStr,
    matches(TARGET_NAME, "can't be a target's name", "Use 1 to 64 letters, digits and ._- in it."),
    WithJsonSchema({"type": "string", "pattern": f"^{TARGET_NAME.pattern}$"}),
]
RoleArn = Annotated[
    StrictStr,
    matches(
        ROLE,
        "is not the ARN of a role",
        "Copy it from the IAM console; it looks like arn:aws:iam::111122223333:role/….",
    ),
    AfterValidator(_check_role),
    Field(max_length=MAX_ROLE_LENGTH),
    WithJsonSchema({"type": "string", "maxLength": MAX_ROLE_LENGTH, "pattern": f"^({ROLE.pattern})$"}),
]
ExternalId = Annotated[
    StrictStr,
    matches(EXTERNAL_ID, "can't be an external id", "Use 2 to 1224 letters, digits and _+=,.@:/- in it."),
    WithJsonSchema({"type": "string", "pattern": f"^{EXTERNAL_ID.pattern}$"}),
]
Residual = Annotated[timedelta, *duration_rule(MAX_RESIDUAL)]
Lease = Annotated[timedelta, *duration_rule(MAX_LEASE), AfterValidator(_check_lease)]


class IdentityCenterConfig(PolicyModel):
    """An instance of AWS IAM Identity Center."""

    type: Literal["identity-center"] = Field(description="What kind of target it is.")
    region: Region = Field(description="The instance's home region.")
    instance: InstanceArn = Field(description="The instance's ARN.")
    identity_store: IdentityStoreId = Field(description="The id of the directory behind the instance.")
    portal: PortalAddress | None = Field(default=None, description="The AWS access portal, for a link on cards.")


class OperatorsConfig(PolicyModel):
    """What operators say of a target of their own making."""

    ends_sessions: StrictBool = Field(
        default=False, description="Left out: false. True: taking a right also ends the sessions that it opened."
    )
    residual: Residual | None = Field(
        default=None, description="How long a session that is open can outlive a revoke. Left out: not at all."
    )
    portal: PortalAddress | None = Field(default=None, description="Where people use it, for a link on cards.")


class WebhookConfig(OperatorsConfig):
    """A receiver of signed orders."""

    type: Literal["webhook"] = Field(description="What kind of target it is.")
    url: Address = Field(description="Where orders are sent: https://…, or env:NAME or file:/path if it's a secret.")
    secret: SecretSource = Field(description="Where the secret is: env:NAME or file:/path. Never the secret itself.")


class LambdaConfig(OperatorsConfig):
    """A Lambda function that takes orders."""

    type: Literal["lambda"] = Field(description="What kind of target it is.")
    region: Region = Field(description="The function's region.")
    function: FunctionName = Field(description="The function's name or ARN.")


class AwsRoleConfig(PolicyModel):
    """A role in an AWS account that people get credentials for."""

    type: Literal["aws-role"] = Field(description="What kind of target it is.")
    role: RoleArn = Field(description="The role's ARN.")
    region: Region = Field(description="The region whose STS is asked for credentials.")
    lease: Lease = Field(
        default=MAX_LEASE,
        description="How long credentials live before they have to be fetched again, 16m to 1h. Left out: 1h. "
        "Rights end with the access, whatever the lease.",
    )
    external_id: ExternalId | None = Field(
        default=None, description="What the trust policies of the role and the revoker ask for, beside who calls."
    )
    revoker: RoleArn | None = Field(
        default=None,
        description="A role that may edit the inline policies of this one, to end access early. Needed when the role "
        "is in another account than Countersign.",
    )
    portal: PortalAddress | None = Field(default=None, description="Where people read how to use it.")


class DemoConfig(OperatorsConfig):
    """The pretended target of the playground."""

    type: Literal["demo"] = Field(description="What kind of target it is.")


AnyTargetConfig = IdentityCenterConfig | WebhookConfig | LambdaConfig | AwsRoleConfig | DemoConfig
TargetConfig = Annotated[AnyTargetConfig, Field(discriminator="type")]
"""A model field that configures a target."""
TARGET_MODELS: Final[dict[str, type[PolicyModel]]] = {
    IDENTITY_CENTER: IdentityCenterConfig, WEBHOOK: WebhookConfig, LAMBDA: LambdaConfig, AWS_ROLE: AwsRoleConfig,
    DEMO: DemoConfig,
}  # fmt: skip
