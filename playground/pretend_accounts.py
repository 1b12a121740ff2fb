"""The accounts of the playground in the pretend AWS: Countersign's own, and production with a role for people.

Invariant: the roles have exactly the documents that Countersign prints for them. What was written to a role later, such
as a deny, survives a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

from pydantic import ValidationError

from core.access.credentials import AwsCredentials
from core.clock import Clock
from core.errors import InvalidInput
from core.policy.target_config import AwsRoleConfig
from core.targets.aws_role import documents
from playground.folder import write_privately
from playground.pretend_aws import AwsKeys, PretendAws, PretendCloud, TrailEvent

OWN_ROLE: Final = "arn:aws:iam::999999999999:role/countersign"
CONFIG: Final = AwsRoleConfig(
    type="aws-role",
    role="arn:aws:iam::111122223333:role/prod-admin",
    revoker="arn:aws:iam::111122223333:role/countersign-revoker",
    external_id="countersign-playground",
    region="eu-west-1",
)
"""As in policy.yml."""
_WORK: Final[Mapping[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
_MACHINES: Final[Mapping[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "999999999999"}, "Action": "sts:AssumeRole"}],
}


class PretendClients:
    """Countersign's clients of the pretend AWS: an `AwsClients`. Safe for threads."""

    def __init__(self, url: str, own: AwsKeys) -> None:
        self._url = url
        self._own = own
        self._lock = Lock()
        self._session: Any = None

    def sts(self, region: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time.
        """STS, as Countersign."""
        return self._open("sts", region, self._own)

    def iam(self, region: str, keys: AwsCredentials | None) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time.
        """IAM, as the revoker."""
        if keys is None:
            return self._open("iam", region, self._own)
        shown = AwsKeys(
            access_key_id=keys.access_key_id,
            secret_access_key=keys.secret_access_key.get_secret_value(),
            session_token=keys.session_token.get_secret_value(),
        )
        return self._open("iam", region, shown)

    def _open(self, service: str, region: str, keys: AwsKeys) -> Any:  # noqa: ANN401 - boto3's.
        # Sessions aren't safe to share between threads; the clients that they make are.
        with self._lock:
            # Not earlier: the playground starts without the SDK, which takes half a second to load.
            import boto3  # noqa: PLC0415
            from botocore.config import Config  # noqa: PLC0415

            self._session = self._session or boto3.session.Session()
            return self._session.client(
                service,
                region_name=region,
                endpoint_url=self._url,
                aws_access_key_id=keys.access_key_id,
                aws_secret_access_key=keys.secret_access_key,
                aws_session_token=keys.session_token,
                config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10),
            )


def open_pretend_accounts(
    path: Path, clock: Clock, on_call: Callable[[Sequence[TrailEvent]], None] = lambda _: None
) -> tuple[PretendAws, PretendClients]:
    """The pretend AWS of a folder, and Countersign's clients of it. It isn't started yet. Raises InvalidInput.

    `on_call` gets the trail after each call, and must not call back.
    """

    def keep(cloud: PretendCloud) -> None:
        write_privately(path, cloud.model_dump_json())
        on_call(cloud.events)

    aws = PretendAws(clock, cloud=_read(path), on_change=keep)
    if not aws.has_role(CONFIG.role):
        own = {"issue": documents.broker_policy([CONFIG]), "end-early": documents.server_policy([CONFIG])}
        aws.add_role(OWN_ROLE, trust=_MACHINES, policies=own)
        aws.add_role(CONFIG.role, trust=documents.trust_policy(CONFIG, OWN_ROLE), policies={"work": _WORK})
        aws.add_role(
            CONFIG.revoker or "",
            trust=documents.revoker_trust_policy(CONFIG, OWN_ROLE),
            policies={"edit": documents.revoker_policy([CONFIG])},
        )
    return aws, PretendClients(aws.url, aws.add_role_session(OWN_ROLE, "playground"))


def _read(path: Path) -> PretendCloud:
    if not path.exists():
        return PretendCloud()
    try:
        return PretendCloud.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, OSError) as error:
        raise InvalidInput("folder", f"{path} can't be read", "Start fresh with --reset.") from error
