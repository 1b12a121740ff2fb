"""A person's devices: in `/access devices`, and in the Home tab.

Invariant: a row is one block. Its button carries the device's id, asks first, and is judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.slack.app_surface import ACCESS
from bot.views.block_kit import (
    Block,
    Message,
    button,
    code,
    divider,
    escape,
    moment,
    mrkdwn,
    plain,
    relative_time,
    shorten,
)
from bot.views.devices.facts import UNKNOWN, host
from bot.views.pagination import PageButton, page_buttons
from core.access.device import Device

END_DEVICE: Final = "device:end"
OLDER: Final = "device_list:older"
NEWER: Final = "device_list:newer"
TITLE: Final = "Your devices"
NOTHING: Final = "No terminal is paired with your account."
_MAX_AGENT: Final = 60


class DeviceListKind(StrEnum):
    """The list, by the word that is typed for it."""

    OWN = "devices"


def device_page(devices: Sequence[Device], *, page: int, has_more: bool, now: datetime) -> Message:
    """One page of the list, newest first."""
    blocks: list[Block] = [mrkdwn(f"*{TITLE}*")]
    if not devices:
        start = f"To pair one, run {code('countersign login')} in it, and send the code:\n{code(f'{ACCESS} pair CODE')}"
        blocks.append(mrkdwn(f"{NOTHING} {start}" if page == 1 else "There's nothing left on this page."))
    for device in devices:
        blocks += [divider(), *device_row(device, now)]
    back, on = PageButton("Newer", NEWER), PageButton("Older", OLDER)
    blocks += page_buttons(DeviceListKind.OWN, page, has_more=has_more, back=back, on=on)
    count = f"{len(devices)} on page {page}" if devices else "none"
    return Message(text=f"{TITLE}: {count}", blocks=tuple(blocks))


def device_row(device: Device, now: datetime) -> list[Block]:
    """One device: what it is, which service it acts for, how long, when it was last used, and the button to end it."""
    service = f" · for the service {code(device.service)}" if device.service is not None else ""
    used = f"last used {relative_time(device.last_used_at, now)}" if device.last_used_at is not None else "not used yet"
    agent = escape(shorten(" ".join(device.agent.split()) or UNKNOWN, _MAX_AGENT))
    line = (
        f":computer: {host(device.name)}{service} · {used}\n"
        f"Paired {moment(device.created_at)} from {code(device.address or UNKNOWN)}, by {code(agent)} · "
        f"ends {moment(device.expires_at)}"
    )
    end = button("End", END_DEVICE, device.id, style="danger", confirm=_confirm(device))
    return [mrkdwn(line) | {"accessory": end}]


def _confirm(device: Device) -> Block:
    name = shorten(" ".join(device.name.split()), 80)
    return {
        "title": plain("End this device?", 100),
        "text": plain(f"{name} is signed out at once, and the credentials that it got stop working.", 300),
        "confirm": plain("End it", 30),
        "deny": plain("Keep it", 30),
        "style": "danger",
    }
