"""All of Countersign around one role in the pretend AWS: decisions, the reconciler, sessions, and what credentials can.

Invariant: nothing is pretended but AWS and the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from core.actor import Actor, UserId
from core.directory import FixedDirectory
from core.policy.target_config import AWS_ROLE
from core.services import SessionService
from core.targets.aws_role.roles import AwsRoles
from core.targets.call_pace import CallPace
from core.targets.opening import PolicyTargets
from tests.core.access.office import AccessOffice, OnePolicy
from tests.core.stores.device_bench import DeviceBench
from tests.harness.aws import REGION
from tests.harness.pretend_aws import BROKER, EXTERNAL_ID, LOCAL, PROD, REVOKER, aws_client

if TYPE_CHECKING:
    from core.access.credentials import AwsCredentials
    from core.access.device import DeviceUser
    from core.access.session import Session
    from core.services.issuing import IssuedCredentials
    from core.stores import Stores
    from playground.pretend_aws import AwsKeys, PretendAws
    from tests.harness.clock import FrozenClock

_MORE: Final = f"external_id: {EXTERNAL_ID}, lease: 16m"
POLICY: Final = f"""
version: 1
admins: [U0ADA]
groups:
  sre: [U0ANN, U0BOB]
targets:
  ops: {{type: aws-role, role: "{LOCAL}", region: {REGION}, external_id: {EXTERNAL_ID}}}
  far: {{type: aws-role, role: "{PROD}", region: {REGION}, {_MORE}, revoker: "{REVOKER}"}}
services: {{ci-deploy: {{owner: U0RITA, may: [prod], max_duration: 1h}}}}
profiles:
  prod: {{channel: C0ACCESS1, access: [{{target: ops}}]}}
  remote: {{channel: C0ACCESS1, access: [{{target: far}}]}}
  both: {{channel: C0ACCESS1, access: [{{target: ops}}, {{target: far}}]}}
  paper: {{channel: C0ACCESS1}}
approval:
  - {{name: all, profiles: ["*"], approvers: [group:sre], max_duration: 4h, max_pending: 10}}
break_glass:
  - name: on-call
    profiles: [prod]
    users: [group:sre]
    allowed_reason_codes: [incident]
    max_duration: 2h
security_channel: C0SECURITY
"""
RITA: Final = Actor(id=UserId("U0RITA"), name="Rita Hayworth")


@dataclass
class PretendClients:
    """Clients of the pretend AWS, as the broker's role; what was opened is kept."""

    aws: PretendAws
    opened: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.own = self.aws.add_role_session(BROKER)

    def sts(self, region: str) -> Any:  # noqa: ANN401
        return self._open("sts", region, self.own)

    def iam(self, region: str, keys: AwsCredentials | None) -> Any:  # noqa: ANN401
        return self._open("iam", region, self.own if keys is None else _as_keys(keys, self.own))

    def _open(self, service: str, region: str, keys: AwsKeys) -> Any:  # noqa: ANN401
        name = (service, keys.access_key_id)
        if name not in self.opened:
            self.opened[name] = aws_client(service, self.aws, keys, region=region)
        return self.opened[name]


class RoleOffice:
    """One instance of everything, and the AWS that it edits."""

    def __init__(self, stores: Stores, clock: FrozenClock, aws: PretendAws) -> None:
        self.stores = stores
        self.clock = clock
        self.aws = aws
        self.policy = OnePolicy(POLICY)
        self.clients = PretendClients(aws)
        self.devices = DeviceBench(stores, clock)
        self.targets = PolicyTargets(self.policy, clock)
        self.roles = AwsRoles(stores, clock, self.targets.config_of, lambda: self.clients, CallPace(10_000, burst=100))
        self.targets.open_with(AWS_ROLE, self.roles.open)
        self.office = AccessOffice(stores, clock, self.targets, self.policy, self.targets)
        self.sessions = SessionService(
            stores, self.policy, clock, self.roles, directory=FixedDirectory(), editor=self.roles
        )

    def open(self, person: Actor = RITA, duration: timedelta = timedelta(hours=2), profile: str = "prod") -> str:
        """Access that is asked for, approved and open; the chain of its decision."""
        source = self.office.approve(person, duration, profile).chain
        self.office.due.visit_due()
        return source

    def end(self, source: str, person: Actor = RITA) -> None:
        """The person's "I'm done", and all that the reconciler does about it now."""
        self.office.grants.end(source, person)
        self.office.due.visit_due()

    def issue(self, person: Actor = RITA, profile: str = "prod", **named: Any) -> IssuedCredentials:  # noqa: ANN401
        return self.sessions.issue(self.user(person, **named), profile)

    def user(self, person: Actor = RITA, device: int = 1, service: str | None = None) -> DeviceUser:
        """Somebody on a device that they paired."""
        return self.devices.user(person, device, service)

    def works(self, issued: IssuedCredentials | AwsCredentials) -> bool:
        """Whether a call with these credentials is allowed."""
        try:
            aws_client("s3", self.aws, _as_keys(issued, self.clients.own)).list_buckets()
        except ClientError as error:
            assert error.response["Error"]["Code"] in {"AccessDenied", "ExpiredToken"}  # noqa: PT017
            return False
        return True

    def denies(self, role: str = LOCAL) -> list[str]:
        """The inline policies that Countersign wrote."""
        return sorted(name for name in self.aws.policies_of(role) if name.startswith("countersign"))

    def session(self, issued: IssuedCredentials) -> Session:
        """As it is stored."""
        return self.stores.sessions.get(issued.session.id)  # type: ignore[arg-type]

    def tend(self) -> None:
        """One pass of the background work."""
        self.office.due.visit_due()
        self.sessions.expire_due()
        self.sessions.clean_up()


def _as_keys(keys: AwsCredentials | IssuedCredentials, like: AwsKeys) -> AwsKeys:
    return like.model_copy(
        update={
            "access_key_id": keys.access_key_id,
            "secret_access_key": keys.secret_access_key.get_secret_value(),
            "session_token": keys.session_token.get_secret_value(),
        }
    )
