"""`countersign mfa`: give people a second factor, and take it away.

Invariant: a secret is shown once, to the operator who makes it, and in no log. Who has none cannot break a glass that
asks for one.

Exit codes: 0 done, 1 there was none or the code is wrong, 2 what was given cannot be used, 3 the secrets could not be
read or kept.
"""

from __future__ import annotations

import io
import sys
from typing import Final

import click
import segno

from bot.mfa.opening import open_secrets
from bot.mfa.secret_store import Secrets
from bot.mfa.totp import Totp, enrolment_uri, new_secret
from bot.settings import read_settings
from core.actor import check_user_id
from core.clock import SystemClock

_NO: Final = 1
_secrets_option = click.option(
    "--secrets", "place", metavar="PLACE", help="Where they are kept. Default: COUNTERSIGN_MFA_SECRETS."
)


@click.group()
def mfa() -> None:
    """Give people a second factor for breaking the glass, or take it away."""


@mfa.command()
@click.argument("user")
@click.option("--replace", is_flag=True, help="Give a new one to somebody who has one; the old one ends.")
@click.option("--qr/--no-qr", default=True, help="Draw the QR code that an authenticator app reads.")
@_secrets_option
def enrol(user: str, place: str | None, *, replace: bool, qr: bool) -> None:
    """Make a second factor for a Slack user id, and show it once."""
    person, secret = check_user_id(user), new_secret()
    _open(place).put(person, secret, is_replacing=replace)
    uri = enrolment_uri(person, secret)
    if qr and _can_draw():
        click.echo(_draw(uri))
    click.echo(uri)
    click.echo(
        f"{person} adds this to an authenticator app, by the QR code or the address. It is not shown again.\n"
        f"Then let them try a code: countersign mfa check {person}",
        err=True,
    )


@mfa.command()
@click.argument("user")
@click.option("--code", prompt="Code", hide_input=True, help="Asked for when left out.")
@_secrets_option
def check(user: str, code: str, place: str | None) -> None:
    """Is this the person's code now? It stays unused."""
    person = check_user_id(user)
    secrets = _open(place)
    if secrets.find(person) is None:
        click.echo(f"{person} has no second factor.")
        click.get_current_context().exit(_NO)
    if Totp(secrets).find_step(person, code, SystemClock().now()) is None:
        click.echo("The code is wrong. Are both clocks right?")
        click.get_current_context().exit(_NO)
    click.echo("The code is right.")


@mfa.command()
@click.argument("user")
@_secrets_option
def remove(user: str, place: str | None) -> None:
    """Take a person's second factor away, at once."""
    person = check_user_id(user)
    if not _open(place).remove(person):
        click.echo(f"{person} has no second factor.")
        click.get_current_context().exit(_NO)
    click.echo(f"{person} has no second factor any more.")


@mfa.command("list")
@_secrets_option
def list_people(place: str | None) -> None:
    """Name everybody who has a second factor."""
    for person in _open(place).people():
        click.echo(person)


def _open(place: str | None) -> Secrets:
    return open_secrets(place if place is not None else read_settings().mfa_secrets)


def _can_draw() -> bool:
    # A terminal that cannot write these would end the command after the secret was made, and before it was shown.
    try:
        "\u2580\u2584\u2588".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _draw(uri: str) -> str:
    drawn = io.StringIO()
    segno.make(uri, error="m").terminal(out=drawn, compact=True)
    return drawn.getvalue()
