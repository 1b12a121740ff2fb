"""`countersign access`: who has what now, what a target says of it, and one pass of the reconciler by hand.

Invariant: `list`, `inspect` and `iam` change nothing. `reconcile` does what `serve` would do, under the same leases,
and ends nothing by a clock that is known to be wrong.

Exit codes: 0 done, 1 something is overdue or could not be done, 2 the input can't be used, 3 the store failed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from typing import Final

import click

from bot.background.access import AccessWork
from bot.commands import access_lines as lines
from bot.commands.access_own import end, is_about_own_access, list_own_access
from bot.commands.access_records import made_by
from bot.commands.opening import opened, store_option
from bot.commands.terminal import Ink, count_of
from bot.settings import Settings, read_settings, read_slack_settings
from core.access.grant import Grant, GrantId
from core.access.holding import Holding
from core.access.right import Right, parse_right_key
from core.access.summary import summarize_each
from core.actor import check_profile_name, check_user_id
from core.audit.trail import EntryDraft
from core.break_glass import EventId
from core.clock import Clock, SystemClock
from core.errors import InvalidInput, NotFound
from core.policy import PolicyFile, load_policy
from core.policy.target_config import AWS_ROLE
from core.request import RequestId
from core.services.activity import read_activity
from core.services.policy_trail import find_earlier
from core.stores.base import Stores
from core.stores.record_store import iterate_pages
from core.targets.aws_role.roles import AwsRoles
from core.targets.opening import PolicyTargets

_FOUND: Final = 1
_ID: Final = re.compile(r"(?:(GRANT|REQUEST|BREAKGLASS)#)?([0-9a-f]{16})")
_ID_FIX: Final = "Write the id of a grant, a request or an event, or a right as `countersign access list` shows it."


@click.group()
def access() -> None:
    """See who has access now, and repair what is stuck."""


access.add_command(end)


@access.command("list")
@store_option
@click.option("--person", metavar="USER", help="Only what this person has.")
@click.option("--profile", help="Only this profile.")
@click.option("--overdue", is_flag=True, help="Only what should be gone by now. Exits with 1 if there is any.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each grant.")
def list_access(store: str | None, person: str | None, profile: str | None, *, overdue: bool, as_json: bool) -> None:
    """Show who has what now, by whose decision, and what is overdue. Other people's changes in AWS aren't asked for.

    On a machine that is paired, without --store and COUNTERSIGN_STORE: what you have now.
    """
    if is_about_own_access(store):
        list_own_access(
            profile, only_for_operators={"--person": person is not None, "--overdue": overdue}, as_json=as_json
        )
        return
    wanted_person = check_user_id(person, "person") if person is not None else None
    wanted_profile = check_profile_name(profile) if profile is not None else None
    now = SystemClock().now()
    # With another key genuine grants look forged, and the trail would say so.
    with opened(read_settings(store=store).require_audit_key()) as stores:
        pages = list(iterate_pages(lambda cursor: stores.access.list_live(cursor=cursor)))
        found = [
            grant
            for page in pages
            for grant in page.items
            if wanted_person in (None, grant.grantee)
            and wanted_profile in (None, grant.profile)
            and (not overdue or lines.is_overdue(grant, now))
        ]
    unread = sum(len(page.malformed) for page in pages)
    if as_json:
        for grant in found:
            click.echo(lines.write_grant(grant, now))
    else:
        _say_list(found, unread, now)
    # What can't be read may well be overdue. The log says which it is.
    if overdue and (found or unread):
        click.get_current_context().exit(_FOUND)


def _say_list(found: Sequence[Grant], unread: int, now: datetime) -> None:
    ink = Ink.of_stdout()
    for line in lines.describe_live(found, now, ink):
        ink.say(line)
    late = sum(lines.is_overdue(grant, now) for grant in found)
    ink.say(f"{count_of(len(found), 'live grant')}, {late} overdue")
    if unread:
        ink.say(f"left out: {count_of(unread, 'grant')} that can't be read. Is COUNTERSIGN_AUDIT_KEY the bot's key?")


@access.command()
@store_option
@click.argument("what", metavar="ID")
def inspect(store: str | None, what: str) -> None:
    """Show a grant, or all grants of a request or event: window, history, holding, and what the target says now."""
    settings, now = read_settings(store=store).require_audit_key(), SystemClock().now()
    with opened(settings) as stores, _targets(settings, stores, SystemClock()) as targets:
        grants, rights = _find(stores, what)
        for summary in summarize_each(grants, now):
            _say(lines.describe_access(summary))
        for right in rights:
            state = stores.access.get_right(right)
            of_right = [grant for grant in grants if grant.right == right]
            for grant in of_right:
                _say(lines.describe_grant(grant, now))
                _say(lines.describe_chain(stores.audit.get_chain(grant.chain)))
            if not of_right:
                click.echo(f"right {right}")
            if state.is_lost:
                click.echo("  holding: damaged or removed in the store; `countersign access reconcile` rebuilds it")
            for each in state.unreadable:
                click.echo(f"  GRANT#{each}: its seal is broken; it counts as not there")
            _say(lines.describe_holding(state.holding, now))
            click.echo(f"  the target says: {_ask(targets, right)}")
        _say(lines.describe_activity(read_activity(stores, load_policy(settings.policy), grants, now)))


@access.command()
@store_option
@click.option("--all", "is_all", is_flag=True, help="Everything that is due.")
@click.argument("what", metavar="RIGHT", required=False)
def reconcile(store: str | None, what: str | None, *, is_all: bool) -> None:
    """Let the reconciler look at a right now, or at everything that is due, and say what it did.

    RIGHT is as `countersign access list` shows it, or the id of a grant, a request or an event.
    """
    if is_all == (what is not None):
        raise InvalidInput("right", "one right or --all is needed, not both", _ID_FIX)
    settings, told = read_settings(store=store).require_audit_key(), _Teller()
    with opened(settings) as stores, _reconciling(settings, stores) as (policy_targets, clock):
        work = AccessWork(stores.access, policy_targets, clock, told)
        if what is None:
            counts = work.sweep()
            click.echo(
                f"visited {count_of(counts.visited, 'right')}; left for later: {counts.left}; failed: {counts.failed}"
            )
            is_bad = bool(counts.left or counts.failed)
        else:
            rights = _find(stores, what)[1]
            _require_known(stores, rights)
            holdings = [_reconcile_one(stores, work, right, clock) for right in rights]
            is_bad = any(holding.problem is not None for holding in holdings)
    click.echo(f"{count_of(told.changes, 'change')}. People are notified by serve, or by `countersign sweep`.")
    if is_bad:
        click.get_current_context().exit(_FOUND)


@access.command()
@click.option("--target", "name", metavar="NAME", help="The target in the policy, if it has several.")
@click.option("--management-account", metavar="ID", help="The number of the management account, for its directory.")
def iam(name: str | None, management_account: str | None) -> None:
    """Print the minimum IAM policy for Identity Center: the accounts, permission sets and groups of your policy file.

    Nothing is sent to AWS.
    """
    from bot.commands.identity_center_iam import MANAGEMENT_ACCOUNT, make_iam_policy  # noqa: PLC0415 - this one only

    document = make_iam_policy(load_policy(read_settings().policy), name, management_account)
    text = json.dumps(document, indent=2)
    if MANAGEMENT_ACCOUNT in text:
        text_of_option = f"use --management-account, or replace {MANAGEMENT_ACCOUNT}"
        click.echo(f"This policy isn't complete: {text_of_option}.", err=True)
    click.echo(text)


class _Teller:
    """Says what the reconciler does, as it does it."""

    def __init__(self) -> None:
        self.changes = 0

    def changed(self, grant: Grant, entries: Sequence[EntryDraft]) -> None:
        self.changes += len(entries)
        for entry in entries:
            click.echo(f"{grant.chain} of {grant.grantee} on {grant.profile}: {entry.event.value}")

    def stepped(self, target: str, step: str, outcome: str) -> None:
        click.echo(f"{target}: {step}, {outcome}")


def _require_known(stores: Stores, rights: Iterable[Right]) -> None:
    """Raises InvalidInput for a right that nobody was ever given: most likely it is mistyped."""
    for right in rights:
        state = stores.access.get_right(right)
        if not state.grants and state.holding.generation == 0:
            raise InvalidInput("right", f"Countersign never gave {str(right)!r}", _ID_FIX)


def _reconcile_one(stores: Stores, work: AccessWork, right: Right, clock: Clock) -> Holding:
    answer = work.reconcile(right)
    holding = stores.access.get_right(right).holding
    click.echo(f"{right}: the target's last answer: {lines.describe_answer(answer)}")
    _say(lines.describe_holding(holding, clock.now()))
    return holding


def _find(stores: Stores, what: str) -> tuple[Sequence[Grant], Sequence[Right]]:
    """The grants that are meant, and their rights. Raises InvalidInput when there are none."""
    if "|" in what:
        right = parse_right_key(what)
        return stores.access.get_right(right).grants, (right,)
    match = _ID.fullmatch(what.strip())
    if match is None:
        raise InvalidInput("id", f"{what!r:.60} is not an id", _ID_FIX)
    kind, number = match.groups()
    for each, find in (("GRANT", _find_grant), ("REQUEST", _find_of_request), ("BREAKGLASS", _find_of_event)):
        if kind in (None, each) and (found := find(stores, number)) is not None:
            if not found:
                raise InvalidInput("id", f"{each}#{number} gave no access: its profile has none", _ID_FIX)
            return found, tuple(dict.fromkeys(grant.right for grant in found))
    raise InvalidInput("id", f"there is no grant, request or event {what!r:.60}", _ID_FIX)


def _find_grant(stores: Stores, number: str) -> Sequence[Grant] | None:
    try:
        return (stores.access.get(GrantId(number)),)
    except NotFound:
        return None


def _find_of_request(stores: Stores, number: str) -> Sequence[Grant] | None:
    try:
        request = stores.requests.get(RequestId(number))
    except NotFound:
        return None
    return made_by(stores, request.chain, request.rights)


def _find_of_event(stores: Stores, number: str) -> Sequence[Grant] | None:
    try:
        event = stores.break_glass.get(EventId(number))
    except NotFound:
        return None
    return made_by(stores, event.chain, event.rights)


@contextmanager
def _targets(settings: Settings, stores: Stores, clock: Clock) -> Iterator[PolicyTargets]:
    with closing(PolicyTargets(PolicyFile(settings.policy), clock)) as targets:
        targets.use_earlier(partial(find_earlier, stores.audit))
        targets.open_with(AWS_ROLE, AwsRoles(stores, clock, targets.config_of).open)
        yield targets


@contextmanager
def _reconciling(settings: Settings, stores: Stores) -> Iterator[tuple[PolicyTargets, Clock]]:
    """The targets, and a clock that was compared with Slack's if there is a token."""
    # Slack's SDK is slow to load, and the other commands don't need it.
    from bot.observability.clock_check import ComparedClock  # noqa: PLC0415 - see above
    from bot.slack.client import open_client  # noqa: PLC0415 - see above
    from bot.slack.clock_watch import ask_for_time  # noqa: PLC0415 - see above

    slack, clock = read_slack_settings(), ComparedClock()
    if slack.bot_token.get_secret_value():
        ask_for_time(open_client(slack.bot_token, slack.api_url, _SLACK_SECONDS, compared_clock=clock), clock)
    with _targets(settings, stores, clock) as targets:
        yield targets, clock


def _ask(targets: PolicyTargets, right: Right) -> str:
    target = targets.get(right.target)
    if target is None:
        return f"nothing: there is no target {right.target} in the policy"
    try:
        return lines.describe_answer(target.inspect(right))
    except Exception as error:  # noqa: BLE001 - whatever a target raises, the rest is still worth reading
        return f"nothing: {type(error).__name__}: {error}"


def _say(said: Iterable[str]) -> None:
    for line in said:
        click.echo(line)


_SLACK_SECONDS: Final = 10
