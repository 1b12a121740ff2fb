"""The background work of `serve` and `sweep`: expire, remind, deliver, and make access take effect."""

from bot.background.access import AccessWork
from bot.background.sweeper import OutboxState, Sweeper, Swept, TerminalWork

__all__ = ["AccessWork", "OutboxState", "Sweeper", "Swept", "TerminalWork"]
