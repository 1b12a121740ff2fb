"""`countersign mcp`: the Model Context Protocol over stdio, for agents that ask for access.

Invariant: standard output belongs to the protocol. Without the extra `mcp`, the command ends with one line that says
what to install.

Exit codes: 0 the client went away, 1 the extra isn't installed, 2 a setting can't be used, 7 this machine isn't paired.
"""

from __future__ import annotations

from importlib.metadata import version

import click

from bot.api.models import NewRequest, RequestInfo
from bot.terminal.client import ApiClient
from bot.terminal.configuration import open_configuration
from bot.terminal.connecting import connect
from bot.terminal.errors import FilesFailed, TerminalError
from bot.terminal.pacing import PassageOfTime
from bot.terminal.submitting import RequestSubmitter
from core.clock import SystemClock


class ExtraMissing(TerminalError):
    """An optional part isn't installed."""


@click.command()
def mcp() -> None:
    """Serve agents over stdio (Model Context Protocol): they can list profiles, ask for access, look at it and end it.

    It acts with this machine's token, or with COUNTERSIGN_TOKEN and COUNTERSIGN_SERVER; pair an agent as a service of
    the policy: `countersign login --service NAME`. No tool gives credentials.
    """
    try:
        # Optional, and slow to load.
        from bot.terminal.mcp_server import open_mcp_server  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "mcp":
            raise
        fix = "Install it with: pip install 'countersign[mcp]'"
        raise ExtraMissing(f"The extra for agents isn't installed. {fix}") from None
    # An agent that isn't paired should not find out only at its first call.
    connect()
    open_mcp_server(connect, submit_once, version("countersign")).run("stdio")


def submit_once(client: ApiClient, asked: NewRequest) -> RequestInfo:
    """Make a request; the same call after a lost answer makes no second one."""
    try:
        folder = open_configuration().folder
    except FilesFailed:
        folder = None
    return RequestSubmitter(client, folder, SystemClock(), PassageOfTime()).submit(asked)
