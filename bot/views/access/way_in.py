"""How to use access that is open: the portal to sign in to, and what to type in a terminal.

Invariant: nothing here is guessed. What the policy doesn't say is left out, and a command works as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WayIn:
    """`portal` is the address of the AWS access portal; `profile` is what the AWS CLI's profile is called here.

    `accounts` are the ids of the accounts to choose, and `region` is where the portal's instance is.
    """

    portal: str | None = None
    region: str | None = None
    accounts: tuple[str, ...] = ()
    profile: str | None = None
