"""The pretend STS: AssumeRole and GetCallerIdentity.

Invariant: credentials are issued only where the trust policy and the caller's own policies allow each of the actions
that the call asks for, and never for longer than AWS would. Rules are AWS's; where none is documented, it says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from playground.pretend_aws.authorization import PretendRequest
from playground.pretend_aws.faults import PretendAwsError, access_denied, invalid_parameter, validation_error
from playground.pretend_aws.packed_size import check_packed_size
from playground.pretend_aws.policy_document import PolicyCall, PolicyKind, PolicyVerdict, judge, read_policy
from playground.pretend_aws.query_protocol import Parameters
from playground.pretend_aws.state import AwsKeys, PretendCaller, PretendRole, new_keys

_ROLE_ARN: Final = re.compile(r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)
_DEFAULT_SECONDS: Final = 3600
_CHAINED_SECONDS: Final = 3600
_MAX_SESSION_POLICY: Final = 2048
_UNSUPPORTED: Final = ("PolicyArns", "SerialNumber", "TokenCode", "ProvidedContexts")


@dataclass(frozen=True, slots=True)
class AskedRoleSession:
    """What an AssumeRole asks for, with what the caller's own session carries on."""

    name: str
    seconds: int
    source_identity: str | None
    tags: dict[str, str]
    new_tags: dict[str, str]
    transitive: tuple[str, ...]
    new_transitive: tuple[str, ...]
    policy: str | None
    external_id: str | None


def get_caller_identity(request: PretendRequest, _: Parameters) -> Parameters:
    """Rule (GetCallerIdentity): no permissions are needed, and no policy can deny it."""
    return {"UserId": request.caller.user_id, "Account": request.caller.account, "Arn": request.caller.arn}


def assume_role(request: PretendRequest, given: Parameters) -> Parameters:
    """Issue credentials of a role. Raises PretendAwsError."""
    caller, now = request.caller, request.now
    session = _read_session(caller, given)
    role = _find_role(request, given["RoleArn"])
    _check_allowed(request, role, session)
    _check_duration(caller, role, session.seconds)
    packed = check_packed_size(session.policy, session.tags)
    keys = new_keys(is_temporary=True)
    arn = f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{session.name}"
    issued = PretendCaller(
        keys=keys,
        arn=arn,
        user_id=f"{role.id}:{session.name}",
        role=role.arn,
        session_name=session.name,
        session_policy=session.policy,
        source_identity=session.source_identity,
        tags=session.tags,
        transitive=session.transitive,
        issued_at=now.replace(microsecond=0),
        expires_at=now.replace(microsecond=0) + timedelta(seconds=session.seconds),
    )
    request.cloud.add_caller(issued, now)
    answer: Parameters = {
        "Credentials": _show(keys, issued),
        "AssumedRoleUser": {"AssumedRoleId": issued.user_id, "Arn": arn},
    }
    # Rule (service model): the answer names a packed size only where a policy or tags were passed.
    answer |= {"PackedPolicySize": packed} if packed else {}
    return answer | ({"SourceIdentity": session.source_identity} if session.source_identity else {})


def _show(keys: AwsKeys, issued: PretendCaller) -> Parameters:
    return {
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_access_key,
        "SessionToken": keys.session_token,
        "Expiration": issued.expires_at,
    }


def _read_session(caller: PretendCaller, given: Parameters) -> AskedRoleSession:
    unsupported = [each for each in _UNSUPPORTED if each in given]
    if unsupported:
        raise PretendAwsError("NotImplemented", f"the pretend AWS knows no {unsupported[0]}", 501)
    new_tags, new_transitive = _read_tags(caller, given)
    return AskedRoleSession(
        name=given["RoleSessionName"],
        seconds=given.get("DurationSeconds", _DEFAULT_SECONDS),
        source_identity=_read_source_identity(caller, given),
        # Rule ("Role chaining with session tags"): only transitive tags go on to the next session.
        tags={key: value for key, value in caller.tags.items() if key in caller.transitive} | new_tags,
        new_tags=new_tags,
        transitive=(*caller.transitive, *new_transitive),
        new_transitive=new_transitive,
        policy=_read_session_policy(given.get("Policy")),
        external_id=given.get("ExternalId"),
    )


