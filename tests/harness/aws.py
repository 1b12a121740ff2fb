"""DynamoDB clients for the engines, with made-up credentials.

Invariant: no client made here reads the environment's credentials, a profile, or a machine's metadata, so that a test
can never reach somebody's account.
"""

from __future__ import annotations

import threading
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mypy_boto3_dynamodb import DynamoDBClient

REGION = "eu-west-1"
ACCESS_KEY_ID = "COUNTERSIGNTEST"  # DynamoDB Local accepts letters and digits only.
SECRET_ACCESS_KEY = "made-up"

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    "AWS_DEFAULT_REGION": REGION,
    # Without these, boto3 would look into the developer's own files, and on a cloud machine ask for its role.
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""The same credentials as environment variables, for code that opens a store by its URL."""


_making = threading.Lock()
"""Sessions are not safe to share between threads; the clients that they make are."""


def dynamodb_client(endpoint_url: str, config: Config | None = None) -> AbstractContextManager[DynamoDBClient]:
    """A client of the engine at `endpoint_url`, closed at the end of the `with`.

    boto3's own retries are off, so that a test sees each failure once. `config` is merged over that.
    """
    # In boto3's "standard" mode, half a reply would pass for an empty one: only "legacy" refuses a wrong checksum.
    plain = Config(
        retries={"mode": "legacy", "total_max_attempts": 1},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=64,
    )
    with _making:
        merged = plain.merge(config) if config else plain
        return closing(_session().client("dynamodb", endpoint_url=endpoint_url, config=merged))


@cache
def _session() -> boto3.session.Session:
    # One session for all: each new one reads botocore's description of DynamoDB again, which takes a while.
    return boto3.session.Session(
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        region_name=REGION,
    )
