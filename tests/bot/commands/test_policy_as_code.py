"""`countersign policy test`, `diff` and `replay`, and JSON for scripts, as a person at a terminal sees them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from core.actor import ProfileName, UserGroupId, UserId
from core.policy.case_source import parse_cases
from core.stores.opening import open_stores
from core.user_group import UserGroupMembers
from tests.builders import a_draft, a_request, an_event
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores.base import Stores

ROOT: Final = Path(__file__).parents[3]
EXAMPLE: Final = str(ROOT / "policy.example.yml")
CASES: Final = str(ROOT / "policy.example.cases.yml")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(countersign, ["policy", *arguments], env={"COUNTERSIGN_POLICY": None})


def json_of(*arguments: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(run(*arguments, "--json").output)


@pytest.fixture
def changed(tmp_path: Path) -> str:
    """The example with one approval instead of two."""
    path = tmp_path / "changed.yml"
    text = (ROOT / "policy.example.yml").read_text(encoding="utf-8")
    path.write_text(text.replace("required_approvals: 2", "required_approvals: 1"), encoding="utf-8")
    return str(path)


def test_documented_commands_run_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = (ROOT / "docs/policy.md").read_text(encoding="utf-8").split("## Policy as code", 1)[1]
    lines = section.split("```sh\n", 1)[1].split("```", 1)[0].splitlines()
    monkeypatch.chdir(tmp_path)
    for line in lines:
        command, _, target = line.removeprefix("countersign policy ").partition(" > ")
        result = run(*command.split())
        assert result.exit_code == 0, line
        if target:
            Path(target).write_text(result.output, encoding="utf-8")


def test_documented_case_can_be_read() -> None:
    section = (ROOT / "docs/policy.md").read_text(encoding="utf-8").split("### Cases", 1)[1]
    assert len(parse_cases(section.split("```yml\n", 1)[1].split("```", 1)[0].encode()).cases.cases) == 2


class TestTest:
    def test_cases_that_hold_are_one_line(self) -> None:
        result = run("test", CASES, "--policy", EXAMPLE)
        assert (result.output, result.exit_code) == ("9 cases: 9 as expected, 0 not\n", 0)
        assert run("test", CASES, "--policy", EXAMPLE, "--verbose").output.count("✓") == 9

    def test_case_that_fails_says_where_what_and_why(self, changed: str) -> None:
        result = run("test", CASES, "--policy", changed)
        assert result.output.splitlines() == [
            f"✗ {CASES}:12: An engineer may request production, and two people have to approve",
            "    expected approvals 2, got 1",
            "    rule: prod",
            "      met: U0ENGINEER is in S0ENGINEERS, among the requesters of rule prod",
            "      met: 4h is within the 4h that are allowed",
            "9 cases: 8 as expected, 1 not",
        ]
        assert result.exit_code == 1
        found = json_of("test", CASES, "--policy", changed)
        assert (found["cases"], found["failed"]) == (9, 1)
        assert found["results"][0]["differences"] == ["expected approvals 2, got 1"]

    def test_mistake_in_the_cases_is_a_line_with_its_fix(self, tmp_path: Path) -> None:
        path = tmp_path / "cases.yml"
        path.write_text("version: 1\ncases:\n  - {who: U0ANN, request: prod, expect: yes}\n", encoding="utf-8")
        result = run("test", str(path), "--policy", EXAMPLE)
        place = f"{path}:3: cases[0].expect.answer"
        assert result.output == f"{place}: 'yes' is not a choice here. Write one of: allowed, refused.\n"
        assert result.exit_code == 1

    def test_file_that_is_missing_is_a_line(self) -> None:
        result = run("test", "none.yml", "--policy", EXAMPLE)
        assert "none.yml:1: file: it cannot be read" in result.output
        assert result.exit_code == 1

    def test_example_of_cases_is_printed(self) -> None:
        assert run("example", "--cases").output.encode() == Path(CASES).read_bytes()


class TestDiff:
    def test_same_policy_is_no_difference(self) -> None:
        result = run("diff", EXAMPLE, EXAMPLE)
        assert (result.output, result.exit_code) == ("Nobody gains or loses anything.\n", 0)

    def test_people_are_listed_with_what_changes(self, changed: str) -> None:
        result = run("diff", EXAMPLE, changed)
        assert result.output.splitlines() == [
            "U0AB12CD3, U0AB12CD4, U0AB12CD5, everybody in S0ENGINEERS",
            "  ~ request prod: 2 approvals -> 1 approval",
            "  ~ request prod-db: 2 approvals -> 1 approval",
        ]
        assert result.exit_code == 1
        (people,) = json_of("diff", EXAMPLE, changed)["people"]
        assert [each["change"] for each in people["changes"]] == ["changed", "changed"]


class TestCheck:
    def test_profile_that_no_rule_covers_is_a_mistake(self, tmp_path: Path) -> None:
        path = tmp_path / "policy.yml"
        path.write_text("version: 1\nprofiles: {prod: {channel: C0ACCESS1}}\n", encoding="utf-8")
        result = run("check", str(path))
        assert result.output == (
            f"{path}:2: profiles.prod: no rule covers this profile, so nobody can have it. "
            "Add an approval rule whose profiles have prod, or remove the profile.\n"
        )
        assert result.exit_code == 1

    def test_json_has_mistakes_or_counts(self, tmp_path: Path) -> None:
        path = tmp_path / "policy.yml"
        path.write_text("version: 1\nprofiles: {prod: {chanel: C0ACCESS1}}\n", encoding="utf-8")
        found = json_of("check", str(path))
        assert (found["is_valid"], found["mistakes"][0]["line"]) == (False, 2)
        good = json_of("check", EXAMPLE)
        assert (good["is_valid"], good["counts"]["profiles"], good["mistakes"]) == (True, 3, [])

    @pytest.mark.parametrize(
        "arguments",
        [
            ("test", CASES, "--policy", "nowhere.yml"),
            ("test", "nowhere.yml", "--policy", EXAMPLE),
            ("diff", EXAMPLE, "nowhere.yml"),
            ("explain", "--user", "U0ANN", "--profile", "prod", "--policy", "nowhere.yml"),
            ("replay", "--since", "2026-01-01", "--policy", "nowhere.yml"),
        ],
    )
    def test_mistakes_of_a_file_are_json_as_well(self, arguments: tuple[str, ...]) -> None:
        found = json_of(*arguments)
        assert (found["file"], found["is_valid"], found["mistakes"][0]["line"]) == ("nowhere.yml", False, 1)
        assert run(*arguments, "--json").exit_code == 1

    def test_explain_has_json_and_the_same_exit_code(self) -> None:
        arguments = ("explain", "--policy", EXAMPLE, "--user", "U0ANN", "--profile", "prod")
        assert json_of(*arguments)["is_allowed"] is False
        assert run(*arguments, "--json").exit_code == 1


class TestReplay:
    @pytest.fixture
    def store(self, tmp_path: Path) -> str:
        """A store with one approved request and one event of the past."""
        url = f"sqlite:///{tmp_path}/past.db"
        stores = open_stores(url)
        self._fill(stores)
        stores.close()
        return url

    def _fill(self, stores: Stores) -> None:
        engineer, prod = UserId("U0ENG"), ProfileName("prod")
        request = a_request(requester=engineer, profile=prod, rule="prod", required_approvals=2)
        stores.requests.create(request, a_draft())
        event = an_event(invoker=UserId("U0AB12CD3"), profile=prod, mfa_method="totp")
        stores.break_glass.create(event, a_draft())
        members = UserGroupMembers.of(UserGroupId("S0ENGINEERS"), frozenset({engineer}), A_MOMENT)
        stores.directory.put_group(members)

    def test_what_would_differ_is_listed(self, store: str, changed: str) -> None:
        arguments = ("replay", "--store", store, "--since", "2020-01-01", "--group", "S0SECURITY=U0BOSS")
        same = run(*arguments, "--policy", EXAMPLE)
        assert (same.output, same.exit_code) == ("2 decisions since then: 0 would differ\n", 0)
        result = run(*arguments, "--policy", changed)
        assert "U0ENG requested prod, pending" in result.output
        assert "    needed 2 approvals, would need 1 approval\n" in result.output
        assert result.output.endswith("2 decisions since then: 1 would differ\n")
        assert result.exit_code == 1
        assert json_of(*arguments, "--policy", changed)["differing"][0]["unknown_groups"] == []

    def test_unknown_group_is_named_with_the_way_out(self, store: str, tmp_path: Path) -> None:
        path = tmp_path / "other.yml"
        text = (ROOT / "policy.example.yml").read_text(encoding="utf-8").replace("S0ENGINEERS", "S0OTHER")
        path.write_text(text, encoding="utf-8")
        arguments = ("replay", "--store", store, "--since", "2020-01-01", "--policy", str(path))
        result = run(*arguments)
        assert "can't be judged: nobody knows who is in S0OTHER. Add --group S0OTHER=…" in result.output
        assert result.exit_code == 1
        given = run(*arguments, "--group", "S0OTHER=U0ENG")
        assert (given.output, given.exit_code) == ("2 decisions since then: 0 would differ\n", 0)

    @pytest.mark.parametrize(
        ("body", "said"),
        [("'{'", "it is not JSON"), ("json_set(body, '$.requester', 'U0EVE')", "seal doesn't match its content")],
    )
    def test_changed_record_is_listed_and_not_judged(self, store: str, body: str, said: str) -> None:
        with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
            connection.execute(f"UPDATE requests SET body = {body}")  # noqa: S608
            connection.commit()
        before = Path(store.removeprefix("sqlite:///")).read_bytes()
        arguments = ("replay", "--store", store, "--since", "2020-01-01", "--group", "S0SECURITY=U0BOSS")
        result = run(*arguments, "--policy", EXAMPLE)
        assert said in result.output
        assert result.output.endswith("2 decisions since then: 0 would differ, 1 can't be judged\n")
        assert result.exit_code == 1
        assert Path(store.removeprefix("sqlite:///")).read_bytes() == before

    def test_what_happened_before_is_left_out(self, store: str, changed: str) -> None:
        later = (A_MOMENT + timedelta(days=1)).isoformat()
        result = run("replay", "--store", store, "--since", later, "--policy", changed)
        assert (result.output, result.exit_code) == ("0 decisions since then: 0 would differ\n", 0)

    @pytest.mark.parametrize("mistake", [("--since", "yesterday"), ("--since", "2026-01-01", "--group", "sre=U0ANN")])
    def test_mistake_in_an_option_is_named(self, store: str, mistake: tuple[str, ...]) -> None:
        result = run("replay", "--store", store, "--policy", EXAMPLE, *mistake)
        assert result.exit_code == 2
