"""What targets say to people: refusals, problems, and what doctor finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any, Final

import boto3
from botocore.config import Config
from pydantic import SecretStr

from core.access.principals import PrincipalUnavailable, PrincipalUnknown, SoughtPerson
from core.clock import SystemClock
from core.policy.target_config import AnyTargetConfig
from core.targets.aws_calls import AwsCalls
from core.targets.base import OperationKey, Target
from core.targets.call_pace import CallPace
from core.targets.identity_center.checking import UsedRights, check_identity_center
from core.targets.identity_center.instance import FIXES, InstanceSettings, SsoInstance
from core.targets.identity_center.people import resolve_person
from core.targets.identity_center.target import IdentityCenter
from core.targets.opening import PolicyTargets
from core.targets.webhook import WebhookTarget
from tests.core.policy.access_policy import WITHOUT_WH, access_policy
from tests.core.targets.harness import a_right, paced_by
from tests.harness import identity_center as idc
from tests.harness.aws import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from tests.harness.clock import A_MOMENT, FrozenClock
from tests.harness.target_receiver import SECRET, Fault, WebhookReceiver
from tests.texts.writing import Text

_KEY: Final = OperationKey("0123456789abcdef", 1)
_REASON: Final = json.dumps({"state": "refused", "reason": "there is no role readers"}).encode()
_CODES: Final = (
    ("ThrottlingException", 400),
    ("ConflictException", 400),
    ("ServiceQuotaExceededException", 400),
    ("AccessDeniedException", 400),
    ("ValidationException", 400),
    ("ExpiredTokenException", 400),
    ("UnrecognizedClientException", 400),
    ("InternalServerException", 500),
)


def targets() -> Iterator[Text]:
    """All of them."""
    yield from _webhook()
    yield from _opening()
    clock = FrozenClock()
    with idc.IdentityCenterServer(clock) as server, closing(_instance(server, clock)) as instance:
        yield from _identity_center(server, IdentityCenter(instance), clock)
        yield from _people(server, instance, clock)
        yield from _doctor(server, instance)


def _webhook() -> Iterator[Text]:
    right = a_right("database", "readers", "jon", "warehouse")
    for status, body in (
        (200, b"ok"),
        (302, b""),
        (401, b""),
        (404, b""),
        (410, b""),
        (422, _REASON),
        (429, b""),
        (500, b""),
    ):
        with WebhookReceiver() as receiver:
            receiver.fail("give", Fault("answer", status, body))
            target = WebhookTarget(receiver.url, SecretStr(SECRET), SystemClock())
            yield Text("Targets: webhook", f"HTTP {status}", _words(target.give(right, A_MOMENT, _KEY)))
    with WebhookReceiver() as receiver:
        receiver.fail("give", Fault("lost"), Fault("answer", 409))
        target = WebhookTarget(receiver.url, SecretStr(SECRET), SystemClock())
        yield Text("Targets: webhook", "no answer", _words(target.give(right, A_MOMENT, _KEY)))
        yield Text("Targets: webhook", "superseded", _words(target.give(right, A_MOMENT, _KEY)))


def _opening() -> Iterator[Text]:
    right = a_right("db", "ro", "U0BOB", "wh")
    for title, change in {
        "variable without a secret": ("env:WH", "env:COUNTERSIGN_TEST_NO_SUCH_VARIABLE"),
        "file without a secret": ("env:WH", "file:/nowhere/secret"),
        "demo": ("type: webhook, url: https://x.example.com/hook, secret: env:WH", "type: demo"),
    }.items():
        targets = PolicyTargets(access_policy(change), SystemClock())
        yield Text("Targets: opening", title, _words(targets["wh"].inspect(right)))
    targets = PolicyTargets(access_policy(*WITHOUT_WH), SystemClock())
    targets.remember(access_policy())
    yield Text("Targets: opening", "left the policy", _words(targets["wh"].give(right, A_MOMENT, _KEY)))
    for title, target, sought in (
        ("no such target", "gone", SoughtPerson("U0ANN")),
        ("unfit name", "fn", SoughtPerson("U0ANN", mapped="ann doe")),
    ):
        try:
            targets.find(target, sought)
        except PrincipalUnknown as error:
            yield Text("Targets: people", title, str(error))
    unusable = PolicyTargets(access_policy(), SystemClock(), {"identity-center": _cannot_be_opened})
    try:
        unusable.find("aws", SoughtPerson("U0ANN", mapped="ann"))
    except PrincipalUnavailable as error:
        yield Text("Targets: people", "not now", str(error))
    unusable.close()


def _cannot_be_opened(config: AnyTargetConfig) -> Target:
    raise OSError(config.type)


def _identity_center(server: idc.IdentityCenterServer, target: IdentityCenter, clock: FrozenClock) -> Iterator[Text]:
    user = server.add_user("jon").id
    right = a_right(idc.ACCOUNT, idc.ADMIN, user)
    give = partial(target.give, until=A_MOMENT, key=_KEY)
    for code, status in _CODES:
        server.fail("CreateAccountAssignment", idc.Fault("error", code, status, message="AWS's own words"))
        yield Text("Targets: Identity Center", code, _words(give(right)))
        clock.advance(timedelta(seconds=10))
    server.fail("CreateAccountAssignment", idc.Fault("lost"))
    yield Text("Targets: Identity Center", "no answer", _words(give(right)))
    clock.advance(timedelta(minutes=1))
    server.failures.append("the role quota of the account is reached")
    failed: Any = give(a_right(idc.OTHER_ACCOUNT, idc.ADMIN, user))
    yield Text("Targets: Identity Center", "failed later", _words(target.poll(failed.token)))
    yield Text("Targets: Identity Center", "not a right", _words(give(a_right("production", "admin", "jon"))))


def _people(server: idc.IdentityCenterServer, instance: SsoInstance, clock: FrozenClock) -> Iterator[Text]:
    server.add_user("eva", "eva@example.com", "DISABLED")
    server.add_user("kim", "kim@example.com")
    server.add_user("kim2", "Kim@example.com")
    for title, sought in {
        "not mapped": SoughtPerson("U0ANN"),
        "nobody by this name": SoughtPerson("U0ANN", mapped="ann"),
        "nobody by this address": SoughtPerson("U0ANN", email="ann@example.com"),
        "two": SoughtPerson("U0KIM", email="Kim@example.com"),
        "disabled": SoughtPerson("U0EVA", mapped="eva"),
    }.items():
        yield Text("Targets: people in Identity Center", title, _words(resolve_person(instance, sought)))
        clock.advance(timedelta(seconds=10))


def _doctor(server: idc.IdentityCenterServer, instance: SsoInstance) -> Iterator[Text]:
    missing = idc.ADMIN[:-1] + "9"
    used = UsedRights(
        (idc.ADMIN, idc.READER, missing),
        (idc.ACCOUNT, idc.MANAGEMENT_ACCOUNT),
        (SoughtPerson("U0JON", mapped="jon"),),
        own_account="123456789012",
    )
    for found in check_identity_center(instance, used):
        yield Text("Targets: doctor", f"{found.subject}: {found.outcome.value}", found.text)
    server.home_region = "us-east-1"
    for found in check_identity_center(instance, used):
        yield Text("Targets: doctor", f"wrong region: {found.outcome.value}", found.text)


def _words(answer: object) -> str:
    return str(getattr(answer, "reason", "") or getattr(answer, "problem", "") or answer)


def _instance(server: idc.IdentityCenterServer, clock: FrozenClock) -> SsoInstance:
    session: Any = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name=REGION)
    pace: CallPace = paced_by(clock)
    once = Config(retries={"total_max_attempts": 1})
    admin, store = (
        AwsCalls(session.client(service, endpoint_url=server.url, config=once), pace, name, FIXES)
        for service, name in (("sso-admin", "Identity Center"), ("identitystore", "the identity store"))
    )
    return SsoInstance(InstanceSettings(REGION, idc.INSTANCE, idc.STORE), admin, store, clock)
