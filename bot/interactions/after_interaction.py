"""What happens beside the reply to an interaction: deliver what was committed, refresh a card, redraw a Home tab.

Invariant: nothing here is waited for, and nothing raises. A card that many people found outdated is refreshed once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.interactions.interaction import Interaction
from bot.interactions.lanes import Lanes
from bot.observability.metrics import Lane
from bot.views.block_kit import Message
from core.stores.messages import MessageRef


@dataclass(frozen=True, slots=True)
class AfterInteraction:
    """See bot.interactions.responder.CommitHooks.

    `nudge` starts a delivery; `refresh` updates a record's card, and the clicked message; `draw_home` draws a Home tab
    with an outcome.
    """

    nudge: Callable[[], None]
    refresh: Callable[[str, MessageRef | None], None]
    draw_home: Callable[[Interaction, Message], None]
    lanes: Lanes

    def committed(self) -> None:
        """Deliver soon what was committed."""
        self.nudge()

    def found_stale(self, record: str, interaction: Interaction) -> None:
        """Refresh the card in the background, once for all who click the same message until then."""
        clicked = interaction.message
        key = f"{record} {clicked.channel} {clicked.ts}" if clicked is not None else record
        self.lanes.submit(Lane.CARD, interaction.user_id, lambda: self.refresh(record, clicked), key=key)

    def acted_at_home(self, interaction: Interaction, message: Message) -> None:
        """Draw the Home tab with the outcome."""
        self.draw_home(interaction, message)
