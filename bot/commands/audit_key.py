"""`countersign audit key`: make a key of the audit trail, retire an old one, print the public key of the signatures.

Invariant: a key is printed only when it is made. Retiring one is an entry of the trail, sealed with the new key, behind
a checkpoint that pins everything the old key sealed.

Exit codes: 0 done, 2 the key can't be retired yet, 3 the store failed.
"""

from __future__ import annotations

import secrets
from typing import Final

import click

from bot.commands.opening import opened, store_option
from bot.settings import read_settings
from core.audit.checkpoint import find_last_checkpoint, known_retirements
from core.audit.key_retirement import retire_key
from core.audit.signature import SEED_BYTES, SETTING, SigningKey
from core.clock import SystemClock, format_time
from core.errors import InvalidInput

_KEY_BYTES: Final = 32


@click.group()
def key() -> None:
    """Make, retire and print keys of the audit trail."""


@key.command()
@click.option("--signing", is_flag=True, help="A key for COUNTERSIGN_AUDIT_SIGNING_KEY instead.")
def new(*, signing: bool) -> None:
    """Print a new key for COUNTERSIGN_AUDIT_KEY.

    Put it before the old one, separated by a comma: newest,older.
    """
    click.echo(secrets.token_hex(SEED_BYTES if signing else _KEY_BYTES))


@key.command()
@click.argument("key_id")
@store_option
def retire(key_id: str, store: str | None) -> None:
    """Retire an old key: what is sealed with it from now on is a finding, and no record with its seal is accepted.

    KEY_ID is the key's name of eight hex digits, as `audit key list` prints it.
    """
    settings = read_settings(store=store).require_audit_key()
    with opened(settings) as stores:
        entry = retire_key(stores, SystemClock(), key_id)
    click.echo(f"retired {key_id}, which was in use until {entry.details['until']}")
    click.echo(f"{entry.chain} {entry.seq}:{entry.digest}")


@key.command(name="list")
@store_option
def list_keys(store: str | None) -> None:
    """List the keys of COUNTERSIGN_AUDIT_KEY by their names, and which are retired."""
    settings = read_settings(store=store).require_audit_key()
    with opened(settings) as stores:
        _, last = find_last_checkpoint(stores.audit, settings.keyring)
        retired = known_retirements(stores.audit, settings.keyring, last)
    for key_id in settings.keyring.key_ids:
        until = retired.get(key_id)
        state = "seals" if key_id == settings.keyring.key_id else "verifies"
        click.echo(f"{key_id}  {state if until is None else f'retired, in use until {format_time(until)}'}")


@key.command()
def public() -> None:
    """Print the public key of COUNTERSIGN_AUDIT_SIGNING_KEY, for `audit verify --public-key`."""
    secret = read_settings().audit_signing_key
    if secret is None:
        raise InvalidInput(SETTING, "it is not set", "Make one with: countersign audit key new --signing")
    click.echo(SigningKey.from_text(secret.get_secret_value()).public.to_pem(), nl=False)
