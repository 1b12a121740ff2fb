"""What is posted about devices: to their person, to the security channel, and in the threads of requests.

Invariant: what a machine said of itself is plain text, and a line before it says so. The message about a new device has
the button that ends it.
"""

from __future__ import annotations

from typing import Final

from bot.slack.app_surface import ACCESS
from bot.views.block_kit import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    mention,
    moment,
    mrkdwn,
    plain,
    user_text,
)
from bot.views.devices.facts import host, machine_block, seen_from, service_name
from core.access.device import Device, DeviceStatus
from core.access.session import Session

NOT_ME: Final = "device:not_me"


def new_device(device: Device) -> Message:
    """A terminal was paired: for the person in whose name it acts."""
    line = ":computer: A terminal was paired with your account."
    what = "It can request access for you, and use the access you have"
    if device.service is not None:
        line = f":computer: A machine was paired for your service {code(device.service)}."
        what = "It can request what the policy lets this service have"
    is_over, until = device.status is not DeviceStatus.ACTIVE, f"{what}, until {moment(device.expires_at)}."
    blocks: list[Block] = [
        mrkdwn(f"{line} This is what it says of itself:"),
        machine_block(device),
        mrkdwn(f"It asked from {seen_from(device)}. {'It has been ended since.' if is_over else until}"),
    ]
    if not is_over:
        blocks.append(actions(f"device:{device.id}", _not_me(device)))
    listed = f"paired {moment(device.created_at)} · {code(device.id)} · {code(f'{ACCESS} devices')} lists your devices"
    return Message(text=f"{line} Not you? Open this message.", blocks=(*blocks, context(listed)))


def disowned(device: Device) -> Message:
    """Somebody says that they never paired this: for the security channel."""
    line = f":rotating_light: {mention(device.owner)} says that they didn't pair this device, and ended it."
    used = f"It was last used {moment(device.last_used_at)}." if device.last_used_at else "It isn't known to be used."
    owner = mention(device.owner)
    next_ = (
        f"It asked from {seen_from(device)}. It was paired {moment(device.created_at)} by somebody who could act as "
        f"{owner} in Slack, or who made them type its code. {used} Ask {owner}, and check their Slack sessions."
    )
    trail = context(f"what it did: {code(f'countersign audit trail {device.id}')}")
    said = mrkdwn(f"{line} This is what it said of itself:")
    return Message(text=line, blocks=(said, machine_block(device), mrkdwn(next_), trail))


def ended_by_another(device: Device) -> Message:
    """An admin or an operator ended it: for its person."""
    by = f" by {mention(device.revoked_by)}" if device.revoked_by is not None else ""
    line = f":lock: Your device {host(device.name)} was ended{by}. To use it again, pair it anew."
    return Message(text=line, blocks=(mrkdwn(line),))


def credentials_issued(session: Session) -> Message:
    """Credentials were issued to a device for the first time: for the thread."""
    line = f":key: {_whose(session)} got credentials on {host(session.device_name)}."
    small = context(f"they stop working {moment(session.expires_at)} · source identity {code(session.source_identity)}")
    return Message(text=line, blocks=(mrkdwn(line), small))


def session_revoked(session: Session) -> Message:
    """The credentials of a device were ended early: for the thread."""
    by = f" by {mention(session.revoked_by)}" if session.revoked_by is not None else ""
    line = f":lock: The credentials on {host(session.device_name)} were ended{by}. They stop working within minutes."
    return Message(text=line, blocks=(mrkdwn(line),))


def deny_failing(session: Session, problem: str) -> Message:
    """Credentials that were ended, and that AWS can't be told to deny: for the security channel."""
    line = (
        f":rotating_light: The credentials of {_whose(session)} on {host(session.device_name)} were ended, and AWS "
        f"doesn't deny them yet. They may work until {moment(session.credentials_until)}."
    )
    next_ = mrkdwn(f"Countersign keeps trying. The role is {code(session.right.resource)}. AWS said:")
    end = code(f"{ACCESS} revoke {session.source.partition('#')[2]}")
    small = context(f"to end all of this access: {end} with a reason · source identity {code(session.source_identity)}")
    return Message(text=line, blocks=(mrkdwn(line), next_, user_text(problem), small))


def _whose(session: Session) -> str:
    if session.service is not None:
        return service_name(session.service, session.person)
    return mention(session.person)


def _not_me(device: Device) -> Block:
    confirm = {
        "title": plain("This wasn't you?", 100),
        "text": plain(
            "The device is ended now, its credentials stop working, and what it asked for is cancelled.",
            300,
        ),
        "confirm": plain("End it", 30),
        "deny": plain("It was me", 30),
        "style": "danger",
    }
    return button("Not me", NOT_ME, device.id, style="danger", confirm=confirm)
