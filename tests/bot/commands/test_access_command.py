"""`countersign access`, as an operator sees it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from bot.commands.access_lines import describe_answer
from core.access.grant import GrantId
from core.access.holding import OperationKind
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, EntryDraft
from core.clock import SystemClock
from core.stores import open_stores
from core.targets.base import Absent, Held, InProgress, Later, TargetRefused, Unknown
from tests.bot.access_grants import HOUR, a_right, make_grant
from tests.harness.clock import FrozenClock
from tests.harness.policy_files import write_settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.access.grant import Grant
    from core.stores import Stores

KEY = "a-key-that-has-more-than-32-characters"
INSTANCE = "arn:aws:sso:::instance/ssoins-1234567890abcdef"
ADMIN = "arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-1234567890abcdef"
ROLE = "arn:aws:iam::111122223333:role/ops"
GROUP = "11111111-2222-3333-4444-555555555555"
POLICY = f"""
version: 1
targets:
  aws: {{type: identity-center, region: eu-west-1, instance: "{INSTANCE}", identity_store: d-1234567890}}
  ops: {{type: aws-role, role: "{ROLE}", region: eu-west-1}}
profiles:
  prod:
    channel: C0ACCESS1
    access:
      - {{target: aws, account: "111122223333", permission_set: "{ADMIN}"}}
      - {{target: aws, account: "444455556666", permission_set: "{ADMIN}"}}
approval:
  - name: prod
    profiles: [prod]
    requesters: [U0RITA]
    approvers: [U0ANN]
    max_duration: 8h
"""


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store and a policy, which are what the environment names."""
    path, policy = tmp_path / "countersign.db", tmp_path / "policy.yml"
    write_settled(policy, POLICY)
    monkeypatch.setenv("COUNTERSIGN_STORE", f"sqlite:///{path}")
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY)
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(policy))
    with closing(open_stores(f"sqlite:///{path}", keyring=AuditKeyring.from_text(KEY))):
        return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(countersign, ["access", *arguments])


def change(path: Path, work: Callable[[Stores, datetime], Grant], *, ago: timedelta = timedelta()) -> Grant:
    now = SystemClock().now() - ago
    with closing(
        open_stores(f"sqlite:///{path}", keyring=AuditKeyring.from_text(KEY), clock=FrozenClock(now))
    ) as stores:
        return work(stores, now)


def opened_grant(path: Path, *, ago: timedelta = timedelta()) -> Grant:
    def make(stores: Stores, now: datetime) -> Grant:
        state = stores.access.get_right(make_grant(stores, now).right)
        (grant,) = state.grants
        opened = grant.open(now)
        entry = EntryDraft.of(opened, AuditAction.GRANT_OPENED, "clock")
        stores.access.commit(state, state.holding.begin(OperationKind.GIVE, grant.id, "w", now), opened, [entry])
        return grant

    return change(path, make, ago=ago)


# list


def test_empty_deployment_has_no_live_grant(database: Path) -> None:
    result = run("list")
    assert (result.exit_code, result.output) == (0, "0 live grants, 0 overdue\n"), database
    assert run("list", "--overdue").exit_code == 0


def test_list_says_who_has_what_until_when_and_by_whom(database: Path) -> None:
    opened_grant(database)
    first, last = run("list").output.splitlines()
    assert first.startswith("open  prod  U0REQUESTER  until ")
    assert first.endswith(f"by U0APPROVER  REQUEST#{1:016x}  aws|111122223333|admin|ann")
    assert last == "1 live grant, 0 overdue"


def test_overdue_access_is_named_and_exits_with_one(database: Path) -> None:
    opened_grant(database, ago=2 * HOUR)
    change(database, lambda stores, now: make_grant(stores, now, 2, right=a_right("bob")))
    result = run("list", "--overdue")
    assert result.exit_code == 1
    assert result.output.startswith("overdue  prod  U0REQUESTER")
    assert "bob" not in result.output
    assert "1 live grant, 1 overdue" in result.output
    assert "bob" in run("list").output


