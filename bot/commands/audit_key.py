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
from core.audit.key_retirement import retire_key
from core.audit.signature import SEED_BYTES
from core.clock import SystemClock

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
        entry = retire_key(stores.audit, settings.keyring, SystemClock(), key_id)
    click.echo(f"retired {key_id}, which was in use until {entry.details['until']}")
    click.echo(f"{entry.chain} {entry.seq}:{entry.digest}")
