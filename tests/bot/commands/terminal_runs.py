"""How a test runs `countersign` on a paired machine, in this process.

Invariant: a command sees the environment of the test and no other server than the scripted one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from bot.cli import countersign
from bot.terminal.configuration import Configuration, PairedServer, open_configuration
from bot.terminal.token_store import TokenStore
from tests.harness import api_answers as answers

if TYPE_CHECKING:
    import pytest

    from tests.harness.scripted_server import ScriptedServer


def run(*arguments: str) -> Result:
    """Run the command, and show its error if it isn't one that it ends with."""
    result = CliRunner().invoke(countersign, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def pair(server: ScriptedServer) -> None:
    """As `countersign login` leaves a machine without a keyring."""
    file, device = open_configuration(), answers.device()
    place = TokenStore(file.folder).keep(server.url, device.id, answers.issued_token().token)
    paired = PairedServer(device_id=device.id, device_name=device.name, expires_at=device.expires_at, token_in=place)
    file.write(Configuration().with_pairing(server.url, paired))


def use_token(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a pipeline does it."""
    monkeypatch.setenv("COUNTERSIGN_SERVER", server.url)
    monkeypatch.setenv("COUNTERSIGN_TOKEN", answers.TOKEN)
