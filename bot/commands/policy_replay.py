"""`countersign policy replay`: which past decisions would differ under a policy file.

Invariant: it reads, and writes nothing. A decision that can't be judged is listed, never taken for the same.

Exit codes: 0 nothing would differ, 1 something would or can't be judged, 2 the input can't be used, 3 the store failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import click

from bot.commands.opening import opened, store_option
from bot.commands.policy_files import json_option, load_policy_file, plain_errors, policy_option, print_json
from bot.commands.terminal import Ink, count_of, read_moment
from bot.settings import read_settings
from core.actor import UserGroupId, UserId, check_user_group_id, check_user_id
from core.audit.checkpoint import read_seal_check
from core.audit.places import in_batches
from core.break_glass import BreakGlassEvent
from core.clock import format_time
from core.errors import MalformedRecord
from core.on_call import ON_CALL_PREFIX, OnCallName, is_on_call_name, on_call_name, schedule_of
from core.policy import Policy
from core.policy.replay import (
    REPLAYED_REFUSALS,
    Groups,
    KnownDuties,
    ReplayedDecision,
    replay_event,
    replay_refusal,
    replay_request,
    unusable,
)
from core.request import Request
from core.stores.base import Stores
from core.stores.record_store import RecordStore

R = TypeVar("R", Request, BreakGlassEvent)
_DIFFERENT = 1
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Judged:
    """How many requests and events were looked at."""

    count: int = 0


class _Known(NamedTuple):
    """What is known of people in the past."""

    groups: Groups
    duties: KnownDuties


@click.command()
@policy_option
@store_option
@click.option("--since", required=True, help="From this day or moment on, such as 2026-01-01.")
@click.option("--group", "groups", multiple=True, help="Who is in a user group: S0SRE=U0ANN,U0BEN. Repeatable.")
@click.option("--on-call", "on_call", multiple=True, help="Who was on call: primary=U0ANN,U0BEN. Repeatable.")
@json_option
def replay(
    policy_path: str,
    store: str | None,
    since: str,
    groups: tuple[str, ...],
    on_call: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """List the past requests, votes, emergencies and refusals that would differ under the policy file.

    User groups are as Slack last described them to the bot, unless --group says who is in one. Who was on call is as
    the audit trail recorded it of each decision; where it recorded nothing, --on-call says who it was.
    """
    loaded, _ = load_policy_file(policy_path, as_json=as_json)
    with plain_errors():
        start, given = read_moment("since", since) or _BEGINNING, dict(map(_read_group, groups))
        said = dict(map(_read_schedule, on_call))
        loaded.document.require_schedules(said)
    with opened(read_settings(store=store)) as stores:
        known = _Known(_known_groups(stores, loaded) | given, KnownDuties(said))
        judged = _Judged()
        found = sorted(_replay(stores, loaded, known, start, judged), key=lambda each: (each.at or start, each.record))
    unknown = [each for each in found if not each.is_known]
    if as_json:
        differing = [_to_json(each) for each in found]
        print_json(
            {"policy": loaded.digest, "since": format_time(start), "judged": judged.count, "differing": differing}
        )
    else:
        for line in (*_describe(found), _summary(judged.count, len(found) - len(unknown), len(unknown))):
            click.echo(line)
    if found:
        click.get_current_context().exit(_DIFFERENT)


def _replay(
    stores: Stores, policy: Policy, known: _Known, start: datetime, judged: _Judged
) -> Iterator[ReplayedDecision]:
    def of_request(request: Request) -> ReplayedDecision | None:
        def judge(duties: KnownDuties) -> ReplayedDecision | None:
            return replay_request(policy, request, known.groups, duties)

        return _with_trail(stores, request.chain, request.requester, known.duties, judge)

    def of_event(event: BreakGlassEvent) -> ReplayedDecision | None:
        def judge(duties: KnownDuties) -> ReplayedDecision | None:
            return replay_event(policy, event, known.groups, duties)

        return _with_trail(stores, event.chain, event.invoker, known.duties, judge)

    for record in _read_each(stores.requests):
        yield from _judge(record, start, judged, of_request)
    for event in _read_each(stores.break_glass):
        yield from _judge(event, start, judged, of_event)
    yield from _refusals(stores, policy, known, start)


def _with_trail(
    stores: Stores,
    chain: str,
    about: UserId,
    known: KnownDuties,
    judge: Callable[[KnownDuties], ReplayedDecision | None],
) -> ReplayedDecision | None:
    """The same decision, judged again with what the trail keeps if it may depend on who was on call."""
    found = judge(known)
    if found is None or not (known.said or any(map(is_on_call_name, found.unknown))):
        return found
    return judge(known.with_entries(stores.audit.get_chain(chain), about))


def _refusals(stores: Stores, policy: Policy, known: _Known, start: datetime) -> Iterator[ReplayedDecision]:
    seals = read_seal_check(stores.audit, stores.audit.keyring)
    for entry in stores.audit.export(since=start):
        if entry.event not in REPLAYED_REFUSALS:
            continue
        problem = seals.find_problem(entry)
        if problem is not None:
            yield unusable(f"{entry.chain}/{entry.seq}", f"its entry {problem[1]}", entry.at)
        elif (found := replay_refusal(policy, entry, known.groups, known.duties)) is not None:
            yield found


def _read_each(store: RecordStore[R, Any]) -> Iterator[R | MalformedRecord]:
    """Every record, or what is wrong with it: a change to it must not hide it."""
    for batch in in_batches(store.iterate_ids()):
        yield from store.find_many(batch).values()


def _judge(
    record: R | MalformedRecord, start: datetime, judged: _Judged, replay_one: Callable[[R], ReplayedDecision | None]
) -> Iterator[ReplayedDecision]:
    if isinstance(record, MalformedRecord):
        judged.count += 1
        yield unusable(record.record, record.problem)
    elif record.as_read.problems:
        judged.count += 1
        yield unusable(record.chain, "; ".join(record.as_read.problems), record.created_at)
    elif record.created_at >= start:
        judged.count += 1
        if (found := replay_one(record)) is not None:
            yield found


def _known_groups(stores: Stores, policy: Policy) -> dict[UserGroupId, frozenset[UserId]]:
    found = stores.directory.get_groups(policy.user_groups())
    return {group: frozenset(map(UserId, answer.users)) for group, answer in found.items()}


def _describe(found: list[ReplayedDecision]) -> Iterator[str]:
    ink = Ink.of_stdout()
    for each in found:
        when = format_time(each.at) if each.at is not None else "at some time"
        yield f"{ink.unmet if each.is_known else '?'} {when}  {each.what}  ({each.record})"
        yield from (f"    {difference}" for difference in each.differences)
        if each.problem:
            yield f"    {each.problem}. Run `countersign audit verify`."
        if each.unknown:
            yield from (f"    can't be judged: {why}" for why in _why_unknown(each))


def _why_unknown(each: ReplayedDecision) -> Iterator[str]:
    schedules = sorted(schedule_of(OnCallName(need)) for need in each.unknown if is_on_call_name(need))
    groups = sorted(need for need in each.unknown if not is_on_call_name(need))
    if groups:
        named = " ".join(f"--group {group}=…" for group in groups)
        yield f"nobody knows who is in {', '.join(groups)}. Add {named}"
    if schedules:
        named = " ".join(f"--on-call {schedule}=…" for schedule in schedules)
        yield f"nobody knows who was on call in {', '.join(schedules)}. Add {named}"


def _summary(judged: int, differing: int, unknown: int) -> str:
    more = f", {unknown} can't be judged" if unknown else ""
    return f"{count_of(judged, 'decision')} since then: {differing} would differ{more}"


def _to_json(each: ReplayedDecision) -> dict[str, object]:
    return {
        "at": format_time(each.at) if each.at is not None else None,
        "record": each.record,
        "what": each.what,
        "differences": list(each.differences),
        "unknown_groups": sorted(need for need in each.unknown if not is_on_call_name(need)),
        "unknown_schedules": sorted(schedule_of(OnCallName(need)) for need in each.unknown if is_on_call_name(need)),
        "problem": each.problem or None,
    }


def _read_group(text: str) -> tuple[UserGroupId, frozenset[UserId]]:
    group, _, people = text.partition("=")
    return check_user_group_id(group), _read_people(people)


def _read_schedule(text: str) -> tuple[OnCallName, frozenset[UserId]]:
    schedule, _, people = text.partition("=")
    return on_call_name(schedule.strip().removeprefix(ON_CALL_PREFIX)), _read_people(people)


def _read_people(text: str) -> frozenset[UserId]:
    return frozenset(check_user_id(each.strip()) for each in text.split(",") if each.strip())
