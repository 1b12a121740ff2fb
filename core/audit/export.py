"""Choose entries of the audit trail, and write them as JSON Lines.

Invariant: pure. Nothing is re-ordered, and a line is the whole entry as it was sealed, so anyone with the key can check
each line on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from core.actor import ProfileName, UserId
from core.audit.canonical import canonical_json
from core.audit.trail import AuditEntry


def select_entries(
    entries: Iterable[AuditEntry], profile: ProfileName | None = None, person: UserId | None = None
) -> Iterator[AuditEntry]:
    """The entries about this profile, and by or about this person; None: any. The order stays, nothing is collected."""
    for entry in entries:
        is_about_profile = profile is None or entry.profile == profile
        if is_about_profile and (person is None or person in (entry.actor, entry.subject)):
            yield entry


def write_line(entry: AuditEntry) -> str:
    """One entry as one line of JSON in ASCII, without its line end: the text that its digest covers, and the digest."""
    return canonical_json(entry.to_item()).decode("ascii")
