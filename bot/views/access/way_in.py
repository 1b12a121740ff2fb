"""How to use access that is open: the portal to sign in to, and what to type in a terminal.

Invariant: nothing here is guessed. What the policy doesn't say is left out, and a command works as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.views.block_kit import Block, code, escape, mrkdwn

MAX_LINKS: Final = 1500
"""Characters of all links together; a single one takes hardly more than a hundred."""


@dataclass(frozen=True, slots=True)
class PortalLink:
    """A page to go to, and what it is called."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class SsoLogin:
    """How the AWS CLI signs in: `profile` is what its profile is called here, `accounts` are those to choose from."""

    profile: str
    region: str
    accounts: tuple[str, ...] = ()
    start_url: str | None = None


@dataclass(frozen=True, slots=True)
class WayIn:
    """Where people use what is open. `role_of` is the profile whose role a paired terminal gets credentials for."""

    portals: tuple[PortalLink, ...] = ()
    sso: SsoLogin | None = None
    role_of: str | None = None


def way_in_blocks(way_in: WayIn | None, *, has_setup: bool = False) -> list[Block]:
    """The links and the lines for a terminal; nothing when the policy names neither.

    `has_setup` adds what to do once on each computer: for the person who has the access, not for the whole channel.
    """
    if way_in is None:
        return []
    lines = [_links(way_in.portals)]
    if way_in.sso is not None:
        lines += [_login(way_in.sso), *([_setup(way_in.sso)] if has_setup else [])]
    if way_in.role_of is not None:
        lines.append(f"In a paired terminal:\n{code(f'countersign exec {way_in.role_of} -- COMMAND')}")
    text = "\n".join(line for line in lines if line)
    return [mrkdwn(text)] if text else []


def _links(portals: Sequence[PortalLink]) -> str:
    """As many links as fit: one that was cut would lead elsewhere."""
    shown = ""
    for each in portals:
        longer = " · ".join(filter(None, (shown, f"<{escape(each.url)}|{escape(each.text)}>")))
        shown = longer if len(longer) <= MAX_LINKS else shown
    return shown


def _login(sso: SsoLogin) -> str:
    if len(sso.accounts) > 1:
        return f"In a terminal: {code('aws sso login --sso-session SESSION')}, with the name of your session."
    return f"In a terminal: {code(f'aws sso login --profile {sso.profile}')}"


def _setup(sso: SsoLogin) -> str:
    # The CLI keeps account and permission set in a profile, which it makes once on each computer.
    if len(sso.accounts) > 1:
        each = ", ".join(map(code, sso.accounts))
        return f"First time on a computer: {code('aws configure sso')}, once for each account: {each}.{_asked(sso)}"
    choosing = f" Choose account {code(sso.accounts[0])}." if sso.accounts else ""
    return f"First time on a computer: {code(f'aws configure sso --profile {sso.profile}')}.{_asked(sso)}{choosing}"


def _asked(sso: SsoLogin) -> str:
    start = f"Start URL {code(sso.start_url)}, region" if sso.start_url is not None else "Region"
    return f" {start} {code(sso.region)}."
