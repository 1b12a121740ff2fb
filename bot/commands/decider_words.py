"""How a command line for people names those who caused a change.

Invariant: a Slack id is shown only where no name is known.
"""

from __future__ import annotations

from typing import Final

from core.actor import CLOCK, OPERATOR, SLACK
from core.targets.words import one_line

_POLICY: Final = "policy:"
_WORDS: Final = {str(CLOCK): "the clock", str(OPERATOR): "an operator", str(SLACK): "Slack"}
_MAX_LENGTH: Final = 60


def name_decider(decider: str, name: str | None, reader: str) -> str:
    """`you`, the person's name, or what else it was. `reader` is the Slack id of the person who reads this."""
    if decider == reader:
        return "you"
    if decider.startswith(_POLICY):
        return f"the policy (rule {one_line(decider.removeprefix(_POLICY), _MAX_LENGTH)})"
    return one_line(name, _MAX_LENGTH) or _WORDS.get(decider) or one_line(decider, _MAX_LENGTH)
