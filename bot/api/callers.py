"""Where a call comes from, and what is refused before anything is read: by its head alone.

Invariant: nothing here waits, and nothing reads a body or the store. A header that anybody could write names an address
only if the connection comes from a proxy that the settings name. A web page gets nothing.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.requests import Request

from bot.api.endpoints import Endpoint
from bot.api.problems import Problem, ProblemCode
from bot.api.rate_limits import CallRates, TokenBuckets
from bot.api.refusals import ApiRefusal, busy, unauthorized
from bot.transport.connections import site_of

MAX_BODY_BYTES: Final = 64 * 1024
_BEARER = re.compile(r"bearer +(?P<token>cst_[0-9a-f]{16}_[A-Za-z0-9_-]{40,60})", re.IGNORECASE)
_JSON = re.compile(r"application/json(\s*;.*)?", re.IGNORECASE)
_KNOWN_TOKENS: Final = 4_096
_CLAIMED_LENGTH: Final = 20
"""`cst_` and a device's id."""
MAX_UNKNOWN: Final = 300
"""How many tokens of one address may be looked up at once that weren't valid lately: strangers fill no lane."""
_ADDRESS_LENGTH: Final = 64
NO_TOKEN: Final = "Nothing was changed. Pair it with: countersign login"  # noqa: S105 - a sentence for people
_WEB_PAGE: Final = "Countersign's API is for programs: it answers no web page. Nothing was changed."

Network = IPv4Network | IPv6Network


def address_of(request: Request, proxies: Sequence[Network]) -> str:
    """The address that the call comes from: the peer's, or the last one that our own proxies didn't add."""
    peer = request.client.host if request.client is not None else ""
    if not _is_in(peer, proxies):
        return peer
    hops = [each.strip() for line in request.headers.getlist("x-forwarded-for") for each in line.split(",")]
    for hop in reversed(hops):
        if not _is_address(hop):
            # What stands before it may have been written by anybody.
            break
        if not _is_in(hop, proxies):
            return hop
    return peer


def read_token(headers: Headers) -> SecretStr:
    """The bearer token. Raises ApiRefusal when there is none, or it can't be one of ours."""
    found = _BEARER.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise ApiRefusal(unauthorized(NO_TOKEN))
    return SecretStr(found["token"])


def check_head(endpoint: Endpoint, headers: Headers) -> None:
    """Refuse what comes from a web page, has a body that is too large, or is of another type. Raises ApiRefusal."""
    if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
        raise ApiRefusal(Problem.of(ProblemCode.NOT_ALLOWED, "Not for web pages", _WEB_PAGE))
    if "transfer-encoding" in headers and "content-length" in headers:
        # A proxy that believes the other one would take the rest of this body for somebody's next call.
        detail = "Send Content-Length or Transfer-Encoding, not both. Nothing was changed."
        status = HTTPStatus.BAD_REQUEST
        raise ApiRefusal(
            Problem.of(
                ProblemCode.INVALID_INPUT, "The length isn't clear", detail, status=status, field="content-length"
            )
        )
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise ApiRefusal(too_large())
    if endpoint.body is not None and not _JSON.fullmatch(headers.get("content-type", "")):
        detail = "Send it as application/json. Nothing was changed."
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        raise ApiRefusal(
            Problem.of(ProblemCode.INVALID_INPUT, "The body isn't JSON", detail, status=status, field="content-type")
        )


def too_large() -> Problem:
    """The body has more bytes than any call needs."""
    detail = f"A body has at most {MAX_BODY_BYTES // 1024} KiB. Nothing was changed."
    return Problem.of(ProblemCode.TOO_LARGE, "The body is too large", detail)


class CallerLimits:
    """Counts calls by device and by address, before they cost anything. Used on the server's own thread only.

    A token that was valid lately is known by its digest: its device is counted apart, and what others at the same
    address do can't keep it out.
    """

    def __init__(self, limits: CallRates) -> None:
        self._devices = TokenBuckets(limits.device)
        self._pairing = TokenBuckets(limits.pairing)
        self._exchange = TokenBuckets(limits.exchange)
        self._failures = TokenBuckets(limits.failures)
        self._unpaired = TokenBuckets(limits.unpaired)
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self._unknown: Counter[str] = Counter()
        """The look-ups of tokens that weren't known, in progress, by address."""

    def admit_stranger(self, endpoint: Endpoint, address: str) -> None:
        """A call without a device. Raises ApiRefusal when the address made too many."""
        buckets = {"start_pairing": self._pairing, "exchange_pairing": self._exchange}
        buckets.get(endpoint.name, self._unpaired).take(site_of(address))

    def admit_token(self, token: SecretStr, address: str) -> str:
        """Who is counted for this token: its device if it is known, or the address. Raises ApiRefusal."""
        device, site = self._known.get(_digest(token)), site_of(address)
        if device is not None:
            self._devices.take(device)
            return device
        self._failures.check(site)
        if self._unknown[site] >= MAX_UNKNOWN:
            raise ApiRefusal(busy())
        self._unknown[site] += 1
        # What it says of itself: after a restart, all machines of an office come at once, from one address.
        return f"{site} {token.get_secret_value()[:_CLAIMED_LENGTH]}"

    def note_looked_up(self, counted_for: str, address: str) -> None:
        """The look-up of a token that wasn't known has ended, however it did."""
        site = site_of(address)
        if counted_for.startswith(f"{site} "):
            self._unknown[site] -= 1
            if self._unknown[site] <= 0:
                del self._unknown[site]

    def note_valid(self, token: SecretStr, device: str) -> None:
        """The token was valid. Raises ApiRefusal when the device made too many calls with tokens that weren't known."""
        digest = _digest(token)
        if digest not in self._known:
            self._devices.take(device)
        self._known[digest] = device
        self._known.move_to_end(digest)
        while len(self._known) > _KNOWN_TOKENS:
            self._known.popitem(last=False)

    def note_invalid(self, token: SecretStr, address: str) -> None:
        """The token was not valid, or is no longer. Raises ApiRefusal when there were too many at this address."""
        self._known.pop(_digest(token), None)
        self._failures.take(site_of(address))


def _digest(token: SecretStr) -> bytes:
    return sha256(token.get_secret_value().encode()).digest()


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text[:_ADDRESS_LENGTH])
    except ValueError:
        return False
    return len(text) <= _ADDRESS_LENGTH
