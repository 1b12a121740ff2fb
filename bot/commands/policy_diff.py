"""`countersign policy diff`: who gains and who loses what when one policy file takes the place of another.

Invariant: the answer comes from the functions that enforce the policy, not from the lines that differ.

Exit codes: 0 nobody gains or loses anything, 1 somebody does or a file has mistakes, 2 the input can't be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import click

from bot.commands.policy_files import json_option, load_policy_file, print_json
from bot.commands.terminal import FILE, Ink
from core.policy.difference import Change, PolicyDifference, RightChange, compare_policies

_DIFFERENT = 1
_MARKS = {Change.GAINED: "+", Change.LOST: "-", Change.CHANGED: "~"}


@click.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@json_option
def diff(old: str, new: str, *, as_json: bool) -> None:
    """List who gains and who loses what, in plain words, if NEW takes the place of OLD."""
    before, after = (load_policy_file(each, as_json=as_json)[0] for each in (old, new))
    found = compare_policies(before, after)
    if as_json:
        print_json({"old": before.digest, "new": after.digest, "is_same": found.is_empty, **_to_json(found)})
    else:
        for line in _describe(found):
            click.echo(line)
    if not found.is_empty:
        click.get_current_context().exit(_DIFFERENT)


def _describe(found: PolicyDifference) -> Iterator[str]:
    ink = Ink.of_stdout()
    for each in found.people:
        yield ink.paint(", ".join(each.people), "strong")
        yield from (_line(change, ink) for change in each.changes)
    if found.profiles:
        yield ink.paint("what profiles give", "strong")
        yield from (_line(change, ink) for change in found.profiles)
    if found.schedules:
        yield ink.paint("where it is known who is on call", "strong")
        yield from (_line(change, ink) for change in found.schedules)
    if found.is_empty:
        others = f" These sections differ otherwise: {', '.join(found.others)}." if found.others else ""
        yield f"Nobody gains or loses anything.{others}"


def _line(change: RightChange, ink: Ink) -> str:
    gone, new = (", ".join(each) for each in change.terms)
    mark = _MARKS[change.change]
    match change.change:
        case Change.GAINED:
            return ink.paint(f"  {mark} {change.right}{': ' if new else ''}{new}", "good")
        case Change.LOST:
            return ink.paint(f"  {mark} {change.right}{': ' if gone else ''}{gone}", "bad")
    return f"  {mark} {change.right}: {gone or 'nothing'} -> {new or 'nothing'}"


def _to_json(found: PolicyDifference) -> dict[str, object]:
    def write(change: RightChange) -> dict[str, object]:
        return {"change": change.change.value, **asdict(change)}

    people = [{"people": list(each.people), "changes": [*map(write, each.changes)]} for each in found.people]
    others = {"profiles": found.profiles, "on_call": found.schedules}
    written = {name: [*map(write, changes)] for name, changes in others.items()}
    return {"people": people, **written, "other_sections": list(found.others)}
