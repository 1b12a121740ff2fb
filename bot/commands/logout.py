"""`countersign logout`: end this machine's pairing here and at the server.

Invariant: the token is removed from this machine even if the server can't be reached; then the command says that the
device has to be ended in Slack.

Exit codes: 0 done, 6 the server can't be reached, 7 this machine isn't paired.
"""

from __future__ import annotations

import click

from bot.commands.server_answers import write_answer
from bot.commands.terminal import count_of, json_option
from bot.settings.terminal import read_terminal_settings
from bot.terminal.configuration import open_configuration
from bot.terminal.connecting import FoundServer, find_server
from bot.terminal.errors import NotPaired, ServerFailed, ServerRefused
from bot.terminal.pairing import PairingKeeper
from bot.terminal.token_store import TokenStore


@click.command()
@click.option("--all", "is_all", is_flag=True, help="End all your devices, on other machines too.")
@json_option
def logout(*, is_all: bool, as_json: bool) -> None:
    """End this machine's pairing, and remove its token. What was approved stays open: see `countersign access end`."""
    found = _find()
    ended, problem = _try_to_end(found, is_all=is_all)
    if found.paired is not None:
        file = open_configuration()
        PairingKeeper(found.server, file, TokenStore.open(file.folder)).forget()
    if problem is not None:
        kept = "The token was removed from this machine, but " if found.paired is not None else ""
        text = problem.problem if isinstance(problem, ServerFailed) else str(problem).rstrip(".")
        raise ServerFailed(f"{kept}not everything was ended: {text}", "End the device in Slack, in Countersign's Home.")
    if as_json:
        write_answer({"outcome": "logged_out", "server": found.server, "ended": ended})
    else:
        click.echo(f"Logged out of {found.server}; ended {count_of(ended, 'device')}.")


def _find() -> FoundServer:
    try:
        return find_server()
    except NotPaired:
        # The token may be gone while the configuration still names its device.
        settings, file = read_terminal_settings(), open_configuration()
        server = settings.server or file.read().server
        if settings.token is None and server is not None:
            PairingKeeper(server, file, TokenStore.open(file.folder)).forget()
        raise


def _try_to_end(found: FoundServer, *, is_all: bool) -> tuple[int, ServerFailed | ServerRefused | None]:
    try:
        return _end(found, is_all=is_all), None
    except NotPaired:
        # The server had ended it already.
        return 0, None
    except (ServerFailed, ServerRefused) as error:
        return 0, error


def _end(found: FoundServer, *, is_all: bool) -> int:
    client, ended = found.open(), 0
    if is_all:
        for device in client.devices().devices:
            if not device.is_this:
                client.revoke_device(device.id)
                ended += 1
    client.revoke_device()
    return ended + 1
