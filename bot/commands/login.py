"""`countersign login`: pair this machine with a server, by a code that its person types in Slack.

Invariant: only the person who is named in Slack confirms; this command prints a code and never a token.

Exit codes: 0 paired, 1 refused or expired, 2 the input can't be used, 6 the server can't be reached, 130 interrupted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from bot.api.pairing_models import IssuedToken, StartedPairingInfo
from bot.commands.server_answers import INTERRUPTED, refusals_shown, write_answer
from bot.commands.terminal import Ink, json_option
from bot.settings.terminal import TerminalSettings, read_server, read_terminal_settings
from bot.terminal.client import ApiClient
from bot.terminal.configuration import TokenPlace, open_configuration
from bot.terminal.errors import TerminalError
from bot.terminal.local_times import local_time
from bot.terminal.pacing import PassageOfTime
from bot.terminal.pairing import PairingKeeper, PairingWait, host_name, keep_in_file
from bot.terminal.progress import Progress
from bot.terminal.token_store import TokenStore
from core.clock import SystemClock
from core.errors import InvalidInput
from core.targets.words import one_line

_WARNING: Final = (
    "Type it only if you ran `countersign login` yourself, just now. Somebody who sends you a code wants to act as you."
)
_PLACES: Final[dict[TokenPlace, str]] = {
    "keyring": "The token is in your system's keyring.",
    "file": "The token is in a file that only you can read.",
}


@click.command()
@click.argument("server", required=False)
@click.option("--service", metavar="NAME", help="Pair for this service of the policy; you have to be its owner.")
@click.option("--name", metavar="HOST", help="What this machine is called in Slack. Default: its host name.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the token to this file and don't configure this machine: for a pipeline's COUNTERSIGN_TOKEN_FILE.",
)
@json_option
def login(server: str | None, service: str | None, name: str | None, token_file: Path | None, *, as_json: bool) -> None:
    """Pair this machine with SERVER: it prints a code, and you type that code in Slack.

    SERVER is like https://countersign.example.com. Without it: COUNTERSIGN_SERVER, or the server of the last login. The
    pairing ends after 12 hours at the latest; end it earlier with `countersign logout`.
    """
    settings, file = read_terminal_settings(), open_configuration()
    url = _choose_server(server, settings, file.read().server)
    keeper = PairingKeeper(url, file, TokenStore.open(file.folder))
    if token_file is None:
        keeper.check_files()
    with refusals_shown(as_json=as_json):
        client = ApiClient(url)
        started = client.start_pairing(name or host_name(), service)
        _show_code(started, url, as_json=as_json)
        issued = _wait(client, started)
    if token_file is not None:
        keep_in_file(url, issued, token_file)
    place = keeper.keep(issued) if token_file is None else None
    person = _name_person(url, issued)
    if as_json:
        kept = {"token_in": place or str(token_file), "server": url}
        write_answer({"outcome": "paired", "person": person, **kept, "device": issued.device.model_dump(mode="json")})
    else:
        _show_paired(issued, person, place, token_file)


def _choose_server(given: str | None, settings: TerminalSettings, configured: str | None) -> str:
    if given is not None:
        return read_server(given, "server", settings.plain_http_hosts)
    found = settings.server or configured
    if found is None:
        raise InvalidInput("server", "nothing says which one", "Run: countersign login https://countersign.example.com")
    return found


def _wait(client: ApiClient, started: StartedPairingInfo) -> IssuedToken:
    clock = SystemClock()
    try:
        with Progress() as progress:
            return PairingWait(client, progress, clock, PassageOfTime()).wait(started)
    except KeyboardInterrupt:
        click.echo("Stopped. Nothing was paired; the code is worthless now.", err=True)
        click.get_current_context().exit(INTERRUPTED)


def _name_person(url: str, issued: IssuedToken) -> str:
    # Only for display: a server that is away for a moment doesn't undo a pairing.
    try:
        person = ApiClient(url, issued.token).me().person
    except TerminalError:
        return ""
    return one_line(person.name, 80) or one_line(person.id, 80)


def _show_code(started: StartedPairingInfo, url: str, *, as_json: bool) -> None:
    if as_json:
        shown = started.model_dump(mode="json", include={"user_code", "confirm_with", "expires_in"})
        write_answer({"outcome": "waiting", **shown})
        return
    ink = Ink.of_stdout()
    ink.say(f"To pair this machine with {url}, type this in Slack:")
    ink.say()
    ink.say(ink.paint(one_line(started.confirm_with), "strong"))
    ink.say()
    ink.say(_WARNING)


def _show_paired(issued: IssuedToken, person: str, place: TokenPlace | None, token_file: Path | None) -> None:
    ink, device = Ink.of_stdout(), issued.device
    who = f"{one_line(device.service)}, for {person}" if device.service else person
    until = local_time(device.expires_at, SystemClock().now())
    ink.say(f"{ink.paint(ink.met, 'good')} Paired{f' as {who}' if who else ''} until {until}.")
    if place is not None:
        ink.say(_PLACES[place])
        ink.say('Next: countersign request PROFILE 1h "why you need it" --wait')
    else:
        ink.say(f"The token is in {token_file}. Next: set COUNTERSIGN_TOKEN_FILE and COUNTERSIGN_SERVER.")
