"""What is known of a machine, as people read it: its host and its program, by its own word, and where it asked from.

Invariant: the machine's own words are plain text, on one line each, and a line of ours says so.
"""

from __future__ import annotations

from typing import Protocol

from bot.views.block_kit import Block, code, mention, user_text

UNKNOWN = "not known"


class Machine(Protocol):
    """What a pairing and a device say of a machine."""

    @property
    def name(self) -> str:
        """Its host name."""
        ...

    @property
    def agent(self) -> str:
        """The program that asked."""
        ...

    @property
    def address(self) -> str:
        """Where it asked from."""
        ...


def machine_block(machine: Machine) -> Block:
    """The machine's own words."""
    facts = (("Host", machine.name), ("Program", machine.agent))
    return user_text("\n".join(f"{name}: {' '.join(said.split()) or UNKNOWN}" for name, said in facts))


def seen_from(machine: Machine) -> str:
    """The address that it asked from, as our server saw it."""
    return f"address {code(' '.join(machine.address.split()) or UNKNOWN)}"


def host(name: str) -> str:
    """A host's name in a sentence of ours."""
    return code(" ".join(name.split()) or UNKNOWN)


def service_name(service: str, owner: str) -> str:
    """A service, with whose it is."""
    return f"{code(service)}, for {mention(owner)}"
