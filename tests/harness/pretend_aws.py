"""The pretend AWS for tests: two accounts, the broker's role in one, a target role in each.

Invariant: no client made here reads the environment, a profile, or a machine's metadata, and none retries.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from playground.pretend_aws import AwsKeys, PretendAws
from tests.harness.aws import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.clock import Clock

BROKER_ACCOUNT: Final = "999999999999"
TARGET_ACCOUNT: Final = "111122223333"
BROKER: Final = f"arn:aws:iam::{BROKER_ACCOUNT}:role/countersign-broker"
PROD: Final = f"arn:aws:iam::{TARGET_ACCOUNT}:role/prod-admin"
LOCAL: Final = f"arn:aws:iam::{BROKER_ACCOUNT}:role/tools-admin"
"""A target role in the broker's own account: its denies need no role to edit them with."""
REVOKER: Final = f"arn:aws:iam::{TARGET_ACCOUNT}:role/countersign-revoker"
EXTERNAL_ID: Final = "countersign-tests"
ALLOW_ALL: Final[Mapping[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def broker_policy() -> dict[str, Any]:
    """What the broker may do: assume with a source identity and tags, and edit what its own account's roles deny."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"],
                "Resource": [PROD, LOCAL, REVOKER],
            },
            {"Effect": "Allow", "Action": _EDIT_POLICIES, "Resource": LOCAL},
        ],
    }


def trust_policy(principal: str = BROKER, external_id: str | None = EXTERNAL_ID) -> dict[str, Any]:
    """A role that its principal may assume with all that Countersign sets."""
    conditions: dict[str, Any] = {"StringLike": {"sts:SourceIdentity": "countersign-*"}}
    if external_id is not None:
        conditions["StringEquals"] = {"sts:ExternalId": external_id}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": principal},
                "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"],
                "Condition": conditions,
            }
        ],
    }


@contextmanager
def serve_pretend_aws(clock: Clock, *, delay: timedelta = timedelta()) -> Iterator[PretendAws]:
    """The pretend AWS on a free port, with the accounts and roles of this module."""
    with PretendAws(clock, delay=delay) as aws:
        add_accounts(aws)
        yield aws


def add_accounts(aws: PretendAws) -> None:
    """The roles of this module, as they are at first."""
    aws.add_role(BROKER, trust=trust_policy(BROKER_ACCOUNT), policies={"broker": broker_policy()})
    for role in (PROD, LOCAL):
        aws.add_role(role, trust=trust_policy(), policies={"work": ALLOW_ALL}, max_session_seconds=4 * 3600)
    edit = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": _EDIT_POLICIES, "Resource": PROD}]}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": BROKER}, "Action": "sts:AssumeRole"}],
    }
    aws.add_role(REVOKER, trust=trust, policies={"edit": edit})


def aws_client(service: str, aws: PretendAws, keys: AwsKeys, *, region: str = REGION) -> Any:  # noqa: ANN401
    """A real boto3 client of one service of the pretend AWS, which sends each call once."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=10)
    with _making:
        return _session().client(
            service,
            endpoint_url=aws.url,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token,
            region_name=region,
            config=config,
        )


@cache
def _session() -> Any:  # noqa: ANN401 - its clients are typed by their names only.
    # One session for all: each new one reads botocore's descriptions of the services again.
    return boto3.session.Session(region_name=REGION)


_making = threading.Lock()
"""Sessions are not safe to share between threads; the clients that they make are."""


def read_keys(answer: Mapping[str, Any]) -> AwsKeys:
    """The credentials of an AssumeRole's answer."""
    found = answer["Credentials"]
    return AwsKeys(
        access_key_id=found["AccessKeyId"],
        secret_access_key=found["SecretAccessKey"],
        session_token=found["SessionToken"],
    )


_EDIT_POLICIES: Final = [
    "iam:PutRolePolicy",
    "iam:GetRolePolicy",
    "iam:ListRolePolicies",
    "iam:DeleteRolePolicy",
    "iam:GetRole",
]
