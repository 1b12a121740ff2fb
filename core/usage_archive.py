"""What a ledger keeps of usages that are no longer among its newest: a moment and an id each, packed.

Invariant: a packed usage takes 17 bytes before base64, so that a ledger of a thousand usages costs a call little more
than one of ten. What was packed is read back exactly, in the same order.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator

_PACKED: Final = struct.Struct(">Q8sB")
"""Microseconds since 1970, the event's id, and 1 if the usage is waived."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)


class PastUsage(NamedTuple):
    """A usage as a quota counts it. `is_waived` means that it counts against none."""

    at: datetime
    event_id: str
    is_waived: bool


def pack_usages(usages: Iterable[PastUsage]) -> str:
    """These usages as text; empty for none."""
    packed = (
        _PACKED.pack((usage.at - _EPOCH) // _TICK, bytes.fromhex(usage.event_id), usage.is_waived) for usage in usages
    )
    return base64.b64encode(b"".join(packed)).decode()


def unpack_usages(text: str, after: datetime = _EPOCH) -> list[PastUsage]:
    """What was packed, of usages after a moment. Raises ValueError for anything else than packed usages."""
    first = (after - _EPOCH) // _TICK
    return [
        PastUsage(_EPOCH + moment * _TICK, event_id.hex(), bool(is_waived))
        for moment, event_id, is_waived in _PACKED.iter_unpack(_decode(text))
        if moment > first
    ]


def is_packed(event_id: str, text: str) -> bool:
    """True when the usage of this event is among those that were packed."""
    wanted, packed = bytes.fromhex(event_id), _decode(text)
    return any(found == wanted for _, found, _ in _PACKED.iter_unpack(packed)) if wanted in packed else False


def _decode(text: str) -> bytes:
    try:
        packed = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("these are no packed usages") from error
    if len(packed) % _PACKED.size:
        raise ValueError("these are no packed usages")
    return packed


def _check(text: str) -> str:
    # Any eight bytes are a number, but not every number of microseconds is a date.
    latest = (_LATEST - _EPOCH) // _TICK
    if any(moment > latest for moment, _, _ in _PACKED.iter_unpack(_decode(text))):
        raise ValueError("these are no packed usages")
    return text


PackedUsages = Annotated[str, AfterValidator(_check)]
"""Usages as `pack_usages` writes them."""
