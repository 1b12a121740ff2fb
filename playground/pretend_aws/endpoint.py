"""One HTTP request to the pretend AWS, from its signature to its answer and its line in the trail.

Invariant: what fails changes nothing, and every call of a known caller is in the trail. No secret is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from playground.pretend_aws import iam, sts
from playground.pretend_aws.authorization import PretendRequest
from playground.pretend_aws.faults import PretendAnswer, PretendAwsError, PretendFault
from playground.pretend_aws.query_protocol import (
    Parameters,
    find_operation,
    read_form,
    read_parameters,
    render,
    render_error,
    render_s3_error,
)
from playground.pretend_aws.signature import authenticate
from playground.pretend_aws.signed_call import SignedCall
from playground.pretend_aws.state import PretendCloud, TrailEvent
from playground.pretend_aws.workload import list_buckets

_Operation = Callable[[PretendRequest, Parameters], Parameters]
_OPERATIONS: Final[dict[str, dict[str, _Operation]]] = {
    "sts": {"AssumeRole": sts.assume_role, "GetCallerIdentity": sts.get_caller_identity},
    "iam": {
        "PutRolePolicy": iam.put_role_policy,
        "GetRolePolicy": iam.get_role_policy,
        "ListRolePolicies": iam.list_role_policies,
        "DeleteRolePolicy": iam.delete_role_policy,
        "GetRole": iam.get_role,
    },
}


def _name_operation(signed: SignedCall) -> str:
    # As CloudTrail names it.
    if signed.service == "s3":
        return "ListBuckets"
    return read_form(signed.body).get("Action", "")


def handle(
    signed: SignedCall, cloud: PretendCloud, now: datetime, delay: timedelta, faults: Mapping[str, deque[PretendFault]]
) -> PretendAnswer:
    """Answer one request. The next of `faults` under its operation's name happens to it, and is taken out."""
    service = "sts"
    try:
        service = signed.service
        caller = authenticate(signed, cloud, now)
    except PretendAwsError as error:
        return _answer_error(error, service)
    waiting = faults.get(_name_operation(signed))
    request = PretendRequest(caller, cloud, now, signed.region, delay)
    return _answer(signed, request, waiting.popleft() if waiting else None)


def _answer(signed: SignedCall, request: PretendRequest, fault: PretendFault | None) -> PretendAnswer:
    name, service = _name_operation(signed), signed.service
    if fault is not None and fault.kind == "error":
        return _answer_error(PretendAwsError(fault.code, fault.message, fault.status), service)
    given: Parameters = {}
    try:
        if service == "s3":
            body, result = _answer_s3(signed, request), Parameters()
        else:
            form = read_form(signed.body)
            operation = find_operation(service, name, form.get("Version", ""))
            given = read_parameters(operation, form)
            result = _find(service, name)(request, given)
            body = render(operation, result)
    except PretendAwsError as error:
        request.cloud.record(_event(request, service, name, given, {}, error))
        return _answer_error(error, service)
    request.cloud.record(_event(request, service, name, given, result, None))
    return PretendAnswer(200, body, is_lost=fault is not None)


def _answer_error(error: PretendAwsError, service: str) -> PretendAnswer:
    return PretendAnswer(error.status, render_s3_error(error) if service == "s3" else render_error(error))


def _find(service: str, name: str) -> _Operation:
    known = _OPERATIONS.get(service, {}).get(name)
    if known is None:
        raise PretendAwsError("NotImplemented", f"The pretend AWS has no {service}:{name}", 501)
    return known


def _answer_s3(signed: SignedCall, request: PretendRequest) -> bytes:
    path = signed.url.partition("//")[2].partition("/")[2].partition("?")[0]
    if signed.method != "GET" or path:
        raise PretendAwsError("NotImplemented", "The pretend AWS only lists buckets.", 501)
    return list_buckets(request)


def _event(
    request: PretendRequest,
    service: str,
    name: str,
    given: Parameters,
    result: Parameters,
    error: PretendAwsError | None,
) -> TrailEvent:
    caller = request.caller
    issued = result.get("Credentials", {}).get("AccessKeyId")
    return TrailEvent(
        event_time=request.now,
        event_source=f"{service}.amazonaws.com",
        event_name=name,
        user_arn=caller.arn,
        account=caller.account,
        access_key_id=caller.keys.access_key_id,
        role_session_name=caller.session_name or given.get("RoleSessionName"),
        source_identity=given.get("SourceIdentity") or caller.source_identity,
        request={key: _plain(value) for key, value in given.items()},
        issued_access_key_id=issued,
        error_code=error.code if error else None,
        error_message=error.message if error else None,
    )


def _plain(value: object) -> object:
    return value if isinstance(value, int | str | list) else str(value)