def _read_source_identity(caller: PretendCaller, given: Parameters) -> str | None:
    asked: str | None = given.get("SourceIdentity")
    # Rule (AssumeRole, SourceIdentity): it can't begin with `aws:`. Its pattern has no colon at all.
    if asked is not None and asked.lower().startswith("aws:"):
        raise validation_error("Value at 'sourceIdentity' can't begin with aws:")
    # Rule ("Monitor and control actions taken with assumed roles"): once set, it can't change. The code is unverified.
    if caller.source_identity is not None and asked is not None and asked != caller.source_identity:
        raise access_denied(caller.arn, "sts:SetSourceIdentity", given["RoleArn"])
    return asked or caller.source_identity


def _read_tags(caller: PretendCaller, given: Parameters) -> tuple[dict[str, str], tuple[str, ...]]:
    tags = [(each["Key"], each["Value"]) for each in given.get("Tags", [])]
    lowered = [key.lower() for key, _ in tags]
    # Rule (AssumeRole, Tags): keys differ by more than their case.
    if len(set(lowered)) < len(lowered):
        raise invalid_parameter("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    # Rule ("Passing session tags"): `aws:` is AWS's own prefix.
    if any(key.startswith("aws:") for key in lowered):
        raise invalid_parameter("Tag keys can't begin with aws:")
    # Rule (AssumeRole, Tags): a transitive tag that was inherited can't be passed again. The code is unverified.
    inherited = {key.lower() for key in caller.transitive}
    if inherited & set(lowered):
        raise invalid_parameter("One of the specified transitive tag keys can't be set because it conflicts.")
    transitive = tuple(given.get("TransitiveTagKeys", []))
    # Rule ("Role chaining with session tags"): what is transitive is one of the tags. The code is unverified.
    if not {key.lower() for key in transitive} <= set(lowered):
        raise invalid_parameter("The specified transitive tag key must be included in the requested tags.")
    return dict(tags), transitive


def _read_session_policy(text: str | None) -> str | None:
    # Rule (AssumeRole, Policy): at most 2,048 characters in plain text, in IAM's policy language.
    if text is not None and len(text) > _MAX_SESSION_POLICY:
        raise validation_error(
            f"Value '{text}' at 'policy' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_MAX_SESSION_POLICY}"
        )
    if text is not None:
        read_policy(text)
    return text


def _find_role(request: PretendRequest, arn: str) -> PretendRole:
    if not _ROLE_ARN.fullmatch(arn):
        raise validation_error(f"{arn} is invalid")
    role = request.cloud.roles.get(arn)
    # Rule: STS doesn't say whether a role exists.
    if role is None:
        raise access_denied(request.caller.arn, "sts:AssumeRole", arn)
    return role


def _check_allowed(request: PretendRequest, role: PretendRole, session: AskedRoleSession) -> None:
    """Each action needs the trust policy *and* the caller's policies, as between accounts.

    Stricter than AWS within one account, where naming the caller in the trust policy is enough.
    """
    more: dict[str, str | tuple[str, ...]] = {"sts:RoleSessionName": session.name}
    more |= {"sts:ExternalId": session.external_id} if session.external_id else {}
    more |= {"sts:SourceIdentity": session.source_identity} if session.source_identity else {}
    more |= {f"aws:RequestTag/{key}": value for key, value in session.new_tags.items()}
    more |= {"aws:TagKeys": tuple(session.new_tags)} if session.new_tags else {}
    more |= {"sts:TransitiveTagKeys": session.new_transitive} if session.new_transitive else {}
    actions = ["sts:AssumeRole"]
    # Rule: also a session that only carries a source identity on needs sts:SetSourceIdentity.
    actions += ["sts:SetSourceIdentity"] if session.source_identity else []
    # Rule ("Permissions required to add session tags"); carried tags need it too.
    actions += ["sts:TagSession"] if session.tags else []
    caller = request.caller
    principals = (caller.arn, f"arn:aws:iam::{caller.account}:root", *([caller.role] if caller.role else []))
    for action in actions:
        call = PolicyCall(action, role.arn, request.context(**more), principals)
        if judge([role.trust], call, PolicyKind.TRUST) is not PolicyVerdict.ALLOWED:
            raise access_denied(caller.arn, action, role.arn)
        try:
            request.check(action, role.arn, **more)
        except PretendAwsError as error:
            # AWS gives no reason for a role of another account.
            raise access_denied(caller.arn, action, role.arn) from error


def _check_duration(caller: PretendCaller, role: PretendRole, seconds: int) -> None:
    # Rule ("Role chaining"): a session of a role gets an hour at most, whatever the next role allows.
    if caller.role is not None and seconds > _CHAINED_SECONDS:
        raise PretendAwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    # Rule (AssumeRole, DurationSeconds): at most the role's own MaxSessionDuration.
    if seconds > role.max_session_seconds:
        raise PretendAwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )
