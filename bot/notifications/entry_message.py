"""A committed entry as JSON for other programs: one format for webhooks and SNS.

Invariant: the same entry gives the same bytes at every delivery, so receivers may compare them. The message contains
what the audit trail contains, and no secret.
"""

from __future__ import annotations

from core.audit.canonical import canonical_json
from core.audit.trail import AuditEntry
from core.clock import format_time


def write_entry(entry: AuditEntry) -> str:
    """`type`, `timestamp` and `data`, as Standard Webhooks recommends; `data` is what `audit export` writes."""
    message = {"type": str(entry.event), "timestamp": format_time(entry.at), "data": entry.to_item()}
    return canonical_json(message).decode("ascii")
