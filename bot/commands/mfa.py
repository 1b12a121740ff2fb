"""`countersign mfa`: enrol people in MFA for break-glass, remove them, or unlock them.

Invariant: a secret is shown once, to the operator who creates it, and never logged. Each change is in the audit trail,
and the person and the security channel hear of it. A person without a secret can't break the glass where the policy
requires MFA.

Exit codes: 0 done, 1 the person has no secret or no lock, or the code is wrong, 2 the input can't be used, 3 the
secrets or the store could not be read or written.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

import click
import segno

from bot.mfa.enrolment import Enrolment
from bot.mfa.opening import open_secrets
from bot.mfa.secret_store import Secrets
from bot.mfa.totp import Totp, enrolment_uri, new_secret
from bot.settings import read_settings, read_slack_settings
from bot.slack.client import open_client
from bot.slack.person_name import find_name
from core.actor import UserId, check_user_id
from core.clock import SystemClock
from core.stores.opening import open_stores

_REFUSED: Final = 1
_SLACK_TIMEOUT_SECONDS: Final = 5
_secrets_option = click.option(
    "--secrets", "location", metavar="LOCATION", help="Where the secrets are stored. Default: COUNTERSIGN_MFA_SECRETS."
)


@click.group()
def mfa() -> None:
    """Enrol people in MFA for break-glass, or remove them."""


@mfa.command()
@click.argument("user")
@click.option("--replace", is_flag=True, help="Replace the person's secret; codes from the old one stop working.")
@click.option("--qr/--no-qr", default=True, help="Show a QR code for the authenticator app.")
@click.option("--name", help="What the app shows beside the code. Default: the name in Slack, or the user id.")
@_secrets_option
def enrol(user: str, name: str | None, location: str | None, *, replace: bool, qr: bool) -> None:
    """Create an MFA secret for a Slack user id, and show it once."""
    person, secret = check_user_id(user), new_secret()
    with _changing(location) as enrolment:
        enrolment.enrol(person, secret, is_replacing=replace)
    uri = enrolment_uri(name or _find_name(person) or person, secret)
    if qr and _can_draw():
        click.echo(_draw(uri))
    click.echo(uri)
    click.echo(
        f"Have {person} add this to an authenticator app, with the QR code or the address. It won't be shown again.\n"
        f"Then check a code: countersign mfa check {person}",
        err=True,
    )


@mfa.command()
@click.argument("user")
@click.option("--code", prompt="Code", hide_input=True, help="Prompted for when omitted.")
@_secrets_option
def check(user: str, code: str, location: str | None) -> None:
    """Check a person's current code without using it up."""
    person = check_user_id(user)
    secrets = _open(location)
    if secrets.find(person) is None:
        click.echo(f"{person} has no MFA secret. Enrol them: countersign mfa enrol {person}")
        click.get_current_context().exit(_REFUSED)
    if Totp(secrets).find_step(person, code, SystemClock().now()) is None:
        click.echo("Wrong code. Check the clock of this machine and of the authenticator.")
        click.get_current_context().exit(_REFUSED)
    click.echo("The code is correct.")


@mfa.command()
@click.argument("user")
@_secrets_option
def remove(user: str, location: str | None) -> None:
    """Remove a person's MFA secret, with immediate effect."""
    person = check_user_id(user)
    with _changing(location) as enrolment:
        if not enrolment.remove(person):
            click.echo(f"{person} has no MFA secret. Nothing was changed.")
            click.get_current_context().exit(_REFUSED)
    click.echo(f"Removed the MFA secret of {person}.")


@mfa.command()
@click.argument("user")
@_secrets_option
def unlock(user: str, location: str | None) -> None:
    """Let a person try codes again after too many wrong ones. Ask them first whether it was they who tried."""
    person = check_user_id(user)
    with _changing(location) as enrolment:
        if not enrolment.unlock(person):
            click.echo(f"{person} entered no wrong code lately. Nothing was changed.")
            click.get_current_context().exit(_REFUSED)
    click.echo(f"{person} can try codes again.")


@mfa.command("list")
@_secrets_option
def list_people(location: str | None) -> None:
    """List everyone who has an MFA secret."""
    for person in _open(location).people():
        click.echo(person)


def _open(location: str | None) -> Secrets:
    return open_secrets(location if location is not None else read_settings().mfa_secrets)


@contextmanager
def _changing(location: str | None) -> Iterator[Enrolment]:
    """The changes of factors, on the store whose audit trail they go to."""
    # Without a key, the entry would be sealed with a public constant.
    settings = read_settings().require_audit_key()
    secrets = open_secrets(location if location is not None else settings.mfa_secrets)
    with closing(open_stores(settings.store, keyring=settings.keyring, retention=settings.retention)) as stores:
        yield Enrolment(secrets, stores)


def _find_name(person: UserId) -> str | None:
    slack = read_slack_settings()
    if not slack.bot_token.get_secret_value():
        return None
    return find_name(open_client(slack.bot_token, slack.api_url, _SLACK_TIMEOUT_SECONDS), person)


def _can_draw() -> bool:
    # An encoding without these characters would fail the command after the secret is created, before it is shown.
    try:
        "\u2580\u2584\u2588".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _draw(uri: str) -> str:
    drawn = io.StringIO()
    segno.make(uri, error="m").terminal(out=drawn, compact=True)
    return drawn.getvalue()
