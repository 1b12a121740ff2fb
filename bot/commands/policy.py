"""`countersign policy`: check a policy file, show its versions, or print an example to start from.

Invariant: it calls the same functions that enforce the policy, so its answer is what Slack will say. A mistake is
reported in plain lines, never as a traceback.

Exit codes: 0 valid or allowed, 1 mistakes or refused, 2 the input can't be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from importlib.resources import files
from typing import Final

import click

from bot.commands.opening import opened, store_option
from bot.commands.policy_diff import diff
from bot.commands.policy_explain import explain
from bot.commands.policy_files import json_option, plain_errors, policy_option, print_json, read_or_exit
from bot.commands.policy_replay import replay
from bot.commands.policy_schedules import AskedSchedules
from bot.commands.policy_secrets import note_missing
from bot.commands.policy_test import test
from bot.commands.terminal import FILE, Ink, color_option, count_of
from bot.settings import read_settings
from core.audit.trail import AuditAction
from core.clock import format_time
from core.invalid_policy import PolicyProblem
from core.policy import Policy
from core.policy.editor_schema import write_schema
from core.policy.loader import MoreFound, check_with_notes
from core.policy.rules import PolicyDocument
from core.services.policy_trail import CHAIN, find_version, iterate_versions

_DIGITS_SHOWN: Final = 12


@click.group()
def policy() -> None:
    """Check, test, compare or explain the policy file, or print an example."""


@policy.command()
@click.argument("path", required=False, type=FILE)
@policy_option
@click.option("--offline", is_flag=True, help="Don't ask the sources of on-call schedules, and look for no secret.")
@json_option
@color_option
def check(path: str | None, policy_path: str, *, offline: bool, as_json: bool) -> None:
    """List every mistake in a policy file, with its line and how to fix it, and what is probably not meant.

    The source of each on-call schedule is asked whether it exists. Secrets for tickets and pages that aren't here are
    named.
    """
    named, asked = path or policy_path, AskedSchedules()

    def find_more(document: PolicyDocument) -> MoreFound:
        if offline:
            return MoreFound()
        found = asked(document)
        return MoreFound(found.mistakes, (*found.notes, *note_missing(document)))

    loaded, notes = read_or_exit(named, partial(check_with_notes, find_more=find_more), as_json=as_json)
    if as_json:
        _print_check(named, loaded, notes, asked.names)
        return
    document = loaded.document
    counts = (
        count_of(len(document.profiles), "profile"),
        count_of(len(document.approval), "approval rule"),
        count_of(len(document.break_glass), "break-glass rule"),
        *([count_of(len(document.targets), "target")] if document.targets else []),
        *([count_of(len(document.on_call), "schedule")] if document.on_call else []),
    )
    ink = Ink.of_stdout()
    for each in notes:
        ink.say(ink.paint(f"{named}:{each.line}: note: {each.path}: {each.problem}. {each.fix}", "quiet"))
    for name, called in asked.names.items():
        ink.say(ink.paint(f"on-call:{name} is {called}", "quiet"))
    valid = ink.paint(f"{named} is valid", "good")
    ink.say(f"{valid}: {', '.join(counts)}; digest {loaded.digest[:_DIGITS_SHOWN]}")


def _print_check(named: str, loaded: Policy, notes: tuple[PolicyProblem, ...], schedules: Mapping[str, str]) -> None:
    document = loaded.document
    counted = ("profiles", "approval", "break_glass", "targets", "on_call")
    counts = {name: len(getattr(document, name)) for name in counted}
    found: dict[str, object] = {
        "mistakes": [],
        "notes": [asdict(each) for each in notes],
        "schedules": dict(schedules),
    }
    print_json({"file": named, "is_valid": True, "digest": loaded.digest, "counts": counts, **found})


@policy.command()
def schema() -> None:
    """Print the JSON Schema of the policy file, for editors."""
    click.echo(write_schema(), nl=False)


@policy.command()
@click.option("--cases", "is_cases", is_flag=True, help="Print the cases that belong to the example instead.")
def example(*, is_cases: bool) -> None:
    """Print a commented example policy to start from, or cases for it."""
    name = "example.cases.yml" if is_cases else "example.yml"
    # As bytes, so that a redirected file is the same on every system, whatever the terminal's encoding.
    click.echo(files("core.policy").joinpath(name).read_bytes(), nl=False)


@policy.command()
@store_option
def history(store: str | None) -> None:
    """List the versions of the policy that this deployment used or refused, newest first."""
    with opened(read_settings(store=store)) as stores:
        for entry in iterate_versions(stores.audit.get_chain(CHAIN)):
            digest = str(entry.details.get("digest", "unreadable"))[:_DIGITS_SHOWN]
            lines = f"+{entry.details.get('added_lines', 0)} -{entry.details.get('removed_lines', 0)} lines"
            what = f"in force, {lines}" if entry.event is AuditAction.POLICY_IN_FORCE else "refused"
            click.echo(f"{format_time(entry.at)}  {digest}  {what}")


@policy.command()
@click.argument("digest")
@store_option
def show(digest: str, store: str | None) -> None:
    """Print a version of the policy that was in force, by the first digits of its digest."""
    with opened(read_settings(store=store)) as stores, plain_errors():
        click.echo(find_version(stores.audit.get_chain(CHAIN), digest), nl=False)


for each in (test, diff, replay, explain):
    policy.add_command(each)
