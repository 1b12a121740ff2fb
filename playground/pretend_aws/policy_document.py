"""IAM's policy language: reading a document, and what one says about one request.

Invariant: what this can't judge as AWS does (policy variables, unknown operators) is refused when it is written, never
passed over when it is judged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from playground.pretend_aws.conditions import Conditions, Context, are_met, find_problem, is_like
from playground.pretend_aws.faults import malformed_policy

_VERSIONS: Final = frozenset({"2012-10-17", "2008-10-17"})
_ACTION: Final = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_SID: Final = re.compile(r"[A-Za-z0-9]*")
_ACCOUNT: Final = re.compile(r"\d{12}")


class PolicyKind(StrEnum):
    """What a document is for, which decides what it may say."""

    IDENTITY = "identity"
    TRUST = "trust"


class PolicyVerdict(StrEnum):
    """What documents say about one request."""

    DENIED = "denied"
    ALLOWED = "allowed"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class PolicyCall:
    """One request as policies see it. `principals`: all names that a trust policy may know the caller by."""

    action: str
    resource: str
    context: Context
    principals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyStatement:
    """One statement of a document."""

    is_allow: bool
    actions: tuple[str, ...]
    is_not_action: bool
    resources: tuple[str, ...]
    is_not_resource: bool
    principals: tuple[str, ...]
    conditions: Conditions

    def covers(self, call: PolicyCall, kind: PolicyKind) -> bool:
        """Whether the statement speaks about this request."""
        action = call.action.lower()
        names_action = any(is_like(each.lower(), action) for each in self.actions)
        if names_action == self.is_not_action:
            return False
        if kind is PolicyKind.TRUST:
            if not any(each == "*" or each in call.principals for each in self.principals):
                return False
        elif any(is_like(each, call.resource) for each in self.resources) == self.is_not_resource:
            return False
        return are_met(self.conditions, call.context)


def judge(texts: Iterable[str], call: PolicyCall, kind: PolicyKind = PolicyKind.IDENTITY) -> PolicyVerdict:
    """What these documents say together. Rule ("Policy evaluation logic"): an explicit deny wins over any allow."""
    speaking = [each for text in texts for each in read_policy(text, kind) if each.covers(call, kind)]
    if any(not each.is_allow for each in speaking):
        return PolicyVerdict.DENIED
    return PolicyVerdict.ALLOWED if speaking else PolicyVerdict.SILENT


def read_policy(text: str, kind: PolicyKind = PolicyKind.IDENTITY) -> tuple[PolicyStatement, ...]:
    """The statements of a document. Raises PretendAwsError (MalformedPolicyDocument) as AWS's grammar asks.

    Rule ("Grammar of the IAM JSON policy language"): a version that exists, statements with one effect, actions or
    NotAction; resources in identity and session policies, a principal in trust policies.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise malformed_policy("This policy contains invalid Json") from error
    if not isinstance(document, dict) or not set(document) <= {"Version", "Id", "Statement"}:
        raise malformed_policy("Syntax errors in policy.")
    if document.get("Version", "2008-10-17") not in _VERSIONS:
        raise malformed_policy("The policy must contain a valid version string")
    if "${" in text and document.get("Version") == "2012-10-17":
        raise malformed_policy("the pretend AWS knows no policy variables")
    statements = document.get("Statement")
    found = statements if isinstance(statements, list) else [statements]
    if not found:
        raise malformed_policy("Syntax errors in policy.")
    sids = [each["Sid"] for each in found if isinstance(each, dict) and each.get("Sid")]
    if len(set(sids)) < len(sids):
        raise malformed_policy("Statement IDs (SID) in a single policy must be unique.")
    return tuple(_read_statement(each, kind) for each in found)


def _read_statement(found: Any, kind: PolicyKind) -> PolicyStatement:  # noqa: ANN401 - JSON from outside.
    allowed = {"Sid", "Effect", "Action", "NotAction", "Condition"}
    allowed |= {"Principal"} if kind is PolicyKind.TRUST else {"Resource", "NotResource"}
    if not isinstance(found, dict) or not set(found) <= allowed:
        surplus = sorted(set(found) - allowed)[:1] if isinstance(found, dict) else []
        raise malformed_policy(f"Has prohibited field {surplus[0]}" if surplus else "Syntax errors in policy.")
    if found.get("Effect") not in {"Allow", "Deny"}:
        raise malformed_policy("Syntax errors in policy.")
    if not _SID.fullmatch(str(found.get("Sid", ""))):
        raise malformed_policy("Statement IDs (SID) must be alpha-numeric.")
    actions, is_not_action = _one_of(found, "Action", "NotAction")
    if not all(_ACTION.fullmatch(each) for each in actions):
        raise malformed_policy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    is_trust = kind is PolicyKind.TRUST
    resources, is_not_resource = (("*",), False) if is_trust else _one_of(found, "Resource", "NotResource")
    if not all(each == "*" or each.startswith("arn:") for each in resources):
        raise malformed_policy(f'Resource {resources[0]} must be in ARN format or "*".')
    return PolicyStatement(
        is_allow=found["Effect"] == "Allow",
        actions=actions,
        is_not_action=is_not_action,
        resources=resources,
        is_not_resource=is_not_resource,
        principals=_read_principals(found.get("Principal")) if is_trust else (),
        conditions=_read_conditions(found.get("Condition", {})),
    )


def _one_of(found: dict[str, Any], plain: str, negated: str) -> tuple[tuple[str, ...], bool]:
    if (plain in found) == (negated in found):
        raise malformed_policy(f"Policy statement must contain {plain.lower()}s.")
    return _texts(found[plain if plain in found else negated]), negated in found


def _read_principals(found: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON from outside.
    if found == "*":
        return ("*",)
    if not isinstance(found, dict) or set(found) != {"AWS"}:
        raise malformed_policy("Invalid principal in policy")
    # Rule ("AWS JSON policy elements: Principal"): an account's number is short for its root.
    return tuple(f"arn:aws:iam::{each}:root" if _ACCOUNT.fullmatch(each) else each for each in _texts(found["AWS"]))


def _read_conditions(found: Any) -> Conditions:  # noqa: ANN401 - JSON from outside.
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise malformed_policy("Syntax errors in policy.")
    conditions = tuple(
        (operator, key, _texts(values)) for operator, keys in found.items() for key, values in keys.items()
    )
    for operator, _, values in conditions:
        problem = find_problem(operator, values)
        if problem is not None:
            raise malformed_policy(problem)
    return conditions


def _texts(found: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON from outside.
    values = found if isinstance(found, list) else [found]
    written = tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in values)
    if not values or not all(isinstance(each, str | bool | int | float) for each in values):
        raise malformed_policy("Syntax errors in policy.")
    return written