@pytest.mark.parametrize(
    ("option", "number"),
    [
        (("--person", "U0REQUESTER"), 1), (("--person", "U0OTHER"), 0),
        (("--profile", "prod"), 1), (("--profile", "staging"), 0),
    ],
)  # fmt: skip
def test_list_is_of_one_person_or_profile(database: Path, option: tuple[str, str], number: int) -> None:
    opened_grant(database)
    assert run("list", *option).output.splitlines()[-1].startswith(f"{number} live grant")


def test_list_as_json_is_for_scripts(database: Path) -> None:
    grant = opened_grant(database, ago=2 * HOUR)
    (line,) = run("list", "--json").output.splitlines()
    said = json.loads(line)
    assert {name: said[name] for name in ("id", "source", "person", "target", "principal", "is_overdue")} == {
        "id": grant.id, "source": grant.source, "person": "U0REQUESTER",
        "target": "aws", "principal": "ann", "is_overdue": True,
    }  # fmt: skip


@pytest.mark.parametrize("option", [("--person", "ann"), ("--profile", "not a profile")])
def test_list_of_nobody_is_refused(database: Path, option: tuple[str, str]) -> None:
    assert run("list", *option).exit_code == 2, database


# inspect


@pytest.mark.parametrize("what", ["grant", "GRANT#", "right"])
def test_inspect_shows_window_history_and_holding(database: Path, what: str) -> None:
    grant = opened_grant(database)
    named = {"grant": grant.id, "GRANT#": grant.chain, "right": str(grant.right)}[what]
    result = run("inspect", named)
    assert result.exit_code == 0
    for part in (
        f"REQUEST#{1:016x}: prod for U0REQUESTER, decided by U0APPROVER",
        f"grant {grant.id}: aws|111122223333|admin|ann",
        "status: active; open until",
        "grant_created by U0APPROVER",
        "grant_opened by clock",
        "holding: unknown, never looked at; given by Countersign; generation 1",
        "in progress: give since",
        "the target says: ",
    ):
        assert part in result.output


@pytest.mark.parametrize("what", ["0" * 16, "REQUEST#" + "0" * 16, "prod", "aws|1"])
def test_inspect_of_what_is_not_there_says_what_to_write(database: Path, what: str) -> None:
    result = run("inspect", what)
    assert result.exit_code == 2, database
    assert "countersign: " in result.output


def test_inspect_asks_a_role_as_serve_does(database: Path) -> None:
    result = run("inspect", f"ops|{ROLE}|assume|U0ANN")
    assert (result.exit_code, "the target says: absent" in result.output) == (0, True), (result.output, database)


def test_request_without_access_is_no_riddle(database: Path) -> None:
    change(database, make_grant)
    result = run("inspect", f"REQUEST#{1:016x}")
    assert result.exit_code == 2
    assert "gave no access" in result.output


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "not asked, nothing was due"), (Held(), "held"), (Absent(), "absent"), (InProgress("t"), "in progress"),
        (TargetRefused("no such\naccount"), "refused: no such account"), (Later(), "try again later"),
        (Later(problem="throttled"), "try again later: throttled"), (Unknown("gone"), "unknown: gone"),
    ],
)  # fmt: skip
def test_answer_of_a_target_is_put_in_words(answer: object, words: str) -> None:
    assert describe_answer(answer) == words  # type: ignore[arg-type]  # each of them is an answer


# reconcile


@pytest.mark.parametrize("arguments", [(), ("--all", "aws|1|2|3")])
def test_reconcile_takes_one_right_or_all(database: Path, arguments: tuple[str, ...]) -> None:
    result = run("reconcile", *arguments)
    assert result.exit_code == 2, database
    assert "one right or --all" in result.output


