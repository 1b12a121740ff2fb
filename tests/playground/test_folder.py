"""The playground's folder: one playground at a time, nobody else's files, and all there again after a restart."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from core.actor import UserId
from core.errors import InvalidInput
from core.policy import load_policy
from core.request import RequestStatus
from playground.clock import ClockAhead
from playground.folder import Folder, PlaygroundState
from playground.people import ACCESS, APPROVERS, PEOPLE, POLICY
from playground.playground import open_playground
from playground.pretend_accounts import CONFIG
from tests.builders import a_person
from tests.harness.clock import FrozenClock
from tests.harness.pretend_aws import aws_client


def test_second_playground_in_a_folder_waits_for_the_first(tmp_path: Path) -> None:
    with Folder(tmp_path), pytest.raises(InvalidInput, match="another playground is running"):
        Folder(tmp_path)
    Folder(tmp_path).close()


def test_folder_with_other_files_is_left_alone_even_by_a_reset(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    with pytest.raises(InvalidInput, match="holds other files"):
        Folder(tmp_path, reset=True)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_file_in_the_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InvalidInput, match="can't be used"):
        Folder(tmp_path / "taken")


def test_reset_makes_another_playground(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        first = folder.load_state()
        folder.workspace.write_text("{}")
        folder.policy.write_text("edited")
    with Folder(tmp_path, reset=True) as folder:
        assert folder.load_state().id != first.id
        assert folder.load_state().audit_key != first.audit_key
        assert not folder.workspace.exists()
        assert folder.policy.read_bytes() == POLICY.read_bytes()


def test_broken_folder_names_the_way_out(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        (tmp_path / "playground.json").write_text("{")
        with pytest.raises(InvalidInput, match="--reset"):
            folder.load_state()
        folder.save_state(PlaygroundState())
        folder.workspace.write_text("not json")
        with pytest.raises(InvalidInput, match="--reset"):
            open_playground(folder, port=0)


def test_records_of_another_version_name_the_way_out(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        with closing(sqlite3.connect(tmp_path / "countersign.db")) as database:
            database.execute("CREATE TABLE break_glass (id TEXT)")
            database.commit()
        with pytest.raises(InvalidInput, match=r"from another version.*--reset"):
            open_playground(folder, port=0)


def test_folder_and_all_that_is_in_it_are_for_its_owner(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    with Folder(tmp_path / "shared") as folder, open_playground(folder, port=0) as opened:
        opened.slack.run_command("U0MIRA", ACCESS, "/access", "prod 1h Deploy the fix for INC-12")
        opened.slack.wait_until(lambda: opened.slack.messages(ACCESS))
        opened.move_clock(timedelta(hours=1))

    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o700
    modes = {each.name: f"{stat.S_IMODE(each.stat().st_mode):o}" for each in (tmp_path / "shared").rglob("*")}
    may_run = {"programs", "aws", "countersign"}
    assert modes == {name: "700" if name in may_run else "600" for name in modes}
    assert may_run < modes.keys()


def test_audit_key_is_in_no_repr() -> None:
    remembered = PlaygroundState()
    assert remembered.audit_key not in repr(remembered)


def test_everything_is_there_again_after_a_restart_the_clock_too(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        with open_playground(folder, port=0) as first:
            first.slack.run_command("U0MIRA", ACCESS, "/access", "prod 1h Deploy the fix for INC-12")
            first.slack.wait_until(lambda: first.slack.messages(ACCESS))
            first.move_clock(timedelta(hours=3))
            # Terminals are paired with the API's address; a role keeps what denies access early.
            port, roles = folder.load_state().api_port, first.cloud.policies_of(CONFIG.role)
            deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
            keys = first.cloud.add_role_session(str(CONFIG.revoker))
            aws_client("iam", first.cloud, keys).put_role_policy(
                RoleName="prod-admin", PolicyName="deny", PolicyDocument=json.dumps(deny)
            )
        with open_playground(folder, port=0) as second:
            slack = second.slack
            assert second.clock.ahead == timedelta(hours=3)
            assert folder.load_state().api_port == port
            assert second.cloud.policies_of(CONFIG.role) == {**roles, "deny": deny}
            card = slack.messages(ACCESS)[-1]
            (request,) = second.stores.requests.iterate()
            answer = slack.press(APPROVERS[0], card, "request:approve", request.id)
            assert answer.is_accepted
            slack.wait_until(lambda: "Approved" in str(slack.messages(ACCESS)[0].blocks))
            assert second.stores.requests.get(request.id).status is RequestStatus.APPROVED  # type: ignore[arg-type]


def test_clock_goes_ahead_of_the_machines_and_never_back(clock: FrozenClock) -> None:
    ahead = ClockAhead(timedelta(hours=1), clock)
    assert ahead.now() - clock.now() == timedelta(hours=1)
    ahead.advance(timedelta(minutes=30))
    clock.advance(timedelta(seconds=5))
    assert ahead.now() - clock.now() == ahead.ahead == timedelta(hours=1, minutes=30)
    with pytest.raises(ValueError, match="only goes forward"):
        ahead.advance(timedelta(seconds=-1))


def test_people_can_play_the_tour_by_the_policy(clock: FrozenClock) -> None:
    policy = load_policy(POLICY)
    groups = {"U0JON": ["S0SRE"], "U0AIKO": ["S0SRE"]}
    actors = {part.person.id: a_person(part.person.id, *groups.get(part.person.id, ())) for part in PEOPLE}
    assert policy.judge_request(actors["U0MIRA"], "prod", timedelta(hours=1), clock.now()).is_allowed
    for approver in APPROVERS:
        assert policy.judge_decider(
            "approve", actors[approver], profile="prod", requester=UserId("U0MIRA"), rule="prod"
        ).is_allowed
