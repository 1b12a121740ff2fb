"""`countersign pager`: send a test page through the pager that the policy names, and resolve it.

Invariant: a test page is resolved whatever happens after it was sent, and no key is printed.

Exit codes: 0 the pager took both, 1 it didn't, 2 the policy names no pager or can't be used.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import Final

import click

from bot.commands.terminal import count_of
from bot.settings import read_settings
from core.clock import SystemClock, new_id
from core.errors import DeliveryFailed, InvalidInput
from core.pagers.base import Pager, PagerAlert, Severity
from core.pagers.opening import Pagers
from core.policy import load_policy
from core.policy.pager_config import PagerConfig

HOLD_SECONDS: Final = 30
MAX_HOLD_SECONDS: Final = 600
SUMMARY: Final = "Test page from Countersign: nothing to do"
_NOT_TAKEN: Final = 1


@click.group()
def pager() -> None:
    """Try the pager that the policy names."""


@pager.command()
@click.option(
    "--hold",
    type=click.IntRange(0, MAX_HOLD_SECONDS),
    default=HOLD_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long the page stays open, so that it reaches the person on call.",
)
def test(hold: int) -> None:
    """Send a test page to the person on call, and resolve it."""
    config = _read_pager()
    with closing(Pagers()) as pagers:
        try:
            _send(pagers.get(config), hold)
        except DeliveryFailed as failure:
            click.echo(failure.problem)
            click.get_current_context().exit(_NOT_TAKEN)


def _read_pager() -> PagerConfig:
    config = load_policy(read_settings().policy).notifications.pager
    if config is None:
        raise InvalidInput("pager", "the policy names no pager", "Add pager to it; docs/policy.md says how.")
    return config


def _send(opened: Pager, hold: int) -> None:
    alert = PagerAlert(f"countersign-test-{new_id()}", SUMMARY, Severity.ERROR, SystemClock().now(), "test")
    opened.trigger(alert)
    try:
        click.echo(f"{opened.name} took a test page; it is resolved in {count_of(hold, 'second')}")
        time.sleep(hold)
    finally:
        _resolve(opened, alert.key)


def _resolve(opened: Pager, key: str) -> None:
    try:
        opened.resolve(key)
    except DeliveryFailed:
        # Nothing tries again for a test.
        click.echo(f"The test page is still open: resolve it in {opened.name}.")
        raise
    click.echo(f"{opened.name} took its end")
