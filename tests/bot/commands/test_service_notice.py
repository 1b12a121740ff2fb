"""What `serve` says to systemd."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from bot.commands.service_notice import ServiceNotice
from core.clock import new_id

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_hears_of_start_and_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_abstract: bool) -> None:
    address = f"@countersign-{new_id()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address.replace("@", "\0"))
        systemd.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notice = ServiceNotice()
        notice.ready("serving over Socket Mode")
        assert systemd.recv(4096).decode().splitlines() == ["READY=1", "STATUS=serving over Socket Mode"]
        notice.stopping()
        assert systemd.recv(4096).decode().splitlines()[0] == "STOPPING=1"
    # A process that the bot starts can't speak for it.
    assert "NOTIFY_SOCKET" not in os.environ


@pytest.mark.parametrize("address", [None, "", "/no/such/socket", "/" + "x" * 200])
def test_nobody_who_listens_stops_nothing(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    ServiceNotice().ready("up")
