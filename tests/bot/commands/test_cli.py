"""The `countersign` command: its version, its errors, and `tables`."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bot.cli import Commands, countersign
from bot.observability.build import find_build
from core.errors import CountersignError, InvalidInput, NotAllowed, RequestNotFound, StoreUnavailable
from core.invalid_policy import InvalidPolicy, PolicyProblem
from tests.harness.aws import dynamodb_client


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STORE", "POLICY", "AUDIT_KEY", "RETENTION"):
        monkeypatch.delenv(f"COUNTERSIGN_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(countersign, arguments)


def test_version_is_that_of_the_package() -> None:
    shown = run("--version")

    assert (shown.exit_code, shown.output) == (0, f"countersign {find_build()}\n")
    assert shown.output.startswith(f"countersign {version('countersign')} (")


def test_help_names_the_commands_that_are_there() -> None:
    shown = run("--help").output

    assert [name for name in ("audit", "playground", "policy", "serve", "tables") if f"  {name} " not in shown] == []


def test_help_works_whatever_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_STORE", "nonsense")

    assert run("tables", "create", "--help").exit_code == 0


@pytest.mark.parametrize(
    ("error", "exit_code", "said"),
    [
        (
            InvalidInput("duration", "it is\nlong", "Ask for less."),
            2,
            "countersign: duration: it is long. Ask for less.\n",
        ),
        (
            NotAllowed("approve", ("no rule covers prod",)),
            1,
            "countersign: approve is not allowed: no rule covers prod\n",
        ),
        (RequestNotFound("00"), 1, "countersign: There is no record '00'. Nothing was changed.\n"),
        (StoreUnavailable("time"), 3, "countersign: The store did not answer: time. Nothing was changed.\n"),
    ],
)
def test_error_of_core_is_one_plain_line_and_an_exit_code(error: CountersignError, exit_code: int, said: str) -> None:
    result = CliRunner().invoke(_raising(error))

    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert result.stderr == said


def test_mistakes_in_a_policy_keep_their_lines() -> None:
    problems = tuple(PolicyProblem(line, "a", "b", "c") for line in (3, 5))
    result = CliRunner().invoke(_raising(InvalidPolicy("policy.yml", problems)))

    assert [line.strip() for line in result.stderr.splitlines()[-2:]] == [str(each) for each in problems]


def test_bad_setting_ends_the_command_without_a_traceback() -> None:
    done = subprocess.run(  # noqa: S603 - the command is ours
        [Path(sys.executable).with_name("countersign"), "tables", "check"],
        env={"COUNTERSIGN_AUDIT_KEY": "a-secret-that-is-short"},
        # The script of a shared environment looks for the packages where it is started.
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("countersign: COUNTERSIGN_AUDIT_KEY: a key has fewer than 32 characters.")
    assert len(done.stderr.splitlines()) == 1
    assert "a-secret-that-is-short" not in done.stderr


class TestTablesOnSqlite:
    def test_create_makes_the_file_and_check_finds_it_right(self) -> None:
        assert run("tables", "create").output == "countersign.db is ready to use.\n"
        assert Path("countersign.db").is_file()

        checked = run("tables", "check")
        assert (checked.exit_code, checked.output) == (0, "countersign.db is set up correctly.\n")

    def test_check_of_a_missing_file_names_it_and_makes_nothing(self) -> None:
        checked = run("tables", "check", "--store", "sqlite:///other.db")

        assert checked.exit_code == 1
        assert checked.output == "differs   other.db: there is no database. Run `countersign tables create`.\n"
        assert not Path("other.db").exists()

    def test_check_of_an_empty_file_leaves_it_empty(self) -> None:
        Path("countersign.db").touch()

        assert run("tables", "check").exit_code == 1
        assert Path("countersign.db").stat().st_size == 0

    def test_check_names_what_differs(self) -> None:
        run("tables", "create")
        with closing(sqlite3.connect("countersign.db")) as connection:
            connection.execute("DROP TABLE ledgers")

        checked = run("tables", "check")
        assert checked.exit_code == 1
        assert "the table ledgers is missing" in checked.output

    def test_file_of_an_older_version_is_named_and_upgraded(self) -> None:
        run("tables", "create")
        with closing(sqlite3.connect("countersign.db")) as connection:
            connection.execute("DROP TABLE places")

        lacking = "differs   countersign.db: the table places is missing. Run `countersign tables create`.\n"
        assert [run("tables", "check").output for _ in range(2)] == [lacking] * 2
        run("tables", "create")
        assert run("tables", "check").exit_code == 0

    def test_json_says_the_same(self) -> None:
        missing = run("tables", "check", "--json")
        run("tables", "create")
        right = run("tables", "check", "--json")

        assert (missing.exit_code, right.exit_code) == (1, 0)
        assert json.loads(right.output) == {"correct": True, "differences": [], "unknown": []}
        (difference,) = json.loads(missing.output)["differences"]
        assert difference["fix"] == "Run `countersign tables create`."

    def test_missing_folder_is_a_store_error_that_names_it(self) -> None:
        result = run("tables", "create", "--store", "sqlite:///missing/x.db")

        assert result.exit_code == 3
        assert result.stderr.startswith("countersign: missing/x.db cannot be opened")


@pytest.mark.usefixtures("aws_environment")
class TestTablesOnDynamoDb:
    def test_check_then_create_then_check(self, moto_url: str, table_prefix: str) -> None:
        store = f"dynamodb://eu-west-1/{table_prefix}?endpoint_url={moto_url}"

        before, made, after = (run("tables", each, "--store", store) for each in ("check", "create", "check"))

        assert [before.exit_code, made.exit_code, after.exit_code] == [1, 0, 0]
        assert (
            f"differs   {table_prefix}-audit: this table is missing. Run `countersign tables create`." in before.output
        )
        assert f"created   {table_prefix}-requests\n" in made.output
        assert after.output == f"The tables {table_prefix}-… in eu-west-1 are set up correctly.\n"

    def test_repair_is_reported(self, moto_url: str, table_prefix: str) -> None:
        store = f"dynamodb://eu-west-1/{table_prefix}?endpoint_url={moto_url}"
        run("tables", "create", "--store", store)
        with dynamodb_client(moto_url) as client:
            client.update_table(TableName=f"{table_prefix}-audit", DeletionProtectionEnabled=False)

        again = run("tables", "create", "--store", store)

        assert again.exit_code == 0
        assert f"repaired  {table_prefix}-audit: deletion protection is off\n" in again.output

    @pytest.mark.engine
    def test_what_the_engine_does_not_report_is_said(self, dynamodb_local_url: str, table_prefix: str) -> None:
        made = run(
            "tables", "create", "--store", f"dynamodb://eu-west-1/{table_prefix}?endpoint_url={dynamodb_local_url}"
        )

        assert made.exit_code == 0
        assert "unknown   this engine doesn't report whether deletion protection is on\n" in made.output


def test_template_and_iam_are_printed_with_the_prefix() -> None:
    template = json.loads(run("tables", "template", "--prefix", "team").output)
    policy = json.loads(run("tables", "iam", "--prefix", "team", "--role", "operator").stdout)
    bucket = json.loads(run("tables", "audit-bucket").output)

    assert template["Resources"]["Requests"]["Properties"]["TableName"] == "team-requests"
    assert "arn:aws:dynamodb:REGION:ACCOUNT_ID:table/team-audit" in policy["Statement"][0]["Resource"]
    assert bucket["Resources"]["AuditBucket"]["Properties"]["ObjectLockEnabled"] is True


@pytest.mark.parametrize(
    ("arguments", "arn"),
    [
        ((), "arn:aws:dynamodb:REGION:ACCOUNT_ID:table/countersign-requests"),
        (("--region", "eu-west-1"), "arn:aws:dynamodb:eu-west-1:ACCOUNT_ID:table/countersign-requests"),
        (
            ("--region", "eu-west-1", "--account", "111122223333"),
            "arn:aws:dynamodb:eu-west-1:111122223333:table/countersign-requests",
        ),
        (("--region", "cn-north-1"), "arn:aws-cn:dynamodb:cn-north-1:ACCOUNT_ID:table/countersign-requests"),
        (("--region", "us-gov-west-1"), "arn:aws-us-gov:dynamodb:us-gov-west-1:ACCOUNT_ID:table/countersign-requests"),
        (("--store", "dynamodb://us-east-2/team"), "arn:aws:dynamodb:us-east-2:ACCOUNT_ID:table/team-requests"),
        (
            ("--store", "dynamodb://us-east-2/team", "--region", "eu-west-1", "--prefix", "other"),
            "arn:aws:dynamodb:eu-west-1:ACCOUNT_ID:table/other-requests",
        ),
    ],
)
def test_iam_policy_names_region_and_account(arguments: tuple[str, ...], arn: str) -> None:
    printed = run("tables", "iam", *arguments)

    assert json.loads(printed.stdout)["Statement"][0]["Resource"][0] == arn
    missing = [word for word in ("REGION", "ACCOUNT_ID") if f":{word}:" in arn]
    assert [word for word in ("REGION", "ACCOUNT_ID") if f"replace {word}" in printed.stderr] == missing


def _raising(error: CountersignError) -> click.Group:
    group = Commands("countersign", invoke_without_command=True)

    @group.result_callback()
    def fail(_: object) -> None:
        raise error

    return group
