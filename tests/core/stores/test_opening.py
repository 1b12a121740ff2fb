"""A URL opens exactly the stores that it names, or says what is wrong and how to fix it."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.clock import new_id
from core.errors import InvalidInput, StoreMisconfigured, StoreUnavailable
from core.request import RequestId, RequestStatus
from core.stores import open_stores
from core.stores.dynamodb import DynamoStores
from core.stores.opening import DynamoLocation, SqliteLocation, read_store_url
from core.stores.sqlite import SqliteStores
from tests.builders import PROD, REQUESTER, a_draft, a_refusal, a_request
from tests.core.stores.harness import KEYRING
from tests.harness.aws import dynamodb_client
from tests.harness.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.clock import FrozenClock


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("sqlite:///countersign.db", SqliteLocation("countersign.db")),
        ("sqlite:////var/lib/countersign.db", SqliteLocation("/var/lib/countersign.db")),
        ("sqlite:///a%20folder/my%3F.db", SqliteLocation("a folder/my?.db")),
        ("dynamodb://eu-west-1/countersign", DynamoLocation("eu-west-1", "countersign")),
        ("dynamodb://us-gov-west-1/a.b_c-d", DynamoLocation("us-gov-west-1", "a.b_c-d")),
        (
            "dynamodb://eu-west-1/countersign?endpoint_url=http://localhost:8000",
            DynamoLocation("eu-west-1", "countersign", "http://localhost:8000"),
        ),
    ],
)
def test_url_names_a_location(url: str, location: SqliteLocation | DynamoLocation) -> None:
    assert read_store_url(url) == location


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "doesn't begin with a kind of store"),
        ("countersign.db", "doesn't begin with a kind of store"),
        ("postgres://localhost/countersign", "'postgres' is not a kind of store"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://countersign.db", "names no file"),
        ("sqlite:///countersign.db?mode=ro", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///a%00b", "names no file"),
        ("sqlite:///a#b", "has a #"),
        ("dynamodb://eu-west-1", "is not a prefix for table names"),
        ("dynamodb://eu-west-1/", "is not a prefix for table names"),
        ("dynamodb://eu-west-1/ab", "is not a prefix for table names"),
        ("dynamodb://eu-west-1/a/b", "is not a prefix for table names"),
        ("dynamodb:///countersign", "'' is not an AWS region"),
        ("dynamodb://europe/countersign", "'europe' is not an AWS region"),
        ("dynamodb://eu-west-1/countersign?endpoint=http://x", "'endpoint' is not an option"),
        ("dynamodb://eu-west-1/countersign?endpoint_url=", "endpoint_url"),
        ("dynamodb://eu-west-1/countersign?endpoint_url=localhost:8000", "endpoint_url"),
        ("dynamodb://eu-west-1/countersign?endpoint_url=http://a&endpoint_url=http://b", "endpoint_url"),
        ("dynamodb://[eu-west-1/countersign", "not a URL"),
    ],
)
def test_url_that_is_not_understood_names_its_fault(url: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_stores(url)
    assert caught.value.field == "store"
    assert problem in str(caught.value)
    assert "sqlite:///countersign.db" in caught.value.fix


# --- a file


def test_sqlite_url_makes_a_file_that_only_its_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    before = os.umask(0)
    try:
        stores = open_stores(f"sqlite:///{path}")
    finally:
        os.umask(before)
    assert isinstance(stores, SqliteStores)
    stores.requests.create(a_request(), a_draft())
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}
    stores.close()


def test_stored_records_are_there_when_the_file_is_opened_again(tmp_path: Path, clock: FrozenClock) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    stores = open_stores(url, keyring=KEYRING, retention=timedelta(days=1), clock=clock)
    request = stores.requests.create(a_request(), a_draft())
    stores.refusals.note(a_refusal())
    stores.close()
    stores.close()
    again = open_stores(url, keyring=KEYRING, clock=clock)
    assert again.requests.get(RequestId(request.id)) == request
    (entry,) = again.audit.get_chain(request.chain)
    assert KEYRING.is_genuine(entry)
    assert entry.kept_until == request.expires_at + timedelta(days=1)
    assert len(list(again.audit.iterate_chains())) == 2
    again.close()


def test_store_that_was_closed_says_so(tmp_path: Path) -> None:
    stores = open_stores(f"sqlite:///{tmp_path / 'x.db'}")
    stores.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        stores.requests.get(RequestId(new_id()))
    with pytest.raises(StoreUnavailable, match="closed"):
        stores.requests.create(a_request(), a_draft())


def test_file_that_is_no_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes, and no database at all. " * 100)
    before = path.read_bytes()
    with pytest.raises(StoreMisconfigured, match=r"notes\.txt"):
        open_stores(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("PRAGMA user_version=2", "its version is 2, not 1"),
        ("DROP TABLE ledgers", "the table ledgers is missing"),
        ("ALTER TABLE requests ADD COLUMN colour TEXT", "the table requests has other columns"),
    ],
)
def test_database_of_another_version_is_refused_with_differences(tmp_path: Path, statement: str, problem: str) -> None:
    path = tmp_path / "other.db"
    open_stores(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(StoreMisconfigured) as caught:
        open_stores(f"sqlite:///{path}")
    assert problem in caught.value.problem
    assert caught.value.fix == "Name another file, or run the version that made this one"


def test_somebody_elses_database_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreMisconfigured, match="the table requests is missing"):
        open_stores(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["theirs.db"]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "a folder").mkdir()
    for path in ("missing/x.db", "a file/x.db", "a folder"):
        with pytest.raises(StoreMisconfigured) as caught:
            open_stores(f"sqlite:///{tmp_path / path}")
        assert str(tmp_path / path) in caught.value.problem
        assert "exists" in caught.value.fix


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_or_a_file_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreMisconfigured, match="Permission denied"):
        open_stores(f"sqlite:///{tmp_path / 'x.db'}")
    tmp_path.chmod(0o700)
    open_stores(f"sqlite:///{tmp_path / 'x.db'}").close()
    (tmp_path / "x.db").chmod(0o400)
    with pytest.raises(StoreMisconfigured, match="may not write"):
        open_stores(f"sqlite:///{tmp_path / 'x.db'}")


# --- tables


@pytest.fixture(params=["moto", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
def engine_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.mark.usefixtures("aws_environment")
def test_dynamodb_url_opens_the_tables_of_its_prefix(engine_url: str, table_prefix: str, clock: FrozenClock) -> None:
    with dynamodb_client(engine_url) as client:
        make_tables(client, table_prefix)
    stores = open_stores(f"dynamodb://eu-west-1/{table_prefix}?endpoint_url={engine_url}", clock=clock)
    assert isinstance(stores, DynamoStores)
    request = stores.requests.create(a_request(), a_draft())
    assert stores.requests.list_by_requester(REQUESTER).items == (request,)
    stores.close()
    stores.close()


@pytest.mark.usefixtures("aws_environment")
def test_missing_tables_are_named_with_the_command_to_make_them(engine_url: str, table_prefix: str) -> None:
    stores = open_stores(f"dynamodb://eu-west-1/{table_prefix}?endpoint_url={engine_url}")
    calls: list[Callable[[], object]] = [
        lambda: stores.requests.get(RequestId(new_id())),
        lambda: stores.requests.create(a_request(), a_draft()),
        lambda: stores.requests.list_by_status(RequestStatus.PENDING),
        lambda: stores.break_glass.get_ledgers(REQUESTER, PROD),
        lambda: list(stores.audit.export()),
    ]
    for call in calls:
        with pytest.raises(StoreMisconfigured) as caught:
            call()
        assert "countersign tables create" in caught.value.fix
    stores.close()


@pytest.mark.usefixtures("aws_environment")
def test_table_with_other_keys_is_named_with_the_check_command(
    request: pytest.FixtureRequest, engine_url: str, table_prefix: str
) -> None:
    with dynamodb_client(engine_url) as client:
        for suffix in ("requests", "break-glass", "audit"):
            client.create_table(
                TableName=f"{table_prefix}-{suffix}",
                KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
    stores = open_stores(f"dynamodb://eu-west-1/{table_prefix}?endpoint_url={engine_url}")
    calls: list[Callable[[], object]] = [lambda: stores.requests.get(RequestId(new_id()))]
    if "moto" not in request.node.callspec.id:
        # Moto falls over its own feet in these, and says so with codes that AWS does not have.
        calls.append(lambda: stores.requests.create(a_request(), a_draft()))
        calls.append(lambda: stores.requests.list_by_status(RequestStatus.PENDING))
    for call in calls:
        with pytest.raises(StoreMisconfigured) as caught:
            call()
        assert "countersign tables check" in caught.value.fix
    stores.close()
