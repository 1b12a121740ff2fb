"""Every target with the system behind it, and what a test can do to that system.

Invariant: a bench acts on the system itself, past the target, as other people and failures do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import SecretStr

from core.access.right import Right
from core.clock import SystemClock
from core.targets.aws_calls import AwsCalls, open_client
from core.targets.aws_lambda import LambdaTarget
from core.targets.call_pace import CallPace
from core.targets.identity_center.instance import InstanceSettings, SsoInstance
from core.targets.identity_center.target import IdentityCenter
from core.targets.webhook import WebhookTarget
from playground.demo_target import DemoTarget
from tests.core.targets.harness import a_right, actions_of, allowed_actions, paced_by
from tests.harness import identity_center as idc
from tests.harness import target_receiver as received
from tests.harness.aws import REGION
from tests.harness.clock import FrozenClock

if TYPE_CHECKING:
    import pytest

    from core.targets.base import Target

Fails = Callable[[str], object]
"""Makes the next give or take go wrong."""


@dataclass(frozen=True)
class Bench:
    """A target with what stands behind it. `lose`, `put_off` and `refuse` are None where that system can't."""

    target: Target
    new_right: Callable[[], Right]
    put: Callable[[Right], object]
    """Somebody else gives the right."""
    lose: Fails | None = None
    """The next give or take is done, and its answer is lost."""
    put_off: Fails | None = None
    """The next give or take is not done: later."""
    refuse: Fails | None = None
    """The next give or take is refused for good."""
    remembers_generations: bool = False
    makes_duplicates: bool = False
    """A trap of moto: a second give of a membership is stored as a second membership."""


def open_bench(
    name: str, clock: FrozenClock, moto_url: Callable[[], str], patch: pytest.MonkeyPatch
) -> AbstractContextManager[Bench]:
    """A context manager with the bench of this name."""
    benches: dict[str, Callable[[], AbstractContextManager[Bench]]] = {
        "assignment": partial(_strict_bench, clock, patch, is_group=False),
        "membership": partial(_strict_bench, clock, patch, is_group=True),
        "assignment-moto": lambda: _moto_bench(clock, patch, moto_url(), is_group=False),
        "membership-moto": lambda: _moto_bench(clock, patch, moto_url(), is_group=True),
        "webhook": _webhook_bench,
        "lambda": lambda: _lambda_bench(clock, patch),
        "demo": lambda: _demo_bench(clock),
    }
    return benches[name]()


STRICT = ("assignment", "membership", "webhook", "lambda")
"""Those that fail on demand."""
NAMES = (*STRICT, "assignment-moto", "membership-moto", "demo")


@contextmanager
def _strict_bench(clock: FrozenClock, patch: pytest.MonkeyPatch, *, is_group: bool) -> Iterator[Bench]:
    operations = {"give": "CreateAccountAssignment", "take": "DeleteAccountAssignment"}
    if is_group:
        operations = {"give": "CreateGroupMembership", "take": "DeleteGroupMembership"}
    with idc.IdentityCenterServer(clock) as server, ExitStack() as stack:
        target = _identity_center(clock, patch, server.url)
        stack.callback(target.close)

        def new_right() -> Right:
            user = server.add_user(f"user-{len(server.users)}").id
            return a_right(server.add_group(), "member", user) if is_group else a_right(idc.ACCOUNT, idc.ADMIN, user)

        def put(right: Right) -> None:
            if is_group:
                server.memberships[str(uuid4())] = (right.resource, right.principal)
            else:
                server.assignments.add((right.resource, right.level, "USER", right.principal))

        yield Bench(
            target,
            new_right,
            put,
            lose=lambda op: server.fail(operations[op], idc.Fault("lost")),
            put_off=lambda op: server.fail(operations[op], idc.Fault("error", "ThrottlingException")),
            refuse=lambda op: server.fail(operations[op], idc.Fault("error", "AccessDeniedException")),
        )
        assert server.violations == []
        assert server.duplicates == []
        assert actions_of(server.calls) <= allowed_actions()


