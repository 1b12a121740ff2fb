"""What people read after they paired, refused or ended a terminal, and why a code can't be used.

Invariant: each reply says what happened, whether anything changed, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.slack.app_surface import ACCESS
from bot.views.access.list import AccessRow, access_row
from bot.views.block_kit import Block, Message, code, code_line, divider, escape, mrkdwn
from bot.views.devices.facts import host
from bot.views.replies import reply
from core.access.pairing import Pairing, PairingExpired, PairingRefused, PairingUnknown
from core.access.summary import AccessSummary
from core.services.device_ending import EndedDevice

_MAX_LISTED = 8


def terminal_paired(pairing: Pairing) -> Message:
    """The person confirmed that the terminal is theirs."""
    service = f" for the service {code(pairing.service)}" if pairing.service is not None else ""
    return reply(
        f"Confirmed: {host(pairing.name)} is being paired{service}. Your terminal continues in a few seconds, and "
        f"you get a message about it. To see your devices:\n{code_line(ACCESS, 'devices')}"
    )


def pairing_refused(pairing: Pairing) -> Message:
    """The person said that the terminal isn't theirs."""
    return reply(
        f"Refused: {host(pairing.name)} was not paired, and the code is void. If somebody sent you this code, tell "
        "your security team: they may try it with others."
    )


def explain_pairing(refusal: PairingUnknown | PairingExpired | PairingRefused) -> Message:
    """Why a code can't be used."""
    match refusal:
        case PairingUnknown(tries_left=0):
            return reply(
                "Wrong code, and there were too many: you can't pair for the next 15 minutes. Nothing was paired."
            )
        case PairingUnknown(tries_left=left):
            attempts = f"{left} {'attempt' if left == 1 else 'attempts'} left"
            return reply(f"Wrong code; {attempts}. Nothing was paired. Check the code in your terminal.")
        case PairingExpired(problem=problem):
            return reply(f"This code {escape(problem)}. Nothing was paired. Start again in your terminal: {_LOGIN}")
        case PairingRefused(problem=problem):
            return reply(f"This pairing {escape(problem)}. Nothing was paired. If that was a mistake: {_LOGIN}")


def device_ended(done: EndedDevice) -> Message:
    """A person ended a device of theirs."""
    line = f"{host(done.device.name)} is signed out{_credentials(done)}. To use it again, pair it anew."
    return reply("\n".join([line, *_failures(done)]))


def device_disowned(
    done: EndedDevice, still_open: Sequence[AccessSummary], now: datetime, *, has_alarm: bool = False
) -> Message:
    """Somebody said that they never paired a device: what was done, and what they should do.

    `has_alarm`: the security channel reads it, too.
    """
    told = " The security team has been notified." if has_alarm else ""
    cancelled = ", ".join(dict.fromkeys(code(each.profile) for each in done.cancelled[:_MAX_LISTED]))
    lines = [
        f":lock: {host(done.device.name)} was ended{_credentials(done)}.{told}",
        *([f"What it asked for is cancelled: {cancelled}."] if cancelled else []),
        *_failures(done),
        _NEXT,
    ]
    blocks: list[Block] = [mrkdwn("\n".join(lines))]
    if still_open:
        blocks.append(mrkdwn("*Still open*, and requested on it. If you don't need it, end it:"))
    for access in still_open[:_MAX_LISTED]:
        blocks += [divider(), *access_row(AccessRow(access, may_end=True), now)]
    return Message(text=lines[0], blocks=tuple(blocks))


_NEXT = (
    "*Now*: sign out of Slack everywhere else, change your password, and tell your security team whether you typed a "
    "code that somebody sent you."
)
_LOGIN = "run `countersign login`."


def _credentials(done: EndedDevice) -> str:
    if not done.sessions:
        return ""
    profiles = ", ".join(dict.fromkeys(code(each.profile) for each in done.sessions[:_MAX_LISTED]))
    return f", and its credentials for {profiles} stop working within minutes"


def _failures(done: EndedDevice) -> list[str]:
    if not done.failed:
        return []
    shown = "\n".join(f"• {escape(each)}" for each in done.failed[:_MAX_LISTED])
    return [f":warning: *Not ended*:\n{shown}\nPress the button again: what has ended stays ended."]
