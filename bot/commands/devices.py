"""`countersign devices`: your paired machines, and ending one of them.

Invariant: it shows and ends only what belongs to the person of this machine's token.

Exit codes: 0 done, 1 refused, 6 the server can't be reached, 7 this machine isn't paired.
"""

from __future__ import annotations

from datetime import datetime

import click

from bot.api.pairing_models import DeviceInfo
from bot.commands.server_answers import refusals_shown, write_answer
from bot.commands.terminal import Cell, Ink, json_option
from bot.terminal.configuration import open_configuration
from bot.terminal.connecting import connect, find_server
from bot.terminal.local_times import local_time
from bot.terminal.pairing import PairingKeeper
from bot.terminal.token_store import TokenStore
from core.clock import SystemClock
from core.targets.words import one_line


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def devices(ctx: click.Context, *, as_json: bool) -> None:
    """See the machines that are paired with you, and end one."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_devices, as_json=as_json)
    elif as_json:
        raise click.UsageError("Write --json after the command.")


@devices.command("list")
@json_option
def list_devices(*, as_json: bool = False) -> None:
    """Show your paired machines, newest first."""
    with refusals_shown(as_json=as_json):
        found = connect().devices().devices
    if as_json:
        for each in found:
            write_answer(each)
        return
    ink = Ink.of_stdout()
    for line in ink.columns([_row(each) for each in found], indent=0):
        ink.say(line)
    if any(not each.is_this for each in found):
        ink.say("If one isn't yours, end it: countersign devices revoke ID")


@devices.command()
@click.argument("device_id", metavar="ID")
@json_option
def revoke(device_id: str, *, as_json: bool) -> None:
    """End a paired machine: its token and its sessions are worthless from now on."""
    found = find_server()
    with refusals_shown(as_json=as_json):
        found.open().revoke_device(device_id)
    if found.paired is not None and found.paired.device_id == device_id:
        file = open_configuration()
        PairingKeeper(found.server, file, TokenStore.open(file.folder)).forget()
    if as_json:
        write_answer({"outcome": "revoked", "id": device_id})
    else:
        click.echo(f"Ended the device {one_line(device_id, 40)}.")


def _row(device: DeviceInfo) -> list[Cell]:
    now = SystemClock().now()
    name = one_line(device.name, 40)
    return [
        one_line(device.id, 40),
        (f"{name} (this one)", "strong") if device.is_this else name,
        f"for {one_line(device.service, 80)}" if device.service else "for you",
        _last_used(device, now),
        f"until {local_time(device.expires_at, now)}",
        f"paired from {one_line(device.address, 60)}",
    ]


def _last_used(device: DeviceInfo, now: datetime) -> str:
    return f"last used {local_time(device.last_used_at, now)}" if device.last_used_at is not None else "never used"
