"""Which connections a web server keeps when there are more than it can hold, and how many bytes it buffers unverified.

Invariant: there are never more connections than the limit. The oldest that Slack never signed a request on makes room
first; one whose request is being answered never does. Unverified bytes, all connections together, stay below the bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol, Self

from bot.observability.metrics import TurnedAway
from bot.transport.file_limit import connections_for, raise_file_limit

HEAD_TIMEOUT_SECONDS: Final = 5.0
REQUEST_TIMEOUT_SECONDS: Final = 10.0
"""Slack itself gives up after three."""
MAX_UNVERIFIED_BYTES: Final = 32 * 1024 * 1024
_ADDRESSES: Final = 8
"""One address may hold this part of the connections unverified. A load balancer is one address for all of Slack, but
Slack's requests are unverified for milliseconds only."""
_SITE_BITS: Final = 64
"""One customer of a provider usually has a whole /64."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of one server."""

    connections: int
    unverified_per_address: int
    unverified_bytes: int = MAX_UNVERIFIED_BYTES
    head_seconds: float = HEAD_TIMEOUT_SECONDS
    request_seconds: float = REQUEST_TIMEOUT_SECONDS

    @classmethod
    def of_this_process(cls) -> Self:
        """As many as the process may open files for, which this raises as far as it is allowed to."""
        connections = connections_for(raise_file_limit())
        return cls(connections, max(connections // _ADDRESSES, 1))


class HeldConnection(Protocol):
    """The part of a connection that the table needs."""

    @property
    def site(self) -> str:
        """Where it comes from, as `site_of` says."""
        ...

    @property
    def is_answering(self) -> bool:
        """Whether a verified request is being answered."""
        ...

    def refuse(self, reason: TurnedAway) -> None:
        """Close it now, with a short answer if a request has begun. Doesn't raise."""
        ...


class ConnectionTable:
    """The open connections of one server. Used on the server's own thread only."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._unverified: dict[HeldConnection, None] = {}
        """The oldest first."""
        self._by_site: dict[str, dict[HeldConnection, None]] = {}
        self._verified: dict[HeldConnection, None] = {}
        """The one whose last verified request is longest ago first."""
        self._bytes: dict[HeldConnection, int] = {}
        self._total_bytes = 0

    def __len__(self) -> int:
        return len(self._unverified) + len(self._verified)

    @property
    def unverified_bytes(self) -> int:
        """The bytes that wait for their signature to be verified."""
        return self._total_bytes

    def add(self, connection: HeldConnection) -> None:
        """A new connection. Others are refused to make room, or this one if all others are being answered."""
        self._unverified[connection] = None
        site = self._by_site.setdefault(connection.site, {})
        site[connection] = None
        if len(site) > self.limits.unverified_per_address:
            self._refuse(next(iter(site)))
        elif len(self) > self.limits.connections:
            self._refuse(self._choose(connection))

    def verify(self, connection: HeldConnection) -> None:
        """Its request is Slack's: it counts for its address no longer, nor do its bytes."""
        if connection in self._unverified or connection in self._verified:
            self._forget(connection)
            self._verified[connection] = None

    def hold(self, connection: HeldConnection, size: int) -> None:
        """It buffers this many bytes that are not verified. The connections that hold most are refused if need be."""
        self._total_bytes += size - self._bytes.pop(connection, 0)
        if size:
            self._bytes[connection] = size
        while self._total_bytes > self.limits.unverified_bytes:
            # Not the newest: a busy sender would keep everybody else out.
            self._refuse(max(self._bytes, key=self._bytes.__getitem__))

    def held(self, connection: HeldConnection) -> int:
        """How many bytes that are not verified it buffers."""
        return self._bytes.get(connection, 0)

    def remove(self, connection: HeldConnection) -> None:
        """It was closed. Idempotent."""
        self._forget(connection)

    def _choose(self, newest: HeldConnection) -> HeldConnection:
        oldest = next(iter(self._unverified))
        if oldest is not newest:
            return oldest
        return next((each for each in self._verified if not each.is_answering), newest)

    def _refuse(self, connection: HeldConnection) -> None:
        self._forget(connection)
        connection.refuse(TurnedAway.TOO_BUSY)

    def _forget(self, connection: HeldConnection) -> None:
        self._verified.pop(connection, None)
        self._total_bytes -= self._bytes.pop(connection, 0)
        if connection in self._unverified:
            del self._unverified[connection]
            site = self._by_site[connection.site]
            del site[connection]
            if not site:
                del self._by_site[connection.site]


def site_of(host: str | None) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return host or ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> _SITE_BITS << _SITE_BITS)}/{_SITE_BITS}"
    return str(address)
