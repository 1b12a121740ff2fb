"""Both databases behave as tests rely on: they answer, keep to one winner, and refuse what AWS refuses."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.harness.aws import dynamodb_client
from tests.harness.dynamodb_local import DynamoDbLocal, wait_until_ready

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ROOT = Path(__file__).resolve().parents[2]
_RACERS = 8
_START_AND_STAY = """
from tests.harness.dynamodb_local import DynamoDbLocal, wait_until_ready
server = DynamoDbLocal()
wait_until_ready(server.url, server.log)
print(server.url, server.log, flush=True)
input()
"""


@pytest.fixture(params=["moto", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
def url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def _create_table(client: DynamoDBClient, name: str) -> None:
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def _claim(client: DynamoDBClient, table: str, key: str, start: threading.Barrier) -> bool:
    start.wait(timeout=30)
    try:
        client.put_item(TableName=table, Item={"id": {"S": key}}, ConditionExpression="attribute_not_exists(id)")
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def test_of_many_conditional_writers_one_wins(url: str, table_prefix: str) -> None:
    with dynamodb_client(url) as client, ThreadPoolExecutor(_RACERS) as racers:
        _create_table(client, table_prefix)
        for key in ("first", "second", "third", "fourth", "fifth"):
            start = threading.Barrier(_RACERS)
            claims = [racers.submit(_claim, client, table_prefix, key, start) for _ in range(_RACERS)]
            assert sum(claim.result() for claim in claims) == 1


def test_tables_of_two_prefixes_know_nothing_of_each_other(url: str, table_prefix: str) -> None:
    with dynamodb_client(url) as client:
        for name in (f"{table_prefix}-one", f"{table_prefix}-two"):
            _create_table(client, name)
        client.put_item(TableName=f"{table_prefix}-one", Item={"id": {"S": "x"}})
        assert client.scan(TableName=f"{table_prefix}-two")["Items"] == []


@pytest.mark.engine
def test_dynamodb_local_refuses_a_reserved_word_as_aws_does(dynamodb_local_url: str, table_prefix: str) -> None:
    with dynamodb_client(dynamodb_local_url) as client:
        _create_table(client, table_prefix)
        with pytest.raises(ClientError, match="reserved keyword"):
            client.put_item(
                TableName=table_prefix,
                Item={"id": {"S": "x"}},
                ConditionExpression="attribute_not_exists(status)",
            )


@pytest.mark.engine
def test_a_stopped_server_is_gone_and_leaves_no_log() -> None:
    server = DynamoDbLocal()
    with server:
        wait_until_ready(server.url, server.log)
    server.stop()
    assert not server.log.exists()
    assert not _is_open(server.url)


@pytest.mark.engine
def test_a_server_ends_when_its_parent_is_killed() -> None:
    command = [sys.executable, "-c", _START_AND_STAY]
    with subprocess.Popen(  # noqa: S603  Every word of the command stands in this file.
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        url, log = parent.stdout.readline().split()
        assert _is_open(url)
        parent.kill()
    Path(log).unlink()
    deadline = time.monotonic() + 30
    while _is_open(url):
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.01)


def _is_open(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0)).close()
    except ConnectionRefusedError:
        return False
    return True
