"""One HTTP/1.1 message read off a stream, kept as the bytes it came in.

Invariant: reading takes exactly one message from the stream; what follows it stays there for the next reading.
`Expect: 100-continue` is not understood: no client of DynamoDB sends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

_NO_BODY = frozenset({"204", "304"})


class BrokenMessageError(Exception):
    """The stream ended inside a message, or holds something that is not HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class HttpMessage:
    """A request or a reply: its first line, its headers with lowercase names, and all its bytes."""

    first_line: str
    headers: dict[str, str]
    raw: bytes
    ends_connection: bool

    @property
    def operation(self) -> str:
        """What a request asks for: `PutItem` from `X-Amz-Target: DynamoDB_20120810.PutItem`, else `GET /path`."""
        target = self.headers.get("x-amz-target")
        return target.rpartition(".")[2] if target else self.first_line.rpartition(" ")[0]


def read_request(stream: BinaryIO) -> HttpMessage | None:
    """The next request, or None when the client has hung up between two of them."""
    head = _read_head(stream)
    if head is None:
        return None
    first_line, headers, raw = head
    if _is_chunked(headers):
        raw += _read_chunks(stream)
    else:
        raw += _read_exactly(stream, int(headers.get("content-length", "0")))
    return HttpMessage(first_line, headers, raw, _ends_connection(first_line, headers))


def read_reply(stream: BinaryIO, request: HttpMessage) -> HttpMessage:
    """The reply to `request`."""
    head = _read_head(stream)
    if head is None:
        raise BrokenMessageError("the upstream hung up instead of answering")
    first_line, headers, raw = head
    ends = _ends_connection(first_line, headers)
    status = first_line.split(" ")[1]
    if status in _NO_BODY or request.first_line.startswith("HEAD "):
        return HttpMessage(first_line, headers, raw, ends)
    if _is_chunked(headers):
        return HttpMessage(first_line, headers, raw + _read_chunks(stream), ends)
    if "content-length" in headers:
        return HttpMessage(first_line, headers, raw + _read_exactly(stream, int(headers["content-length"])), ends)
    # Without a length, only the end of the connection marks the end of the body.
    return HttpMessage(first_line, headers, raw + stream.read(), ends_connection=True)


def _read_head(stream: BinaryIO) -> tuple[str, dict[str, str], bytes] | None:
    first = stream.readline()
    if not first:
        return None
    lines = [first]
    while lines[-1] != b"\r\n":
        lines.append(_read_line(stream))
    first_line = first.decode("latin-1").rstrip("\r\n")
    if "HTTP/1." not in first_line:
        raise BrokenMessageError(f"not HTTP/1: {first_line[:80]!r}")
    fields = (line.decode("latin-1").partition(":") for line in lines[1:-1])
    return first_line, {name.strip().lower(): value.strip() for name, _, value in fields}, b"".join(lines)


def _read_chunks(stream: BinaryIO) -> bytes:
    parts: list[bytes] = []
    size = -1
    while size != 0:
        size_line = _read_line(stream)
        size = int(size_line.partition(b";")[0], 16)
        parts += [size_line, _read_exactly(stream, size + 2) if size else b""]
    # Behind the last chunk come trailers, if any, and always an empty line.
    while parts[-1] != b"\r\n":
        parts.append(_read_line(stream))
    return b"".join(parts)


def _read_line(stream: BinaryIO) -> bytes:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise BrokenMessageError("the stream ended inside a message")
    return line


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    body = stream.read(size)
    if len(body) != size:
        raise BrokenMessageError("the stream ended inside a message")
    return body


def _is_chunked(headers: dict[str, str]) -> bool:
    return headers.get("transfer-encoding", "").lower().endswith("chunked")


def _ends_connection(first_line: str, headers: dict[str, str]) -> bool:
    wish = headers.get("connection", "").lower()
    return wish == "close" or ("HTTP/1.0" in first_line and wish != "keep-alive")
