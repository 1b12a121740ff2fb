"""What people type about their terminals, read: the code of one that wants to be paired, or the list of them.

Invariant: a code is read in any case, with or without its hyphen and with spaces; what can't be a code is refused
here, so that a slip of the finger costs none of the few tries.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bot.interactions.commands.tokens import read_page, suggest
from bot.slack.app_surface import ACCESS
from core.access.pairing import read_user_code, write_user_code
from core.errors import InvalidInput

PAIR: Final = "pair"
DEVICES: Final = "devices"
CODE: Final = "code"
"""The field of the form."""
EXAMPLE_CODE: Final = "WDJB-MJHT"
_BETWEEN: Final = re.compile(r"[\s`'\"\u2010-\u2015-]+")
"""What people put between the halves of a code and around it, with every dash that a keyboard makes."""


@dataclass(frozen=True, slots=True)
class PairDevice:
    """Pair the terminal that shows this code; None: ask for the code."""

    code: str | None


@dataclass(frozen=True, slots=True)
class ShowDevices:
    """Show a page of the person's devices. Pages count from 1."""

    page: int = 1


_NOT_A_CODE: Final = "this isn't a pairing code: it has eight letters, never A, E, I, O, U, V or Y"
DeviceCommand = PairDevice | ShowDevices


def read_device_command(keyword: str, rest: str) -> DeviceCommand:
    """What follows one of our keywords. Raises InvalidInput."""
    if keyword == DEVICES:
        return ShowDevices(read_page(ACCESS, DEVICES, rest))
    return PairDevice(read_code(rest) if rest else None)


def read_code(written: str) -> str:
    """The code as a terminal shows it, `WDJB-MJHT`. Raises InvalidInput, which names the field of the form, too."""
    try:
        return write_user_code(read_user_code(_BETWEEN.sub("", written)))
    except InvalidInput as error:
        fix = f"Copy it from your terminal. {suggest(ACCESS, PAIR, EXAMPLE_CODE, is_example=True)}"
        raise InvalidInput(CODE, _NOT_A_CODE, fix) from error
