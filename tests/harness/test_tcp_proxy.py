"""Each fault does what it says: to the client, and to what the upstream has seen of the request."""

from __future__ import annotations

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ChecksumError, ClientError, ConnectionClosedError, HTTPClientError, ReadTimeoutError

from tests.harness import faults
from tests.harness.aws import dynamodb_client
from tests.harness.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

_HANGS_UP = (ConnectionClosedError, HTTPClientError, ChecksumError)


@pytest.fixture
def proxy(moto_url: str) -> Iterator[TcpProxy]:
    with TcpProxy(moto_url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: TcpProxy, table_prefix: str) -> Iterator[DynamoDBClient]:
    with dynamodb_client(proxy.url) as client:
        client.create_table(
            TableName=table_prefix,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        proxy.reset_counts()
        yield client


@pytest.fixture
def put(client: DynamoDBClient, table_prefix: str) -> Callable[[str], object]:
    return lambda key: client.put_item(TableName=table_prefix, Item={"id": {"S": key}})


@pytest.fixture
def stored(moto_url: str, table_prefix: str) -> Callable[[], set[str]]:
    """What the table holds, read past the proxy."""

    def read() -> set[str]:
        with dynamodb_client(moto_url) as direct:
            return {item["id"]["S"] for item in direct.scan(TableName=table_prefix)["Items"]}

    return read


def test_passes_everything_on_and_counts_by_operation(
    proxy: TcpProxy,
    client: DynamoDBClient,
    put: Callable[[str], object],
    table_prefix: str,
) -> None:
    put("a")
    put("b" * 2_000)
    assert len(client.scan(TableName=table_prefix)["Items"]) == 2
    assert proxy.counts == {"PutItem": 2, "Scan": 1}


@pytest.mark.parametrize("after_bytes", [0, 10, -1])
def test_cut_reply_has_taken_effect(
    proxy: TcpProxy,
    put: Callable[[str], object],
    stored: Callable[[], set[str]],
    after_bytes: int,
) -> None:
    proxy.next(faults.CutReply(after_bytes))
    with pytest.raises(_HANGS_UP):
        put("a")
    assert stored() == {"a"}
    put("b")
    assert stored() == {"a", "b"}


def test_cut_request_has_not(
    proxy: TcpProxy,
    put: Callable[[str], object],
    stored: Callable[[], set[str]],
) -> None:
    proxy.next(faults.CutRequest())
    with pytest.raises(_HANGS_UP):
        put("a")
    assert stored() == set()
    assert proxy.counts == {"PutItem": 1}


def test_swapped_reply_has_taken_effect(
    proxy: TcpProxy,
    put: Callable[[str], object],
    stored: Callable[[], set[str]],
) -> None:
    proxy.next(faults.SwapReply(faults.internal_server_error()))
    with pytest.raises(ClientError, match="InternalServerError"):
        put("a")
    assert stored() == {"a"}
    put("b")
    assert stored() == {"a", "b"}


def test_held_reply_outlasts_the_client_and_has_taken_effect(
    proxy: TcpProxy,
    put: Callable[[str], object],
    stored: Callable[[], set[str]],
    table_prefix: str,
) -> None:
    put("warm")
    hold = faults.HoldReply()
    proxy.next(hold)
    with dynamodb_client(proxy.url, Config(read_timeout=0.05)) as hasty, pytest.raises(ReadTimeoutError):
        hasty.put_item(TableName=table_prefix, Item={"id": {"S": "a"}})
    hold.wait_until_reached()
    assert stored() == {"warm", "a"}
    hold.release()
    hold.wait_until_finished()


def test_held_request_takes_effect_after_the_client_has_given_up(
    proxy: TcpProxy,
    client: DynamoDBClient,
    stored: Callable[[], set[str]],
    table_prefix: str,
) -> None:
    client.describe_table(TableName=table_prefix)
    hold = faults.HoldRequest()
    proxy.next(hold, only="PutItem")
    with dynamodb_client(proxy.url, Config(read_timeout=0.05)) as hasty, pytest.raises(ReadTimeoutError):
        hasty.put_item(TableName=table_prefix, Item={"id": {"S": "a"}})
    hold.wait_until_reached()
    assert stored() == set()
    hold.release()
    hold.wait_until_finished()
    assert stored() == {"a"}


def test_patient_client_gets_the_held_reply(proxy: TcpProxy, put: Callable[[str], object]) -> None:
    hold = faults.HoldReply()
    proxy.next(hold)
    with ThreadPoolExecutor(1) as other:
        pending = other.submit(put, "a")
        hold.wait_until_reached()
        assert not pending.done()
        hold.release()
        pending.result(timeout=120)


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        (faults.throttling(), "ThrottlingException", 400),
        (faults.throughput_exceeded(), "ProvisionedThroughputExceededException", 400),
        (faults.transaction_conflict(), "TransactionConflictException", 400),
        (faults.transaction_in_progress(), "TransactionInProgressException", 400),
        (faults.internal_server_error(), "InternalServerError", 500),
        (faults.unavailable_page(), "503", 503),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_canned_answer_reads_as_dynamodbs_own(
    proxy: TcpProxy,
    put: Callable[[str], object],
    stored: Callable[[], set[str]],
    answer: faults.Answer,
    code: str,
    status: int,
) -> None:
    proxy.next(answer)
    with pytest.raises(ClientError) as caught:
        put("a")
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert stored() == set()


def test_canceled_transaction_says_why_for_each_action(
    proxy: TcpProxy,
    client: DynamoDBClient,
    table_prefix: str,
) -> None:
    proxy.next(faults.transaction_canceled("None", "TransactionConflict"))
    with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
        client.transact_write_items(
            TransactItems=[{"Put": {"TableName": table_prefix, "Item": {"id": {"S": key}}}} for key in "ab"],
        )
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "TransactionConflict"]


