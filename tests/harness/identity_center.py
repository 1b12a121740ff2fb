"""A strict IAM Identity Center and identity store over HTTP, for boto3 itself to call.

Invariant: each behaviour follows a rule of AWS, named where it stands; where AWS documents none, the comment says
"unverified". What is sent and what is answered is judged by botocore's model of the service. Time is the test's.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import UUID, uuid4

from tests.harness.aws import REGION
from tests.harness.clock import FrozenClock
from tests.harness.service_model import ModelViolationError, ServiceModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

INSTANCE = "arn:aws:sso:::instance/ssoins-1234567890abcdef"
STORE = "d-1234567890"
MANAGEMENT_ACCOUNT = "999999999999"
ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
ADMIN = "arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-admin00000000001"
READER = "arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-reader0000000001"
_TPS = 20
_OUTSTANDING = 10
_REGION_SIGNED_FOR = re.compile(r"Credential=[^/]+/[0-9]{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
Json = dict[str, Any]
Assignment = tuple[str, str, str, str]
"""Account, permission set, principal type, principal."""


class AwsError(Exception):
    """An error that AWS answers with."""

    def __init__(self, code: str, message: str = "", status: int = 400, **more: str) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.body = {"__type": code, "Message": message, **more}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call. "lost": done, no reply. "delayed": no reply, done after `delay`."""

    kind: Literal["lost", "delayed", "error", "garbled"]
    code: str = ""
    status: int = 400
    delay: timedelta = timedelta(0)
    message: str = "scripted"


@dataclass
class StoreUser:
    """A user of the identity store."""

    user_name: str
    email: str | None = None
    status: str | None = "ENABLED"
    id: str = field(default_factory=lambda: str(uuid4()))


@dataclass
class Operation:
    """An asynchronous write of an assignment."""

    kind: Literal["Creation", "Deletion"]
    assignment: Assignment
    polls_left: int
    failure: str | None
    began_at: datetime
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "IN_PROGRESS"


