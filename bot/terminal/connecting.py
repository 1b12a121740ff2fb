"""How a command finds its server and its token: in the environment, or in what `countersign login` kept.

Invariant: a token that was made for one server is never sent to another.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from bot.settings.terminal import TerminalSettings, read_terminal_settings
from bot.terminal.client import ApiClient
from bot.terminal.configuration import PairedServer, has_home, open_configuration
from bot.terminal.errors import NotPaired
from bot.terminal.token_store import TokenStore, find_keyring


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A server, and the token for it. `paired` is what `countersign login` noted; None with COUNTERSIGN_TOKEN."""

    server: str
    token: SecretStr
    paired: PairedServer | None = None

    def open(self) -> ApiClient:
        """A client. Nothing is sent yet."""
        return ApiClient(self.server, self.token)


def is_paired() -> bool:
    """Whether the environment or `countersign login` names a server and a token. Nothing is sent.

    Raises InvalidInput or FilesFailed.
    """
    if read_terminal_settings().token is None and not has_home():
        return False
    try:
        find_server()
    except NotPaired:
        return False
    return True


def find_server() -> FoundServer:
    """The server that is used, and its token. Raises NotPaired, InvalidInput or FilesFailed."""
    settings = read_terminal_settings()
    if settings.token is not None:
        return FoundServer(_server_for_token(settings), settings.token)
    file = open_configuration()
    known = file.read()
    server = settings.server or known.server
    if server is None:
        raise NotPaired("This machine isn't paired with a Countersign server", "Run: countersign login SERVER")
    paired = known.paired.get(server)
    if paired is None:
        raise NotPaired(f"This machine isn't paired with {server}")
    # The keyring is slow to load, and isn't asked for what it doesn't have.
    keyring = find_keyring() if paired.is_in_keyring else None
    token = TokenStore(file.folder, keyring).read(server, paired.device_id, paired.token_in)
    if token is None:
        raise NotPaired(f"The token for {server} is gone")
    return FoundServer(server, token, paired)


def connect() -> ApiClient:
    """The client of the server that is used. Raises NotPaired, InvalidInput or FilesFailed."""
    return find_server().open()


def _server_for_token(settings: TerminalSettings) -> str:
    if settings.server is not None:
        return settings.server
    raise NotPaired("COUNTERSIGN_TOKEN is set, but not which server it is for", "Set COUNTERSIGN_SERVER.")
