"""The PostgreSQL recipe of deploy/, on a real server."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from core.clock import SystemClock
from core.targets.base import Absent, Held, Later, OperationKey, TargetRefused, Unknown
from core.targets.webhook import WebhookTarget
from tests.core.targets.harness import GIVE_KEY, TAKE_KEY, a_right, give, take
from tests.harness.postgres import PostgresServer
from tests.harness.target_receiver import SECRET, WebhookReceiver, example

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.postgres
FOLDER = Path(__file__).parents[3] / "deploy" / "webhook-receiver"
UNTIL = datetime(2026, 1, 15, 5, 0, tzinfo=UTC)
RIGHT = a_right("warehouse", "readers", "jon", "postgres")
SET_UP = """
CREATE ROLE readers; CREATE ROLE owners; CREATE ROLE jon LOGIN; CREATE ROLE eva LOGIN;
CREATE TABLE orders (id int); INSERT INTO orders VALUES (42); GRANT SELECT ON orders TO readers;
CREATE ROLE countersign LOGIN;
GRANT readers TO countersign WITH ADMIN OPTION;
GRANT pg_signal_backend TO countersign;
CREATE TABLE countersign_orders (name text PRIMARY KEY, memory jsonb NOT NULL);
ALTER TABLE countersign_orders OWNER TO countersign;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as started:
        started.sql(SET_UP)
        yield started


@pytest.fixture
def target(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookTarget]:
    for name, value in server.environment("countersign").items():
        monkeypatch.setenv(name, value)
    server.sql("REVOKE readers FROM jon; TRUNCATE countersign_orders;")
    monkeypatch.setitem(__import__("sys").modules, "receiver", example())
    monkeypatch.syspath_prepend(str(FOLDER))
    recipe: Any = importlib.import_module("postgres")
    with WebhookReceiver() as served:
        served.receiver.system = recipe.Postgres({"readers"})
        yield WebhookTarget(served.url, SecretStr(SECRET), SystemClock(), ends_sessions=True)
    monkeypatch.delitem(__import__("sys").modules, "postgres")


def test_role_is_granted_and_revoked(server: PostgresServer, target: WebhookTarget) -> None:
    assert target.inspect(RIGHT) == Absent()
    assert give(target, RIGHT, UNTIL) == Held()
    assert target.inspect(RIGHT) == Held()
    assert server.sql("SELECT id FROM orders", "jon") == "42"
    assert take(target, RIGHT) == Absent()
    assert target.inspect(RIGHT) == Absent()
    assert server.sql("SELECT has_table_privilege('jon', 'orders', 'SELECT')") == "f"


def test_role_that_stood_before_is_said(server: PostgresServer, target: WebhookTarget) -> None:
    server.sql("GRANT readers TO jon")

    assert give(target, RIGHT, UNTIL) == Held(stood_before=True)


def test_repeated_and_late_orders_do_no_harm(target: WebhookTarget) -> None:
    assert [give(target, RIGHT, UNTIL) for _ in range(2)] == [Held(), Held()]
    assert [take(target, RIGHT) for _ in range(2)] == [Absent(), Absent()]

    assert isinstance(target.give(RIGHT, UNTIL, GIVE_KEY), Later)
    assert target.inspect(RIGHT) == Absent()


def test_role_and_memory_change_together(server: PostgresServer, target: WebhookTarget) -> None:
    server.sql("ALTER TABLE countersign_orders ADD CONSTRAINT full_up CHECK (false) NOT VALID")
    try:
        assert isinstance(target.give(RIGHT, UNTIL, GIVE_KEY), Unknown)
        assert target.inspect(RIGHT) == Absent()
    finally:
        server.sql("ALTER TABLE countersign_orders DROP CONSTRAINT full_up")
    assert give(target, RIGHT, UNTIL) == Held()


def test_unknown_person_and_other_roles_are_refused(target: WebhookTarget) -> None:
    nobody = a_right("warehouse", "readers", "nobody", "postgres")
    owners = a_right("warehouse", "owners", "jon", "postgres")

    for right, words in ((nobody, "no role nobody"), (owners, "can't be asked for")):
        answer = target.give(right, UNTIL, GIVE_KEY)
        assert isinstance(answer, TargetRefused)
        assert words in answer.reason


def test_names_are_never_sql(server: PostgresServer, target: WebhookTarget) -> None:
    evil = a_right("warehouse", "readers", '"jon";GRANT/**/owners/**/TO/**/eva;--', "postgres")

    assert isinstance(target.give(evil, UNTIL, GIVE_KEY), TargetRefused)
    assert server.sql("SELECT count(*) FROM pg_auth_members WHERE roleid = 'owners'::regrole") == "0"


def test_open_session_ends_with_the_role(server: PostgresServer, target: WebhookTarget) -> None:
    give(target, RIGHT, UNTIL)
    session = server.open_session("jon")
    assert session.stdin
    assert session.stdout
    # With SET ROLE, a session keeps the role that is revoked under it: PostgreSQL looks at it once.
    session.stdin.write("SET ROLE readers; SELECT id FROM orders;\n")
    session.stdin.flush()
    assert session.stdout.readline().strip() == "42"

    assert take(target, RIGHT, OperationKey(TAKE_KEY.grant, TAKE_KEY.generation)) == Absent()
    printed, complained = session.communicate("SELECT id FROM orders;\n", timeout=30)
    assert "42" not in printed
    assert "terminat" in complained
