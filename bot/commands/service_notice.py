"""Says to systemd, where it started this process, that it is up, or that it stops: the protocol of sd_notify(3).

Invariant: without NOTIFY_SOCKET nothing happens, and what can't be sent keeps nothing from going on. The variable isn't
passed on to other processes.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Final

_VARIABLE: Final = "NOTIFY_SOCKET"
_ABSTRACT: Final = "@"
_log = logging.getLogger("countersign.serve")


class ServiceNotice:
    """The service manager that waits for word of this process, if there is one."""

    def __init__(self) -> None:
        # A process that this one starts must not speak for it.
        self._address = os.environ.pop(_VARIABLE, "")

    def ready(self, status: str) -> None:
        """The start is over: what is ordered after this service may start."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """The stop has begun."""
        self._send("STOPPING=1\nSTATUS=finishing what was acknowledged")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # Linux writes an abstract address with a NUL; systemd writes it with an @.
        address = "\0" + self._address[1:] if self._address.startswith(_ABSTRACT) else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)  # noqa: FBT003 - its only parameter
                sender.connect(address)
                sender.send(text.encode())
        except (OSError, ValueError) as error:
            _log.warning("systemd can't be reached at %s (%s)", _VARIABLE, error)
