"""The AWS clients of aws-role targets: STS in the region that the policy names, and IAM as the one who may edit a role.

Invariant: each client sends each call once, within the time that a target has for it. STS is asked in its region.
"""

from __future__ import annotations

import threading
from typing import Any, Final, Protocol

from core.access.credentials import AwsCredentials
from core.targets.aws_calls import open_client

_MAX_KEPT: Final = 32
"""How many clients of the revokers are kept; each has connections of its own."""


class AwsClients(Protocol):
    """Opens clients. Safe for threads."""

    def sts(self, region: str) -> Any:  # noqa: ANN401 - boto3 has no type for it
        """STS of this region, with Countersign's own credentials."""
        ...

    def iam(self, region: str, keys: AwsCredentials | None) -> Any:  # noqa: ANN401 - boto3 has no type for it
        """IAM, as the revoker that these are of, or with Countersign's own credentials."""
        ...


class BotoClients:
    """Real ones. boto3 finds Countersign's own credentials, and the variables AWS_ENDPOINT_URL_… where they are set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, str, str], Any] = {}

    def sts(self, region: str) -> Any:  # noqa: ANN401 - boto3 has no type for it
        """One client for each region."""
        return self._open("sts", region, None)

    def iam(self, region: str, keys: AwsCredentials | None) -> Any:  # noqa: ANN401 - boto3 has no type for it
        """One client for each region and access key."""
        return self._open("iam", region, keys)

    def _open(self, service: str, region: str, keys: AwsCredentials | None) -> Any:  # noqa: ANN401 - boto3's
        name = (service, region, keys.access_key_id if keys is not None else "")
        with self._lock:
            if (found := self._opened.get(name)) is not None:
                return found
            while len(self._opened) >= _MAX_KEPT:
                # A call that uses it goes on: only this reference is dropped.
                self._opened.pop(next(iter(self._opened)))
            client = self._opened[name] = open_client(service, region, keys=keys)
            return client
