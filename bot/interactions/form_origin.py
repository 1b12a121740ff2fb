"""Where a form was opened, so that its outcome appears there: in a channel, in a list, or in the Home tab.

Invariant: nothing here is trusted about records or rights, and nothing secret leaves this process: a form carries the
channel, and the interaction that opened it, with its response_url, is remembered here, for as long as Slack takes it.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final

from bot.interactions.interaction import Interaction, Surface

MAX_REMEMBERED: Final = 2000
RESPONSE_URL_SECONDS: Final = 29 * 60
"""Slack takes a response_url for half an hour."""
_HOME: Final = "home"
_ELSEWHERE: Final = "-"
_WRITTEN: Final = re.compile(r"from:(home|-|[CDG][A-Z0-9]{2,31}):([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class FormOrigin:
    """Where a form was opened: `channel` is None outside channels. `nonce` names the interaction that opened it."""

    nonce: str
    channel: str | None = None
    is_home: bool = False

    def write(self) -> str:
        """As the `external_id` of a view, which Slack sends back and older versions don't read."""
        return f"from:{_HOME if self.is_home else self.channel or _ELSEWHERE}:{self.nonce}"


def read_origin(external_id: str | None) -> FormOrigin | None:
    """Where the form with this `external_id` was opened; None for a form of an older version."""
    found = _WRITTEN.fullmatch(external_id or "")
    if found is None:
        return None
    where, nonce = found.groups()
    return FormOrigin(nonce, None if where in {_HOME, _ELSEWHERE} else where, where == _HOME)


class OpenedForms:
    """The interactions that opened forms lately. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._opened: OrderedDict[str, Interaction] = OrderedDict()

    def note(self, interaction: Interaction) -> FormOrigin:
        """Remember what opens a form now. Returns what the form carries."""
        origin = FormOrigin(secrets.token_hex(8), interaction.channel, interaction.surface is Surface.HOME)
        with self._lock:
            self._opened[origin.nonce] = interaction
            if len(self._opened) > MAX_REMEMBERED:
                self._opened.popitem(last=False)
        return origin

    def take(self, origin: FormOrigin, user_id: str) -> Interaction | None:
        """What opened this person's form, if it was here and can still be replied to."""
        with self._lock:
            opened = self._opened.pop(origin.nonce, None)
        if opened is None or opened.user_id != user_id:
            return None
        return opened if time.monotonic() - opened.received_at < RESPONSE_URL_SECONDS else None