def test_fault_for_one_operation_lets_the_others_pass(
    proxy: TcpProxy,
    client: DynamoDBClient,
    put: Callable[[str], object],
    table_prefix: str,
) -> None:
    proxy.next(faults.throttling(), only="PutItem")
    client.scan(TableName=table_prefix)
    with pytest.raises(ClientError):
        put("a")
    put("a")


def test_faults_come_in_order_and_as_often_as_asked(proxy: TcpProxy, put: Callable[[str], object]) -> None:
    proxy.next(faults.throttling(), times=2)
    proxy.next(faults.internal_server_error())
    codes = []
    for _ in range(3):
        with pytest.raises(ClientError) as caught:
            put("a")
        codes.append(caught.value.response["Error"]["Code"])
    assert codes == ["ThrottlingException", "ThrottlingException", "InternalServerError"]
    put("a")


def test_outage_lasts_until_it_is_cleared(proxy: TcpProxy, put: Callable[[str], object]) -> None:
    proxy.next(faults.CutRequest(), times=None)
    for _ in range(5):
        with pytest.raises(_HANGS_UP):
            put("a")
    proxy.clear()
    put("a")
    assert proxy.counts == {"PutItem": 6}


def test_many_clients_at_once_are_kept_apart(
    proxy: TcpProxy,
    put: Callable[[str], object],
    stored: Callable[[], set[str]],
) -> None:
    keys = {f"key-{number}" for number in range(40)}
    with ThreadPoolExecutor(8) as others:
        for pending in [others.submit(put, key) for key in keys]:
            pending.result(timeout=120)
    assert stored() == keys
    assert proxy.counts == {"PutItem": 40}


def test_closing_releases_what_is_held_and_passes_nothing_on(
    moto_url: str,
    put: Callable[[str], object],
    proxy: TcpProxy,
    stored: Callable[[], set[str]],
) -> None:
    hold = faults.HoldRequest()
    proxy.next(hold)
    with ThreadPoolExecutor(1) as other:
        pending = other.submit(put, "a")
        hold.wait_until_reached()
        proxy.close()
        with pytest.raises(_HANGS_UP):
            pending.result(timeout=120)
    assert stored() == set()
    assert not [thread for thread in threading.enumerate() if thread.name == "proxy connection"], moto_url


def test_chunked_bodies_pass_both_ways_on_one_connection() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
    with _Recorder([answer, answer]) as upstream, TcpProxy(upstream.url) as proxy:
        connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=120)
        for _ in range(2):
            connection.request("POST", "/x", body=iter([b"one", b"two"]), encode_chunked=True)
            assert connection.getresponse().read() == b"abcde"
        connection.close()
        assert proxy.counts == {"POST /x": 2}
        assert upstream.seen().count(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n") == 2


def test_reply_without_a_length_ends_with_its_connection() -> None:
    with _Recorder([b"HTTP/1.0 200 OK\r\n\r\nuntil the end"]) as upstream, TcpProxy(upstream.url) as proxy:
        connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=120)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"until the end"
        connection.close()


def test_upstream_that_hangs_up_ends_only_that_connection(proxy: TcpProxy) -> None:
    with (
        _Recorder([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"]) as upstream,
        TcpProxy(upstream.url) as broken,
    ):
        connection = http.client.HTTPConnection(urlsplit(broken.url).netloc, timeout=120)
        connection.request("GET", "/")
        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()
        connection.close()
    with dynamodb_client(proxy.url) as client:
        client.list_tables()


class _Recorder:
    """An upstream that takes one connection and gives each request the next of some prepared replies."""

    def __init__(self, replies: list[bytes]) -> None:
        self._replies = replies
        self._seen: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            for reply in self._replies:
                while not self.seen().endswith(b"\r\n\r\n"):
                    self._seen.append(connection.recv(65_536))
                connection.sendall(reply)
                self._seen.append(b"|")

    def seen(self) -> bytes:
        return b"".join(self._seen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(timeout=120)
        self._listener.close()
