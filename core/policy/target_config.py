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

from core.errors import InvalidInput
from core.policy.document import PolicyModel, duration_rule, mistake
from core.targets.aws_names import FUNCTION, IDENTITY_STORE, INSTANCE, MAX_FUNCTION_LENGTH, REGION
from core.targets.web_address import check_web_address

TARGET_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
IDENTITY_CENTER: Final = "identity-center"
WEBHOOK: Final = "webhook"
LAMBDA: Final = "lambda"
DEMO: Final = "demo"
MAX_RESIDUAL: Final = timedelta(days=7)
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
Residual = Annotated[timedelta, *duration_rule(MAX_RESIDUAL)]


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


class DemoConfig(OperatorsConfig):
    """The pretended target of the playground."""

    type: Literal["demo"] = Field(description="What kind of target it is.")


TargetConfig = Annotated[IdentityCenterConfig | WebhookConfig | LambdaConfig | DemoConfig, Field(discriminator="type")]
"""A model field that configures a target."""
AnyTargetConfig = IdentityCenterConfig | WebhookConfig | LambdaConfig | DemoConfig
TARGET_MODELS: Final[dict[str, type[PolicyModel]]] = {
    IDENTITY_CENTER: IdentityCenterConfig, WEBHOOK: WebhookConfig, LAMBDA: LambdaConfig, DEMO: DemoConfig
}  # fmt: skip
