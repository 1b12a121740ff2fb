"""The buttons about access that is open: end it, or ask for more time.

Invariant: a button carries the chain of its source and nothing else, and is drawn only while it can work.
"""

from __future__ import annotations

from typing import Final

from bot.views.block_kit import Block, actions, button
from core.access.grant_status import AccessPhase
from core.access.summary import AccessSummary

END_ACCESS: Final = "end_access"
EXTEND_ACCESS: Final = "extend_access"


def access_buttons(access: AccessSummary, *others: Block, may_extend: bool = False) -> list[Block]:
    """One row with the buttons that can still work, and `others`; none when there are none.

    `may_extend` offers more time, too.
    """
    buttons: list[Block] = []
    if access.may_end:
        done = "Cancel access" if access.phase is AccessPhase.SCHEDULED else "I'm done"
        buttons.append(button(done, END_ACCESS, access.source))
    if may_extend and access.may_extend:
        buttons.append(button("Extend…", EXTEND_ACCESS, access.source))
    buttons += others
    return [actions(f"access:{access.source}", *buttons)] if buttons else []
