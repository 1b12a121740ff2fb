"""The errors that the pretend AWS answers with: AWS's own codes, statuses and words.

Invariant: no error holds a secret key or a session token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class PretendFault:
    """What goes wrong with one call. "lost": it is done and the connection drops; "error": nothing is done."""

    kind: Literal["lost", "error"]
    code: str = "Throttling"
    message: str = "Rate exceeded"
    status: int = 400


@dataclass(frozen=True, slots=True)
class PretendAnswer:
    """What goes back. `is_lost`: the connection drops instead."""

    status: int
    body: bytes
    is_lost: bool = False


class PretendAwsError(Exception):
    """An error as AWS answers it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def validation_error(*problems: str) -> PretendAwsError:
    """What the parameters break, in the words of AWS's own frameworks."""
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
    return PretendAwsError("ValidationError", f"{count}: {'; '.join(problems)}")


def invalid_parameter(message: str) -> PretendAwsError:
    """A value that its pattern allows and AWS still refuses."""
    return PretendAwsError("InvalidParameterValue", message)


def malformed_policy(message: str) -> PretendAwsError:
    """A policy that AWS can't read."""
    return PretendAwsError("MalformedPolicyDocument", message)


def access_denied(arn: str, action: str, resource: str = "", because: str = "") -> PretendAwsError:
    """A refusal in AWS's words."""
    at = f" on resource: {resource}" if resource else ""
    message = f"User: {arn} is not authorized to perform: {action}{at}{f' {because}' if because else ''}"
    return PretendAwsError("AccessDenied", message, _FORBIDDEN)


_FORBIDDEN: Final = 403