@contextmanager
def _moto_bench(clock: FrozenClock, patch: pytest.MonkeyPatch, url: str, *, is_group: bool) -> Iterator[Bench]:
    target = _identity_center(clock, patch, url)
    admin, store = target.instance.admin.client, target.instance.store.client
    where = {"IdentityStoreId": idc.STORE}

    def new_right() -> Right:
        name = f"user-{uuid4()}"
        names = {"Name": {"GivenName": "Jon", "FamilyName": "Doe"}, "DisplayName": "Jon"}
        user = store.create_user(**where, UserName=name, **names)["UserId"]
        if is_group:
            return a_right(store.create_group(**where, DisplayName=f"group-{uuid4()}")["GroupId"], "member", user)
        # Not one that moto made: it writes their ARNs as AWS never does. It accepts unknown ones.
        return a_right(idc.ACCOUNT, idc.ADMIN, user)

    def put(right: Right) -> None:
        if is_group:
            member = {"UserId": right.principal}
            store.create_group_membership(**where, GroupId=right.resource, MemberId=member)
            return
        admin.create_account_assignment(
            InstanceArn=idc.INSTANCE,
            TargetId=right.resource,
            TargetType="AWS_ACCOUNT",
            PermissionSetArn=right.level,
            PrincipalType="USER",
            PrincipalId=right.principal,
        )

    yield Bench(target, new_right, put, makes_duplicates=is_group)
    target.close()


@contextmanager
def _webhook_bench() -> Iterator[Bench]:
    with received.WebhookReceiver() as server:
        target = WebhookTarget(f"{server.url}/hook?token=of-the-receiver", SecretStr(received.SECRET), SystemClock())
        yield _receiver_bench(target, server, received.Fault("answer", 503), received.Fault("answer", 422))


@contextmanager
def _lambda_bench(clock: FrozenClock, patch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with received.LambdaInvoke() as server, ExitStack() as stack:
        patch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        pace = CallPace(elapsed=lambda: clock.now().timestamp(), burst=100)
        target = LambdaTarget(AwsCalls(open_client("lambda", REGION), pace, "Lambda"), received.FUNCTION)
        stack.callback(target.close)
        busy = received.Fault("answer", 429, b"{}", (("x-amzn-ErrorType", "TooManyRequestsException"),))
        denied = received.Fault("answer", 403, b"{}", (("x-amzn-ErrorType", "AccessDeniedException"),))
        yield _receiver_bench(target, server, busy, denied)


@contextmanager
def _demo_bench(clock: FrozenClock) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        target = DemoTarget(Path(folder) / "aws.json", clock, delay=timedelta())
        new_right = lambda: a_right(idc.ACCOUNT, "AdministratorAccess", f"{uuid4().hex}@example.com", "aws")  # noqa: E731
        yield Bench(target, new_right, target.add_by_hand)


def _receiver_bench(
    target: Target,
    server: received.WebhookReceiver | received.LambdaInvoke,
    busy: received.Fault,
    refused: received.Fault,
) -> Bench:
    def put(right: Right) -> None:
        name = received.example().json.dumps([right.target, right.resource, right.level, right.principal])
        server.system.set(name, held=True)

    return Bench(
        target,
        lambda: a_right("database", "readers", f"jon-{uuid4().hex}", "warehouse"),
        put,
        lose=lambda op: server.fail(op, received.Fault("lost")),
        put_off=lambda op: server.fail(op, busy),
        refuse=lambda op: server.fail(op, refused),
        remembers_generations=True,
    )


def _identity_center(clock: FrozenClock, patch: pytest.MonkeyPatch, url: str) -> IdentityCenter:
    patch.setenv("AWS_ENDPOINT_URL_SSO_ADMIN", url)
    patch.setenv("AWS_ENDPOINT_URL_IDENTITYSTORE", url)
    settings = InstanceSettings(REGION, idc.INSTANCE, idc.STORE)
    return IdentityCenter(SsoInstance.open(settings, pace=paced_by(clock), clock=clock))