class IdentityCenterServer:
    """The service on a loopback port. Set the fields to make it as difficult as AWS can be."""

    def __init__(self, clock: FrozenClock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.users: dict[str, StoreUser] = {}
        self.groups: set[str] = set()
        self.accounts = {ACCOUNT, OTHER_ACCOUNT, MANAGEMENT_ACCOUNT}
        self.permission_sets: dict[str, str | None] = {ADMIN: "PT1H", READER: "PT4H"}
        self.assignments: set[Assignment] = set()
        self.memberships: dict[str, tuple[str, str]] = {}
        self.operations: dict[str, Operation] = {}
        self.calls: list[tuple[str, Json]] = []
        self.duplicates: list[Assignment] = []
        self.violations: list[str] = []
        self.most_outstanding = 0
        self.home_region = REGION
        self.instance_status = "ACTIVE"
        self.is_delegated = False
        self.polls_until_done = 1
        self.operation_takes = timedelta(seconds=30)
        self._of_somebody_else = ""
        self.list_lag_reads = 0
        self.page_size = 100
        self.call_takes = timedelta(0)
        self.failures: deque[str] = deque()
        self.faults: dict[str, deque[Fault]] = {}
        self.answers_after: dict[str, Callable[[], object]] = {}
        self._moments: deque[datetime] = deque()
        self.membership_lag_reads = 0
        self._lagging: list[list[Any]] = []
        self._delayed: list[tuple[datetime, str, Json]] = []

    # What a test does

    def add_user(self, user_name: str, email: str | None = None, status: str | None = "ENABLED") -> StoreUser:
        """A user of the directory."""
        user = StoreUser(user_name, email, status)
        self.users[user.id] = user
        return user

    def add_group(self) -> str:
        """A group of the directory: its id."""
        group = str(uuid4())
        self.groups.add(group)
        return group

    def fail(self, operation: str, *faults: Fault) -> None:
        """The next calls of this operation go wrong, in this order."""
        self.faults.setdefault(operation, deque()).extend(faults)

    def names_called(self) -> list[str]:
        """The operations that were called, in order."""
        return [name for name, _ in self.calls]

    @contextmanager
    def somebody_else_writes(self, account: str = ACCOUNT, permission_set: str = ADMIN) -> Iterator[None]:
        """Another tool's write of this permission set in this account is in flight."""
        other = Operation("Creation", (account, permission_set, "USER", str(uuid4())), 10_000, None, self.clock.now())
        self.operations[other.id] = other
        self._of_somebody_else = other.id
        yield
        del self.operations[other.id]

    # Serving

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, target: str, signed: str, body: Json) -> tuple[int, Json] | bytes | None:
        """The status and JSON of one call; None for no reply at all, bytes for half of one."""
        prefix, _, operation = target.partition(".")
        model = next(each for each in _models() if each.prefix == prefix)
        with self.lock:
            self.calls.append((operation, body))
            self.clock.advance(self.call_takes)
            self._apply_delayed()
            try:
                return self._judged(model, operation, signed, body)
            except AwsError as error:
                if error.code not in {"ThrottlingException", "UnrecognizedClientException", "ExpiredTokenException"}:
                    model.check_error(operation, error.code)
                return error.status, error.body
            except (AssertionError, LookupError, ModelViolationError, TypeError, ValueError) as error:
                # A fault of this fake, or of a test: the fixture fails with it.
                self.violations.append(f"{operation}: {error!r}")
                return 500, {"__type": "InternalServerException"}

    def _judged(self, model: ServiceModel, operation: str, signed: str, body: Json) -> tuple[int, Json] | bytes | None:
        # Rule (limits page): all APIs of an instance together, 20 calls a second, shared by all callers.
        now = self.clock.now()
        self._moments.append(now)
        while self._moments[0] <= now - timedelta(seconds=1):
            self._moments.popleft()
        if len(self._moments) > _TPS:
            raise AwsError("ThrottlingException", "Rate exceeded")
        # Rule (service model): patterns, lengths and enumerations; AWS answers ValidationException.
        try:
            model.check_input(operation, body)
        except ModelViolationError as violation:
            self.violations.append(str(violation))
            raise AwsError("ValidationException", str(violation)) from violation
        fault = self.faults.get(operation, deque()).popleft() if self.faults.get(operation) else None
        if fault and fault.kind == "error":
            raise AwsError(fault.code, fault.message, fault.status)
        if fault and fault.kind == "delayed":
            self._delayed.append((now + fault.delay, operation, body))
            return None
        try:
            result = self._in_region(operation, signed, body)
        except AwsError:
            if fault:
                return None
            raise
        model.check_output(operation, result)
        self.answers_after.get(operation, lambda: None)()
        if fault and fault.kind == "garbled":
            return b'{"AccountAssignm'
        return None if fault else (200, result)

    def _in_region(self, operation: str, signed: str, body: Json) -> Json:
        # Rule (user guide): an instance is in one region; the endpoints of others don't know it.
        found = _REGION_SIGNED_FOR.search(signed)
        assert found, "the call wasn't signed"
        if found["region"] == self.home_region:
            return self._do(operation, body)
        if operation == "ListInstances":
            return {"Instances": []}
        if found["service"] == "identitystore":
            raise AwsError("ResourceNotFoundException", "no such store", ResourceType="IDENTITY_STORE")
        raise AwsError("ResourceNotFoundException", "no such instance")

    def _do(self, operation: str, body: Json) -> Json:
        if "InstanceArn" in body and body["InstanceArn"] != INSTANCE:
            raise AwsError("ResourceNotFoundException", "Instance not found")
        if "IdentityStoreId" in body and body["IdentityStoreId"] != STORE:
            raise AwsError("ResourceNotFoundException", "IDENTITY_STORE not found", ResourceType="IDENTITY_STORE")
        result: Json = getattr(self, f"_on_{operation}")(body)
        return result

    def _apply_delayed(self) -> None:
        now = self.clock.now()
        for operation in self._in_flight():
            # AWS finishes what it began, whether somebody polls or not.
            if operation.id != self._of_somebody_else and now - operation.began_at >= self.operation_takes:
                operation.polls_left = 0
                self._progress(operation)
        due = [each for each in self._delayed if each[0] <= now]
        self._delayed = [each for each in self._delayed if each not in due]
        for _, name, body in due:
            self._do(name, body)

    # sso-admin

    def _on_ListInstances(self, _: Json) -> Json:  # noqa: N802
        # Rule (service model): the owner of an organization's instance is its management account.
        one = {"InstanceArn": INSTANCE, "IdentityStoreId": STORE, "OwnerAccountId": MANAGEMENT_ACCOUNT}
        return {"Instances": [{**one, "Status": self.instance_status}]}

    def _on_DescribePermissionSet(self, body: Json) -> Json:  # noqa: N802
        arn = body["PermissionSetArn"]
        self._require_permission_set(arn)
        duration = self.permission_sets[arn]
        return {
            "PermissionSet": {
                "Name": arn[-19:].replace("/", ""),
                "PermissionSetArn": arn,
                "CreatedDate": self.clock.now().timestamp(),
                **({"SessionDuration": duration} if duration else {}),
            }
        }

    def _on_CreateAccountAssignment(self, body: Json) -> Json:  # noqa: N802
        # Rule (limits page): at most 10 creations outstanding. Which error AWS sends for the 11th: unverified.
        outstanding = [each for each in self._in_flight() if each.kind == "Creation"]
        if len(outstanding) >= _OUTSTANDING:
            raise AwsError("ThrottlingException", "Too many outstanding operations")
        self.most_outstanding = max(self.most_outstanding, len(outstanding) + 1)
        assignment = self._writable(body)
        # Rule (Terraform's provider, which works around it): AWS doesn't refuse what exists already.
        if assignment in self.assignments:
            self.duplicates.append(assignment)
        return self._begin("Creation", assignment)

    def _on_DeleteAccountAssignment(self, body: Json) -> Json:  # noqa: N802
        assignment = self._writable(body)
        # Rule (service model, Terraform's provider): deleting what is absent is ResourceNotFound.
        if assignment not in self.assignments:
            raise AwsError("ResourceNotFoundException", "Account assignment not found")
        return self._begin("Deletion", assignment)

    def _on_DescribeAccountAssignmentCreationStatus(self, body: Json) -> Json:  # noqa: N802
        return self._describe("Creation", body["AccountAssignmentCreationRequestId"])

    def _on_DescribeAccountAssignmentDeletionStatus(self, body: Json) -> Json:  # noqa: N802
        return self._describe("Deletion", body["AccountAssignmentDeletionRequestId"])

    def _on_ListAccountAssignments(self, body: Json) -> Json:  # noqa: N802
        account, permission_set = body["AccountId"], body["PermissionSetArn"]
        self._require_permission_set(permission_set)
        shown = {each for each in self.assignments if each[:2] == (account, permission_set)}
        # Rule (observed by TEAM, #419): a list may lag behind a write that succeeded.
        for lagging in self._lagging:
            assignment, was_there, reads_left = lagging
            if assignment[:2] == (account, permission_set) and reads_left > 0:
                lagging[2] -= 1
                (shown.add if was_there else shown.discard)(assignment)
        rows = sorted(shown)
        start = int(body.get("NextToken") or 0)
        end = start + min(self.page_size, body.get("MaxResults", 100))
        page: Json = {
            "AccountAssignments": [
                {"AccountId": each[0], "PermissionSetArn": each[1], "PrincipalType": each[2], "PrincipalId": each[3]}
                for each in rows[start:end]
            ]
        }
        return {**page, "NextToken": str(end)} if end < len(rows) else page

    def _writable(self, body: Json) -> Assignment:
        account, permission_set = body["TargetId"], body["PermissionSetArn"]
        # Rule (user guide): a delegated administrator can't touch the management account.
        if self.is_delegated and account == MANAGEMENT_ACCOUNT:
            raise AwsError("AccessDeniedException", "You do not have sufficient access to the management account")
        self._require_permission_set(permission_set)
        if account not in self.accounts:
            raise AwsError("ResourceNotFoundException", "Account not found")
        # Rule (model text of ConflictException): an earlier write has not propagated yet.
        if any(each.assignment[:2] == (account, permission_set) for each in self._in_flight()):
            raise AwsError("ConflictException", "There is a conflicting operation in process")
        return account, permission_set, body["PrincipalType"], body["PrincipalId"]

    def _require_permission_set(self, arn: str) -> None:
        if arn not in self.permission_sets:
            raise AwsError("ResourceNotFoundException", "PermissionSet not found")

    def _in_flight(self) -> list[Operation]:
        return [each for each in self.operations.values() if each.status == "IN_PROGRESS"]

    def _begin(self, kind: Literal["Creation", "Deletion"], assignment: Assignment) -> Json:
        # Rule (API reference): a create and a delete return at once, mostly IN_PROGRESS.
        failure = self.failures.popleft() if self.failures else None
        if kind == "Creation" and assignment[2] == "USER" and assignment[3] not in self.users:
            # That an unknown user fails later, and not at once: unverified.
            failure = "Received a 404 status error: User not found"
        operation = Operation(kind, assignment, self.polls_until_done, failure, self.clock.now())
        self.operations[operation.id] = operation
        self._progress(operation)
        return {f"AccountAssignment{kind}Status": _status(operation)}

    def _describe(self, kind: str, request_id: str) -> Json:
        operation = self.operations.get(request_id)
        if operation is None or operation.kind != kind:
            raise AwsError("ResourceNotFoundException", "Request not found")
        operation.polls_left -= 1
        self._progress(operation)
        return {f"AccountAssignment{kind}Status": _status(operation)}

    def _progress(self, operation: Operation) -> None:
        if operation.status != "IN_PROGRESS" or operation.polls_left > 0:
            return
        if operation.failure:
            operation.status = "FAILED"
            return
        operation.status = "SUCCEEDED"
        was_there = operation.assignment in self.assignments
        if operation.kind == "Creation":
            self.assignments.add(operation.assignment)
        else:
            self.assignments.discard(operation.assignment)
        self._lagging.append([operation.assignment, was_there, self.list_lag_reads])

    # identitystore

    def _on_GetUserId(self, body: Json) -> Json:  # noqa: N802
        attribute = body["AlternateIdentifier"]["UniqueAttribute"]
        path, value = attribute["AttributePath"], attribute["AttributeValue"]
        assert path in {"userName", "emails.value"}, path
        hits = [each for each in self.users.values() if value == (each.user_name if path == "userName" else each.email)]
        if not hits:
            raise AwsError("ResourceNotFoundException", "USER not found", ResourceType="USER")
        # What AWS answers for two users with one address, or whether it compares case: unverified.
        if len(hits) > 1:
            raise AwsError("ValidationException", "More than one user has this attribute")
        return {"UserId": hits[0].id, "UserArn": _store_arn("user", hits[0].id), "IdentityStoreId": STORE}

    def _on_DescribeUser(self, body: Json) -> Json:  # noqa: N802
        user = self.users.get(body["UserId"])
        if user is None:
            raise AwsError("ResourceNotFoundException", "USER not found", ResourceType="USER")
        return {
            "IdentityStoreId": STORE,
            "UserId": user.id,
            "UserArn": _store_arn("user", user.id),
            "Revision": "1",
            "UserName": user.user_name,
            **({"Emails": [{"Value": user.email, "Primary": True}]} if user.email else {}),
            **({"UserStatus": user.status} if user.status else {}),
        }

    def _on_CreateGroupMembership(self, body: Json) -> Json:  # noqa: N802
        group, user = self._member(body)
        # Rule (API reference): ConflictException, "Member and Group relationship already exists".
        if (group, user) in self.memberships.values():
            message = "Member and Group relationship already exists."
            raise AwsError("ConflictException", message, Reason="UNIQUENESS_CONSTRAINT_VIOLATION")
        membership = str(uuid4())
        self.memberships[membership] = (group, user)
        return _membership(membership)

    def _on_GetGroupMembershipId(self, body: Json) -> Json:  # noqa: N802
        wanted = self._member(body)
        found = next((each for each, members in self.memberships.items() if members == wanted), None)
        # That this look lags behind a write: unverified, but nothing promises that it doesn't.
        if self.membership_lag_reads > 0:
            self.membership_lag_reads -= 1
            found = str(uuid4()) if found is None else None
        if found is None:
            raise AwsError("ResourceNotFoundException", "MEMBERSHIP not found", ResourceType="GROUP_MEMBERSHIP")
        return _membership(found)

    def _on_DeleteGroupMembership(self, body: Json) -> Json:  # noqa: N802
        # Rule (service model): ResourceNotFound for a membership that is gone. That a double delete is one: unverified.
        if self.memberships.pop(body["MembershipId"], None) is None:
            raise AwsError("ResourceNotFoundException", "MEMBERSHIP not found", ResourceType="GROUP_MEMBERSHIP")
        return {}

    def _member(self, body: Json) -> tuple[str, str]:
        group, user = body["GroupId"], body["MemberId"]["UserId"]
        if group not in self.groups:
            raise AwsError("ResourceNotFoundException", "GROUP not found", ResourceType="GROUP")
        if user not in self.users:
            raise AwsError("ResourceNotFoundException", "USER not found", ResourceType="USER")
        return group, user


def _status(operation: Operation) -> Json:
    account, permission_set, principal_type, principal = operation.assignment
    return {
        "Status": operation.status,
        "RequestId": str(UUID(operation.id)),
        "TargetId": account,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": permission_set,
        "PrincipalType": principal_type,
        "PrincipalId": principal,
        "CreatedDate": operation.began_at.astimezone(UTC).timestamp(),
        **({"FailureReason": operation.failure} if operation.status == "FAILED" else {}),
    }


def _membership(membership: str) -> Json:
    arn = _store_arn("membership", membership)
    return {"MembershipId": membership, "MembershipArn": arn, "IdentityStoreId": STORE}


def _store_arn(kind: str, name: str) -> str:
    return f"arn:aws:identitystore:::{kind}/{name}"


@cache
def _models() -> tuple[ServiceModel, ...]:
    return ServiceModel("sso-admin"), ServiceModel("identitystore")


def _handler(server: IdentityCenterServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = server.answer(self.headers["X-Amz-Target"], self.headers["Authorization"], body)
            if answer is None:
                self.close_connection = True
                return
            status, content = (
                (200, answer) if isinstance(answer, bytes) else (answer[0], json.dumps(answer[1]).encode())
            )
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("x-amzn-requestid", str(uuid4()))
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
