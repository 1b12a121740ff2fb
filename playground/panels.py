"""Opens the panels of a playground: tampering, chaos and the policy editor.

Invariant: every panel has a name that is in the address of its requests, and in the snapshot.
"""

from __future__ import annotations

from core.audit.keyring import AuditKeyring
from core.stores.base import Stores
from localslack.server import LocalSlack
from playground.bot_process import BotProcess
from playground.bots_clock import SkewedClock
from playground.chaos import Chaos
from playground.folder import Folder
from playground.on_call_panel import OnCallPanel
from playground.page_panels import PagePanel, PagePanels, publisher
from playground.pager_panel import PagerPanel
from playground.policy_editor import PolicyEditor
from playground.policy_explaining import Explainer
from playground.pretend_on_call import PretendOnCall
from playground.tamper import Tampering


def open_panels(
    folder: Folder,
    slack: LocalSlack,
    bot: BotProcess,
    stores: Stores,
    keyring: AuditKeyring,
    clock: SkewedClock,
    on_call: PretendOnCall,
    *,
    has_file: bool,
) -> PagePanels:
    """The panels. With `has_file`, the records are in the folder's own file. Raises InvalidInput."""
    journal = slack.backend.journal
    file = folder.store_file if has_file else None
    tampering = Tampering(file, folder.originals, stores, keyring, clock, publisher(journal, "tamper"))
    chaos = Chaos(slack, bot, clock, publisher(journal, "chaos"))
    explainer = Explainer(slack.workspace, clock.now, on_call.duties)
    editor = PolicyEditor(folder.policy, lambda: bot.policy if bot.is_running else None, explainer)
    named: dict[str, PagePanel] = {
        "tamper": tampering,
        "chaos": chaos,
        "policy": editor,
        "on_call": OnCallPanel(on_call, publisher(journal, "on_call")),
        "pager": PagerPanel(on_call.pager, bot.read_acknowledgements, publisher(journal, "pager")),
    }
    return PagePanels(named, tampering.keep_copies)
