"""Opens the panels of a playground: tampering, chaos and the policy editor.

Invariant: every panel has a name that is in the address of its requests, and in the snapshot.
"""

from __future__ import annotations

from core.audit.keyring import AuditKeyring
from core.clock import Clock
from core.stores.base import Stores
from localslack.server import LocalSlack
from playground.folder import Folder
from playground.page_panels import PagePanels, publisher
from playground.tamper import Tampering


def open_panels(
    folder: Folder, slack: LocalSlack, stores: Stores, keyring: AuditKeyring, clock: Clock, *, has_file: bool
) -> PagePanels:
    """The panels. With `has_file`, the records are in the folder's own file. Raises InvalidInput."""
    journal = slack.backend.journal
    file = folder.store_file if has_file else None
    tampering = Tampering(file, folder.originals, stores, keyring, clock, publisher(journal, "tamper"))
    return PagePanels({"tamper": tampering}, tampering.keep_copies)