@pytest.mark.parametrize("command", [("reconcile", "--all"), ("list",), ("inspect", "0123456789abcdef")])
def test_without_a_key_it_is_refused(database: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERSIGN_AUDIT_KEY")
    assert run(*command).exit_code == 2, database


def test_grant_that_cannot_be_read_may_be_overdue(database: Path) -> None:
    opened_grant(database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE grants SET body = replace(body, 'U0APPROVER', 'U0EVE')")
    assert run("list", "--overdue").exit_code == 1


def test_list_says_what_another_key_leaves_out(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened_grant(database)
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", "another-key-that-has-more-than-32-characters")
    assert run("list").output.splitlines()[-2:] == [
        "0 live grants, 0 overdue",
        "left out: 1 grant that can't be read. Is COUNTERSIGN_AUDIT_KEY the bot's key?",
    ]


def test_reconcile_of_nothing_does_nothing(database: Path) -> None:
    result = run("reconcile", "--all")
    assert result.exit_code == 0, database
    assert result.output.splitlines() == [
        "visited 0 rights; left for later: 0; failed: 0",
        "0 changes. People are notified by serve, or by `countersign sweep`.",
    ]


def test_reconcile_of_a_right_never_given_is_refused(database: Path) -> None:
    result = run("reconcile", "aws|111122223333|amdin|rita")
    assert result.exit_code == 2, database
    assert "Countersign never gave 'aws|111122223333|amdin|rita'" in result.output


def test_target_that_left_the_policy_is_reported(database: Path) -> None:
    right = a_right(target="gone")
    grant = change(database, lambda stores, now: make_grant(stores, now, right=right), ago=2 * HOUR)
    result = run("reconcile", str(right))
    assert f"{grant.chain} of U0REQUESTER on prod: grant_ending" in result.output
    with closing(open_stores(f"sqlite:///{database}", keyring=AuditKeyring.from_text(KEY))) as stores:
        assert not stores.access.get(GrantId(grant.id)).is_wanted(SystemClock().now())


# iam


def test_iam_policy_names_what_the_policy_file_uses(database: Path) -> None:
    result = CliRunner().invoke(countersign, ["access", "iam"])
    assert result.exit_code == 0, database
    document = json.loads(result.stdout)
    statements = {each["Sid"]: each for each in document["Statement"]}
    assert statements["ChangeAssignments"]["Resource"] == [
        INSTANCE, ADMIN, "arn:aws:sso:::account/111122223333", "arn:aws:sso:::account/444455556666"
    ]  # fmt: skip
    assert "ChangeGroups" not in statements
    assert "PERMISSION_SET_ID" not in result.stdout
    assert "ACCOUNT_ID" not in result.stdout.replace("MANAGEMENT_ACCOUNT_ID", "")
    assert "isn't complete: use --management-account" in result.stderr


def test_iam_policy_is_complete_with_the_management_account(database: Path) -> None:
    policy = Path(str(database.with_name("policy.yml")))
    write_settled(policy, POLICY.replace("    access:\n", f'    access:\n      - {{target: aws, group: "{GROUP}"}}\n'))
    result = CliRunner().invoke(countersign, ["access", "iam", "--management-account", "999988887777"])
    assert result.exit_code == 0
    assert result.stderr == ""
    assert f"arn:aws:identitystore:::group/{GROUP}" in result.stdout
    assert "arn:aws:identitystore::999988887777:identitystore/d-1234567890" in result.stdout


def test_iam_policy_takes_no_account_that_is_none(database: Path) -> None:
    result = run("iam", "--management-account", "99998888777")
    assert result.exit_code == 2, database
    assert "is not an AWS account id" in result.output


def test_iam_policy_of_no_target_is_refused(database: Path) -> None:
    assert run("iam", "--target", "gcp").exit_code == 2, database
    write_settled(
        database.with_name("policy.yml"),
        POLICY.replace("    access:", "    x-access:").partition("x-access")[0].replace("targets:", "x:"),
    )
    assert run("iam").exit_code != 0
