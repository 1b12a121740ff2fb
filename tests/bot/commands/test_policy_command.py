"""`countersign policy check`, `explain` and `schema`, as a person at a terminal sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from core.policy import load_policy
from core.policy.editor_schema import write_schema
from tests.core.policy.access_policy import ADMIN, access_file

EXAMPLE = Path(__file__).parents[3] / "policy.example.yml"
WORKDAY = "2026-01-15T10:00:00Z"
WEEKEND = "2026-01-17T10:00:00Z"


def run(*arguments: str, **environment: str) -> Result:
    # Through the whole command line: click keeps the help option of a command as it was first asked for.
    return CliRunner().invoke(countersign, ["policy", *arguments], env={"COUNTERSIGN_POLICY": None, **environment})


def explain(*arguments: str, user: str = "U0AB12CD3", profile: str = "prod") -> Result:
    """Ask the example policy."""
    return run("explain", "--policy", str(EXAMPLE), "--user", user, "--profile", profile, *arguments)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yml"
    path.write_text("version: 1\nprofiles: {prod: {chanel: C0ACCESS1}}\n", encoding="utf-8")
    return path


@pytest.fixture
def access(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yml"
    path.write_bytes(access_file())
    return path


class TestCheck:
    def test_good_file_is_reported_in_one_line(self) -> None:
        result = run("check", str(EXAMPLE))
        digest = load_policy(EXAMPLE).digest[:12]
        assert result.output == (
            f"{EXAMPLE} is valid: 3 profiles, 2 approval rules, 1 break-glass rule; digest {digest}\n"
        )
        assert result.exit_code == 0

    def test_what_is_probably_not_meant_is_a_note(self, access: Path) -> None:
        result = run("check", str(access))
        assert result.output.splitlines()[0] == (
            f"{access}:4: note: targets.aws: U0BOB, U0DAN may get access here, and people doesn't say who they are. "
            "Add them to people, or set identity.trust_email to true; until then their requests are refused."
        )
        assert "3 targets; digest" in result.output
        assert result.exit_code == 0

    def test_each_mistake_is_a_line_with_file_line_path_and_fix(self, broken: Path) -> None:
        result = run("check", str(broken))
        assert result.output.splitlines() == [
            f"{broken}:2: profiles.prod.chanel: there is no key 'chanel' here. Did you mean channel?",
            f"{broken}:2: profiles.prod.channel: channel is missing. Add channel; see policy.example.yml.",
        ]
        assert result.exit_code == 1

    def test_missing_file_is_a_line_and_not_a_traceback(self, tmp_path: Path) -> None:
        result = run("check", str(tmp_path / "none.yml"))
        assert result.exit_code == 1
        assert "none.yml:1: file: it cannot be read: no such file or directory." in result.output

    def test_file_comes_from_argument_then_option_then_environment(self, broken: Path, tmp_path: Path) -> None:
        good, none = str(EXAMPLE), str(tmp_path / "none.yml")
        assert run("check", good, "--policy", none, COUNTERSIGN_POLICY=none).exit_code == 0
        assert run("check", "--policy", good, COUNTERSIGN_POLICY=none).exit_code == 0
        assert run("check", COUNTERSIGN_POLICY=good).exit_code == 0
        assert run("check", COUNTERSIGN_POLICY=str(broken)).exit_code == 1

    def test_default_file_is_policy_yml(self, broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(broken.parent)
        assert run("check").output.startswith("policy.yml:2: ")


class TestExplainAccess:
    @pytest.mark.parametrize(
        ("user", "profile", "said"),
        [
            ("U0ANN", "prod", f"access: aws: 111122223333, {ADMIN}, for ann (from people)"),
            ("U0BOB", "prod", f"access: aws: 111122223333, {ADMIN}, for nobody: add U0BOB to people"),
            ("U0BOB", "db", "access: wh: db, ro, for U0BOB"),
            ("U0BOB", "db", "may be revoked by approvers, and by admins: U0ADMIN, S0SECURITY"),
        ],
    )
    def test_allowed_request_shows_what_it_gives(self, access: Path, user: str, profile: str, said: str) -> None:
        result = run("explain", "--policy", str(access), "--user", user, "--profile", profile)
        assert said in result.output.splitlines()


class TestExplainRequests:
    def test_allowed_request_shows_rule_conditions_and_approvals(self) -> None:
        result = explain("--duration", "2h", "--at", WORKDAY)
        assert result.output.splitlines()[:-1] == [
            "request prod: allowed",
            "rule: prod",
            "  ✓ U0AB12CD3 is in group:sre, among the requesters of rule prod",
            "  ✓ 2h is within the 4h that are allowed",
            "approvals needed: 2, from group:sre, group:security",
            "expires if undecided after: 12h",
            "access: none; a person has to carry the decision out",
        ]
        assert result.output.splitlines()[-1] == f"policy: {load_policy(EXAMPLE).digest[:12]}"
        assert result.exit_code == 0

    def test_refused_request_shows_what_is_unmet_and_exits_with_1(self) -> None:
        result = explain("--duration", "5h")
        assert "request prod: refused" in result.output
        assert "  ✗ 5h is longer than the 4h that are allowed" in result.output
        assert result.exit_code == 1

    def test_automatic_approval_is_judged_at_the_given_time(self) -> None:
        asked = ("--group", "S0ENGINEERS", "--group", "S0OTHER", "--at")
        on_workday = explain(*asked, WORKDAY, profile="staging", user="U0NEW").output
        assert "approved automatically: yes" in on_workday
        on_weekend = explain(*asked, WEEKEND, profile="staging", user="U0NEW").output
        assert "approved automatically: no" in on_weekend
        assert "  ✗ it is outside Mon-Fri 09:00-17:00 Europe/Berlin" in on_weekend

    def test_terminal_without_the_two_marks_gets_words(self) -> None:
        result = CliRunner(charset="ascii").invoke(
            countersign, ["policy", "explain", "--policy", str(EXAMPLE), "--user", "U0AB12CD3", "--profile", "prod"]
        )
        assert result.exit_code == 0
        assert "  + 1h is within the 4h that are allowed" in result.output


class TestExplainBreakGlass:
    def test_allowed_event_shows_its_limits(self) -> None:
        result = explain("--break-glass", "incident", "--mfa")
        assert "break glass prod: allowed" in result.output
        assert "cooldown 30m, 3 per person in 1d, 10 per profile in 1d" in result.output
        assert result.exit_code == 0

    def test_refused_event_shows_why(self) -> None:
        result = explain("--break-glass", "other")
        assert "  ✗ an MFA code is required and was not verified" in result.output
        assert "  ✗ reason code other isn't allowed (allowed: incident, security, recovery)" in result.output
        assert result.exit_code == 1


class TestExplainApprovers:
    def test_another_approver_may_decide(self) -> None:
        result = explain("--as-approver-of", "U0AB12CD4")
        assert "approve prod: allowed" in result.output
        assert result.exit_code == 0

    def test_nobody_decides_on_their_own_request(self) -> None:
        result = explain("--as-approver-of", "U0AB12CD3")
        assert "  ✗ U0AB12CD3 is the requester, and nobody decides on their own request" in result.output
        assert result.exit_code == 1

    def test_requesters_user_groups_count(self) -> None:
        stranger = explain("--as-approver-of", "U0NEW")
        assert stranger.exit_code == 2
        assert (
            "U0NEW may not request prod, so there is no request to decide on. Is --requester-group" in stranger.output
        )
        assert explain("--as-approver-of", "U0NEW", "--requester-group", "S0ENGINEERS").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--user", "bob"), "user: 'bob' is not a Slack user id. It looks like U0AB12CD3."),
        (("--group", "sre"), "user group: 'sre' is not a Slack user group id. It looks like S0ENGINEERS."),
        (("--profile", "prdo"), "profile: there is no profile 'prdo'. Did you mean prod?"),
        (("--duration", "2"), "duration: 2 has no unit. Did you mean 2m or 2h?"),
        (("--at", "2026-01-15T10:00:00"), "at: '2026-01-15T10:00:00' is not a time with a time zone."),
        (("--at", "tomorrow"), "at: 'tomorrow' is not a time with a time zone."),
        (("--at", "0001-01-01T00:00:00+14:00"), "is not a time with a time zone."),
        (("--break-glass", "boredom"), "break-glass: 'boredom' is not a reason code. Use one of: incident,"),
        (("--break-glass", "other", "--as-approver-of", "U0BOB"), "Use one at a time."),
    ],
)
def test_wrong_use_is_one_plain_line_and_exit_code_2(arguments: tuple[str, ...], told: str) -> None:
    result = explain(*arguments)
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


def test_explain_on_a_broken_policy_lists_its_mistakes(broken: Path) -> None:
    result = run("explain", "--policy", str(broken), "--user", "U0BOB", "--profile", "prod")
    assert result.exit_code == 1
    assert result.output.startswith(f"{broken}:2: profiles.prod.chanel: ")


def test_schema_is_printed_for_editors() -> None:
    assert run("schema").output == write_schema()


def test_example_prints_the_file_and_passes_check(tmp_path: Path) -> None:
    copy = tmp_path / "policy.yml"
    copy.write_bytes(run("example").stdout_bytes)
    assert copy.read_bytes() == EXAMPLE.read_bytes()
    assert run("check", str(copy)).exit_code == 0
