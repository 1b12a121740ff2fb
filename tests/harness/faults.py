"""What can go wrong between a client and a database: each fault is a value to hand to a TcpProxy.

Invariant: a fault says for certain whether the upstream has seen the request, because that is what a test of lost
answers is about.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeAlias

_PATIENCE_SECONDS = 30.0
"""How long a test waits for a thread before it calls that a failure. It never waits this long when all is well."""


@dataclass(frozen=True, slots=True)
class CutRequest:
    """Hang up on the client. The upstream never gets the request."""


@dataclass(frozen=True, slots=True)
class CutReply:
    """Let the upstream answer, then hang up: it has happened, and the client does not know.

    `after_bytes` of the reply still reach the client, so the hang-up can come in the middle of it; -1 is all but one.
    Beware: boto3 takes a head that is cut between two headers for an empty reply with status 200, and in its "standard"
    retry mode a body that is cut, too.
    """

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that waits until the test lets it go on."""

    _reached: threading.Event = field(default_factory=threading.Event, init=False)
    _released: threading.Event = field(default_factory=threading.Event, init=False)
    _finished: threading.Event = field(default_factory=threading.Event, init=False)

    def release(self) -> None:
        """Let it go on, now or as soon as it gets there."""
        self._released.set()

    def wait_until_reached(self) -> None:
        """Return once a request is held here. For a held reply, the upstream has answered by then."""
        _wait(self._reached)

    def wait_until_finished(self) -> None:
        """Return once the held request has run its course, whether or not the client was still there."""
        _wait(self._finished)

    def pause(self) -> None:
        """For the proxy: say that this point is reached, and wait here."""
        self._reached.set()
        self._released.wait()

    def finish(self) -> None:
        """For the proxy: say that all is done."""
        self._finished.set()


@dataclass(frozen=True, slots=True)
class HoldRequest(Hold):
    """Keep the request back. Released, it reaches the upstream, even when the client has long given up."""


@dataclass(frozen=True, slots=True)
class HoldReply(Hold):
    """Let the upstream answer and keep the reply back: past a client's time-out, or past another client's write."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer instead of the upstream, which never gets the request.

    With `chunk_bytes`, the body goes in chunks of this size, without a length. `cut_at` bytes of the whole answer reach
    the client before the connection ends; -1 is all but one.
    """

    status: int
    body: bytes
    content_type: str = "application/x-amz-json-1.0"
    chunk_bytes: int | None = None
    cut_at: int | None = None
    checksum: bool = False

    def as_bytes(self) -> bytes:
        """The answer as it goes over the wire."""
        is_chunked = self.chunk_bytes is not None
        lines = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.content_type}",
            "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(self.body)}",
            "x-amzn-RequestId: 00000000-0000-4000-8000-000000000000",
            *((f"x-amz-crc32: {zlib.crc32(self.body)}",) if self.checksum else ()),
        )
        body = b"".join(self._chunks(self.chunk_bytes)) if self.chunk_bytes is not None else self.body
        whole = "\r\n".join([*lines, "", ""]).encode("ascii") + body
        return whole if self.cut_at is None else whole[: self.cut_at]

    def _chunks(self, size: int) -> Iterator[bytes]:
        for start in range(0, len(self.body), size):
            chunk = self.body[start : start + size]
            yield f"{len(chunk):x}".encode() + b"\r\n" + chunk + b"\r\n"
        yield b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class SwapReply:
    """Let the upstream answer, and say something else to the client: it has happened, and the answer says otherwise."""

    answer: Answer


Fault: TypeAlias = CutRequest | CutReply | HoldRequest | HoldReply | SwapReply | Answer


def throttling() -> Answer:
    """The account as a whole asks too much."""
    return _dynamodb_error("ThrottlingException", "Rate of requests exceeds the allowed throughput.")


def unprocessed_keys(table: str, *keys: Mapping[str, object]) -> Answer:
    """A busy table read none of the keys; it asks for them to be asked for again."""
    body = json.dumps({"Responses": {}, "UnprocessedKeys": {table: {"Keys": keys, "ConsistentRead": True}}}).encode()
    return Answer(200, body, checksum=True)


def throughput_exceeded() -> Answer:
    """One table or one key is asked too much."""
    return _dynamodb_error(
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded.",
    )


def transaction_conflict() -> Answer:
    """A single-item write met a transaction in progress on that item."""
    return _dynamodb_error("TransactionConflictException", "Transaction is ongoing for the item")


def transaction_in_progress() -> Answer:
    """A transaction with the same client token has not finished yet."""
    return _dynamodb_error("TransactionInProgressException", "The transaction with the given token is in progress.")


def transaction_canceled(*codes: str) -> Answer:
    """A transaction was called off; one code per action, in order, by default a conflict on the first of two.

    Real codes: None, ConditionalCheckFailed, TransactionConflict, ProvisionedThroughputExceeded, ThrottlingError,
    ItemCollectionSizeLimitExceeded, ValidationError.
    """
    codes = codes or ("TransactionConflict", "None")
    reasons = [{"Code": "None"} if code == "None" else {"Code": code, "Message": f"{code}."} for code in codes]
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
    return _dynamodb_error("TransactionCanceledException", message, CancellationReasons=reasons)


def expired_credentials() -> Answer:
    """The caller's session ended; no retry can fix that."""
    return _dynamodb_error("ExpiredTokenException", "The security token included in the request is expired")


def internal_server_error() -> Answer:
    """DynamoDB itself failed; whether the request took effect is then unknown, though here it did not."""
    return _dynamodb_error("InternalServerError", "Internal server error", status=500)


def unavailable_page() -> Answer:
    """What a load balancer says in place of DynamoDB: a page, not JSON."""
    return Answer(503, b"<html><body><h1>503 Service Unavailable</h1></body></html>", content_type="text/html")


def _dynamodb_error(kind: str, message: str, *, status: int = 400, **more: object) -> Answer:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": message, **more}
    return Answer(status, json.dumps(body).encode())


def _wait(event: threading.Event) -> None:
    if not event.wait(_PATIENCE_SECONDS):
        raise TimeoutError(f"nothing got there within {_PATIENCE_SECONDS:.0f} s")
