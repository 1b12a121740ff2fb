"""What `/access help` and `/breakglass help` say: the lines that this person can really use.

Invariant: no line is offered that every rule would refuse to its reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.slack.app_surface import ACCESS, BREAK_GLASS
from bot.views.block_kit import Message
from bot.views.replies import NOTHING_TO_REQUEST, reply
from core.break_glass import ReasonCode


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a person can do by some rule of the policy. Deciding includes closing and reviewing events."""

    may_request: bool = True
    may_decide: bool = True
    may_declare: bool = True
    is_admin: bool = True
    may_start_later: bool = True
    reason_codes: Sequence[str] = tuple(ReasonCode)


ALL_ABILITIES: Final = Abilities()
_REQUESTING: Final = (
    f"`{ACCESS}` opens the form. What you type after it is filled in, in any order.",
    f"`{ACCESS} prod 2h deploy the fix for INC-12` requests access directly: profile, duration, justification.",
)
_LATER: Final = (
    f"`{ACCESS} prod 2h tomorrow 22:00 deploy the fix` requests access that starts then, by your clock.",
    "You can also write `at 22:00`, `monday 22:00` or `2026-11-24 22:00`.",
)
_OWN: Final = (
    f"`{ACCESS} mine` lists your requests.",
    f"`{ACCESS} end` ends your access early. With several, add the profile or the id: `{ACCESS} end prod`.",
    f"`{ACCESS} extend` requests more time for access you have. `{ACCESS} extend prod 2h` fills in the form.",
)
_DECIDING: Final = (
    f"`{ACCESS} pending` lists the requests waiting for your decision.",
    f"`{ACCESS} revoke <id> the incident is over` ends somebody's access, for approvers and admins.",
)
_TERMINALS: Final = (
    f"`{ACCESS} pair WDJB-MJHT` pairs the terminal that shows this code, after `countersign login`.",
    f"`{ACCESS} devices` lists your paired terminals, and ends them.",
)


def access_help(can: Abilities) -> Message:
    """What can be typed after `/access`."""
    live = "your own, and what you can approve" if can.may_decide else "your own"
    if can.is_admin:
        live = "everybody's"
    lines = [
        "*Request access*",
        *(_REQUESTING if can.may_request else [NOTHING_TO_REQUEST]),
        *(_LATER if can.may_request and can.may_start_later else []),
        *(_OWN if can.may_request or can.may_declare else []),
        f"`{ACCESS} live` lists who has access now: {live}.",
        f"`{ACCESS} notify` chooses which direct messages you get.",
        *_deciding(can),
        "*Terminals*",
        *_TERMINALS,
        "Write durations like `90m`, `2h` or `1h30m`.",
    ]
    return reply("\n".join(lines))


def break_glass_help(can: Abilities) -> Message:
    """What can be typed after `/breakglass`."""
    return reply("\n".join([*_declaring(can), *_following_up(can)]))


def _deciding(can: Abilities) -> Sequence[str]:
    if not can.may_decide and not can.is_admin:
        return []
    admins = [f"Everything a person has: `{ACCESS} revoke @person they left the team`."] if can.is_admin else []
    return ["*Decide*", *(_DECIDING if can.may_decide else _DECIDING[1:]), *admins]


def _declaring(can: Abilities) -> Sequence[str]:
    if not can.may_declare:
        return [
            "*Break the glass*",
            "No break-glass rule covers you: in an emergency, call the person on call.",
        ]
    return [
        "*Break the glass*",
        f"`{BREAK_GLASS}` opens the form. What you type after it is filled in, in any order:",
        f"`{BREAK_GLASS} prod the checkout is down`",
        f"`{BREAK_GLASS} prod incident 1h the checkout is down, see INC-12` gives you access immediately:",
        "profile, reason code, duration, justification.",
        f"Reason codes: {', '.join(can.reason_codes)}.",
        f"`{BREAK_GLASS} close` ends your own event early, with how it ended if you add it.",
    ]


def _following_up(can: Abilities) -> Sequence[str]:
    if not can.may_decide:
        return [f"`{BREAK_GLASS} active` lists your own active events."] if can.may_declare else []
    return [
        f"`{BREAK_GLASS} active` lists the active events you can close.",
        f"`{BREAK_GLASS} close <id> the checkout is back up` closes one of them.",
        f"`{BREAK_GLASS} reviews` lists the events waiting for your review.",
    ]
