"""Replay the chain of a device: who paired it, what was confirmed, and who ended it, against what its record says.

Invariant: pure. A device that has another owner, service or name than was confirmed is named, even if an honest change
sealed it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from core.access.device import Device, DeviceStatus
from core.audit.trail import AuditAction, AuditEntry


def compare_device(device: Device, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """In what a device contradicts its own chain, as sentences; its status is compared elsewhere."""
    found: Mapping[AuditAction, AuditEntry] = {entry.event: entry for entry in entries}
    if str(entries[0].actor) != device.owner:
        yield "it was confirmed by somebody else than its owner"
    revoked = found.get(AuditAction.DEVICE_REVOKED)
    if device.status is DeviceStatus.REVOKED and device.revoked_by != (revoked.actor if revoked is not None else None):
        yield "its revoke is not that of its entries"
    if len(entries) > len(found):
        yield "its entries say one thing more than once"
