"""`countersign policy replay`: which past decisions would differ under a policy file.

Invariant: it reads, and writes nothing. A decision that can't be judged is listed, never taken for the same.

Exit codes: 0 nothing would differ, 1 something would or can't be judged, 2 the input can't be used, 3 the store failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import click

from bot.commands.opening import opened, store_option
from bot.commands.policy_files import json_option, load_policy_file, plain_errors, policy_option, print_json
from bot.commands.terminal import Ink, count_of, read_moment
from bot.settings import read_settings
from core.actor import UserGroupId, UserId, check_user_group_id, check_user_id
from core.clock import format_time
from core.policy import Policy
from core.policy.replay import Groups, ReplayedDecision, replay_event, replay_refusal, replay_request
from core.stores.base import Stores

_DIFFERENT = 1
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@click.command()
@policy_option
@store_option
@click.option("--since", required=True, help="From this day or moment on, such as 2026-01-01.")
@click.option("--group", "groups", multiple=True, help="Who is in a user group: S0SRE=U0ANN,U0BEN. Repeatable.")
@json_option
def replay(policy_path: str, store: str | None, since: str, groups: tuple[str, ...], *, as_json: bool) -> None:
    """List the past requests, votes, emergencies and refusals that would differ under the policy file.

    User groups are as Slack last described them to the bot, unless --group says who is in one.
    """
    loaded, _ = load_policy_file(policy_path)
    with plain_errors():
        start, given = read_moment("since", since) or _BEGINNING, dict(map(_read_group, groups))
    with opened(read_settings(store=store)) as stores:
        known = _known_groups(stores, loaded) | given
        found = sorted(_replay(stores, loaded, known, start), key=lambda each: (each.at, each.record))
        judged = _count(stores, start)
    unknown = [each for each in found if not each.is_known]
    if as_json:
        differing = [_to_json(each) for each in found]
        print_json({"policy": loaded.digest, "since": format_time(start), "judged": judged, "differing": differing})
    else:
        for line in (*_describe(found), _summary(judged, len(found) - len(unknown), len(unknown))):
            click.echo(line)
    if found:
        click.get_current_context().exit(_DIFFERENT)


def _replay(stores: Stores, policy: Policy, groups: Groups, start: datetime) -> Iterator[ReplayedDecision]:
    requests = (replay_request(policy, each, groups) for each in stores.requests.iterate() if each.created_at >= start)
    events = (replay_event(policy, each, groups) for each in stores.break_glass.iterate() if each.created_at >= start)
    refusals = (replay_refusal(policy, each, groups) for each in stores.audit.export(since=start))
    for found in (requests, events, refusals):
        yield from (each for each in found if each is not None)


def _count(stores: Stores, start: datetime) -> int:
    records = (stores.requests.iterate(), stores.break_glass.iterate())
    return sum(each.created_at >= start for found in records for each in found)


def _known_groups(stores: Stores, policy: Policy) -> dict[UserGroupId, frozenset[UserId]]:
    found = stores.directory.get_groups(policy.user_groups())
    return {group: frozenset(map(UserId, answer.users)) for group, answer in found.items()}


def _describe(found: list[ReplayedDecision]) -> Iterator[str]:
    ink = Ink.of_stdout()
    for each in found:
        yield f"{ink.unmet if each.is_known else '?'} {format_time(each.at)}  {each.what}  ({each.record})"
        yield from (f"    {difference}" for difference in each.differences)
        if each.unknown:
            named = " ".join(f"--group {group}=…" for group in sorted(each.unknown))
            yield f"    can't be judged: nobody knows who is in {', '.join(sorted(each.unknown))}. Add {named}"


def _summary(judged: int, differing: int, unknown: int) -> str:
    more = f", {unknown} can't be judged" if unknown else ""
    return f"{count_of(judged, 'decision')} since then: {differing} would differ{more}"


def _to_json(each: ReplayedDecision) -> dict[str, object]:
    return {
        "at": format_time(each.at),
        "record": each.record,
        "what": each.what,
        "differences": list(each.differences),
        "unknown_groups": sorted(each.unknown),
    }


def _read_group(text: str) -> tuple[UserGroupId, frozenset[UserId]]:
    group, _, people = text.partition("=")
    members = frozenset(check_user_id(each.strip()) for each in people.split(",") if each.strip())
    return check_user_group_id(group), members
