"""The pretend AWS as a server on the loopback, for boto3 and the AWS CLI to call.

Invariant: one call at a time sees and changes the state, and every call of a known caller is in the trail, refused
ones too. It listens on the loopback only, and its keys open nothing elsewhere.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Self

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.clock import Clock
from localslack.http_server import LoopbackServer
from playground.pretend_aws.faults import PretendAnswer, PretendFault
from playground.pretend_aws.policy_document import PolicyKind, read_policy
from playground.pretend_aws.signed_call import SignedCall
from playground.pretend_aws.state import (
    AwsKeys,
    PolicyVersion,
    PretendCaller,
    PretendCloud,
    PretendRole,
    TrailEvent,
    new_keys,
    new_unique_id,
)

Json = Mapping[str, Any]
MAX_BODY_BYTES: Final = 512 * 1024


class PretendAws:
    """STS, IAM and one call of S3 at `url`. Safe for threads.

    `delay`: how long a change of a role's policies takes until requests are judged by it ("a few minutes" at AWS).
    `on_change` is called after each call that can have changed something, and must not call back.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        cloud: PretendCloud | None = None,
        port: int = 0,
        delay: timedelta = timedelta(),
        on_change: Callable[[PretendCloud], None] = lambda _: None,
    ) -> None:
        self.delay = delay
        self._clock = clock
        self._cloud = cloud or PretendCloud()
        self._on_change = on_change
        self._lock = threading.RLock()
        self._faults: dict[str, deque[PretendFault]] = {}
        self._server = LoopbackServer(port)
        self.url = self._server.url

    # What an administrator of the pretend accounts does

    def add_role(
        self, arn: str, *, trust: Json, policies: Mapping[str, Json] | None = None, max_session_seconds: int = 3600
    ) -> None:
        """A role with its trust policy and its inline policies; one that is there gets these instead."""
        now = self._clock.now()
        texts = {name: json.dumps(policy) for name, policy in (policies or {}).items()}
        read_policy(json.dumps(trust), PolicyKind.TRUST)
        for text in texts.values():
            read_policy(text)
        with self._lock:
            known = self._cloud.roles.get(arn)
            self._cloud.roles[arn] = PretendRole(
                arn=arn,
                id=known.id if known else new_unique_id("AROA"),
                trust=json.dumps(trust),
                max_session_seconds=max_session_seconds,
                created_at=known.created_at if known else now,
                versions=(PolicyVersion(since=now, policies=texts),),
            )

    def add_user(self, arn: str, policies: Mapping[str, Json]) -> AwsKeys:
        """A user and its long-lived access key."""
        keys = new_keys(is_temporary=False)
        texts = {name: json.dumps(policy) for name, policy in policies.items()}
        self._admit(PretendCaller(
            keys=keys,
            arn=arn,
            user_id=new_unique_id("AIDA"),
            user_policies=texts,
            issued_at=self._clock.now(),
        ))  # fmt: skip
        return keys

    def add_role_session(
        self, role_arn: str, session_name: str = "instance", lives: timedelta | None = None
    ) -> AwsKeys:
        """What a machine with this role has: a session of it, so whatever it assumes is chained.

        Without `lives` it never expires, as if the machine had fetched the next one in time.
        """
        role, now = self._cloud.roles[role_arn], self._clock.now()
        keys = new_keys(is_temporary=True)
        self._admit(PretendCaller(
            keys=keys,
            arn=f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{session_name}",
            user_id=f"{role.id}:{session_name}",
            role=role.arn,
            session_name=session_name,
            issued_at=now,
            expires_at=None if lives is None else now + lives,
        ))  # fmt: skip
        return keys

    def set_control_policy(self, account: str, policy: Json) -> None:
        """The service control policy of an account."""
        read_policy(json.dumps(policy))
        with self._lock:
            self._cloud.control_policies[account] = json.dumps(policy)

    def reset(self) -> None:
        """Forget everything: roles, users, keys, the trail and what was to fail."""
        with self._lock:
            self._cloud = PretendCloud()
            self._faults.clear()

    def fail(self, operation: str, *faults: PretendFault) -> None:
        """The next calls of this operation go wrong, in this order."""
        with self._lock:
            self._faults.setdefault(operation, deque()).extend(faults)

    # What can be seen from outside

    @property
    def events(self) -> tuple[TrailEvent, ...]:
        """The trail, oldest first. Waits for nothing."""
        return tuple(self._cloud.events)

    def find_events(self, name: str) -> tuple[TrailEvent, ...]:
        """The events of one name, as `AssumeRole`."""
        return tuple(each for each in self.events if each.event_name == name)

    def has_role(self, arn: str) -> bool:
        """Whether there is such a role."""
        with self._lock:
            return arn in self._cloud.roles

    def policies_of(self, role_arn: str) -> dict[str, Any]:
        """The inline policies of a role, as they were last written."""
        with self._lock:
            return {name: json.loads(text) for name, text in self._cloud.roles[role_arn].written.items()}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send boto3 and the AWS CLI here."""
        return {f"AWS_ENDPOINT_URL_{service}": self.url for service in ("STS", "IAM", "S3")}

    # Serving

    def start(self) -> None:
        """Answer from now on."""
        self._server.start(self._serve)

    def stop(self) -> None:
        """Stop answering. Idempotent."""
        self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _admit(self, caller: PretendCaller) -> None:
        with self._lock:
            self._cloud.add_caller(caller, self._clock.now())

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                await Response(status_code=413)(scope, receive, send)
                return
        headers = {name.lower(): value for name, value in request.headers.items()}
        # Each call takes milliseconds and waits for nothing, so it may run on the server's own thread.
        answered = self._answer(SignedCall(request.method, str(request.url), headers, body))
        if answered.is_lost:
            await self._server.drop_connection(request)
        else:
            await Response(answered.body, answered.status, media_type="text/xml")(scope, receive, send)

    def _answer(self, signed: SignedCall) -> PretendAnswer:
        # Not earlier: it needs the SDK, which takes half a second to load.
        from playground.pretend_aws.endpoint import handle  # noqa: PLC0415

        with self._lock:
            answered = handle(signed, self._cloud, self._clock.now(), self.delay, self._faults)
            self._on_change(self._cloud)
        return answered
