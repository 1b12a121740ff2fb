"""The queries for CloudTrail: run in a real shell and a real SQL engine, also with hostile names."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from botocore.session import Session as BotocoreSession
from botocore.validate import ParamValidator

from core.access.cloudtrail import USER_NAME, CloudTrailQuery, find_by_role, find_by_user

OPENED: Final = datetime(2026, 1, 15, 10, 0, 0, 250000, tzinfo=UTC)
ENDED: Final = OPENED + timedelta(hours=2)
ROLE: Final = "arn:aws:iam::111122223333:role/prod-admin"
SOURCE: Final = "countersign-0123456789abcdef-U0ANN"
HOSTILE: Final = """a'; DROP TABLE x; -- $(touch /tmp/pwned) `id` "b", =\\"""


class _Find(Protocol):
    def __call__(self, name: str = ...) -> CloudTrailQuery: ...


def _by_role(name: str = "ann@example.com", source: str = SOURCE) -> CloudTrailQuery:
    return find_by_role(role=ROLE, source_identity=source, session_name=name, since=OPENED, until=ENDED)


def _by_user(name: str | None = "ann@example.com", account: str | None = "111122223333") -> CloudTrailQuery:
    store, region = "d-1234567890", "eu-west-1"
    return find_by_user(
        user_name=name, account=account, since=OPENED, until=ENDED, user_id="u-1", identity_store=store, region=region
    )


@pytest.mark.parametrize("name", ["ann@example.com", "x=1,y@b", HOSTILE])
@pytest.mark.parametrize("find", [_by_role, _by_user])
def test_lookup_reaches_aws_with_the_very_name(find: _Find, name: str, tmp_path: Path) -> None:
    calls = _run(find(name).lookup or "", tmp_path)

    assert [call[:4] for call in calls] == [["cloudtrail", "lookup-events", "--region", each] for each in REGIONS]
    options = dict(zip(calls[0][2::2], calls[0][3::2], strict=True))
    attributes = json.loads(options["--lookup-attributes"])
    assert attributes == [{"AttributeKey": "Username", "AttributeValue": name}]
    model = BotocoreSession().get_service_model("cloudtrail").operation_model("LookupEvents")
    shape = model.input_shape
    window = {"StartTime": options["--start-time"], "EndTime": options["--end-time"]}
    assert shape is not None
    report = ParamValidator().validate({"LookupAttributes": attributes, **window}, shape)
    assert not report.has_errors(), report.generate_report()
    assert "Username" in getattr(model.service_model.shape_for("LookupAttributeKey"), "enum")  # noqa: B009
    assert window == {"StartTime": "2026-01-15T10:00:00Z", "EndTime": "2026-01-15T12:00:01Z"}


def test_sql_finds_what_the_session_did_and_nothing_else() -> None:
    assert _select(_by_role().athena) == ["by the key of the lease", "in the role it chained to", "in the session"]
    assert _select(_by_role().lake) == ["by the key of the lease", "in the role it chained to", "in the session"]


def test_sql_finds_what_the_user_did_in_the_account() -> None:
    assert _select(_by_user().athena) == ["through a permission set"]
    assert _select(_by_user().lake) == ["through a permission set"]
    assert _select(_by_user(account=None).athena) == ["through a permission set", "in another account"]


def test_sql_of_a_hostile_name_is_one_statement() -> None:
    for query in (_by_role(HOSTILE, HOSTILE), _by_user(HOSTILE)):
        assert _select(query.athena) == _select(query.lake) == []


def test_unknown_user_name_is_printed_by_a_command(tmp_path: Path) -> None:
    query = _by_user(None)

    assert query.first is not None
    (call,) = _run(query.first, tmp_path)
    assert call[:2] == ["identitystore", "describe-user"]
    assert call[call.index("--user-id") + 1] == "u-1"
    assert all(USER_NAME in str(text) for text in (query.lookup, query.athena, query.lake))
    assert _by_user().first is None


def test_role_without_a_known_session_name_is_still_found(tmp_path: Path) -> None:
    find = partial(find_by_role, role=ROLE, source_identity=SOURCE, since=OPENED, until=ENDED)
    query, unused = find(access_key_id="ASIA1"), find()

    assert _select(query.athena) == ["by the key of the lease", "in the role it chained to"]
    (_, call) = _run(query.lookup or "", tmp_path)
    assert json.loads(call[-1]) == [{"AttributeKey": "AccessKeyId", "AttributeValue": "ASIA1"}]
    assert unused.lookup is None
    assert unused.athena == query.athena


def test_query_says_what_it_cannot_find() -> None:
    for query in (_by_role(), _by_user()):
        assert "90 days" in query.notes[0]
        assert query.account == "111122223333"
    assert SOURCE in _by_role().looks_for


REGIONS: Final = ("eu-west-1", "us-east-1")


def _run(command: str, folder: Path) -> list[list[str]]:
    """The calls of `aws` that a shell makes of this; the list of regions is answered."""
    fake, log = folder / "aws", folder / "log"
    fake.write_text(
        f'#!/bin/bash\nif [ "$1" = ec2 ]; then echo {" ".join(REGIONS)}; exit; fi\n'
        f"for each in \"$@\"; do printf '%s\\0' \"$each\" >> {log}; done; printf '\\n\\0' >> {log}\n"
    )
    fake.chmod(0o755)
    shell, path = ["/bin/bash", "-c", command], {"PATH": f"{folder}:/usr/bin:/bin"}
    subprocess.run(shell, check=True, cwd=folder, env=path)  # noqa: S603
    assert sorted(each.name for each in folder.iterdir()) == ["aws", "log"]
    calls = log.read_bytes().decode().split("\n\0")
    return [call.rstrip("\0").split("\0") for call in calls if call]


def _event(what: str, at: str, **known: str) -> dict[str, str | None]:
    columns = dict.fromkeys(_COLUMNS) | {"eventname": what, "eventtime": at, "recipientaccountid": "111122223333"}
    return columns | known


_COLUMNS: Final = (
    "eventtime", "eventsource", "eventname", "awsregion", "sourceipaddress", "useragent", "errorcode",
    "requestparameters", "responseelements", "recipientaccountid", "useridentity_accesskeyid",
    "useridentity_principalid", "useridentity_sessioncontext_sourceidentity",
    "useridentity_sessioncontext_sessionissuer_arn", "useridentity_sessioncontext_sessionissuer_username",
)  # fmt: skip


def _events() -> list[dict[str, str | None]]:
    def issued(key: str, source: str) -> dict[str, str]:
        answer = {"credentials": {"accessKeyId": key}, "sourceIdentity": source}
        return {"eventsource": "sts.amazonaws.com", "responseelements": json.dumps(answer)}

    source, role = "useridentity_sessioncontext_sourceidentity", "useridentity_sessioncontext_sessionissuer_arn"
    key, name = "useridentity_accesskeyid", "useridentity_principalid"
    issuer = "useridentity_sessioncontext_sessionissuer_username"
    ann = {name: "AROA1:ann@example.com", issuer: "AWSReservedSSO_Admin_0123456789abcdef"}
    other = {role: ROLE, name: "AROA1:bob@example.com"}
    return [
        _event("AssumeRole", "2026-01-15T10:00:01Z", **issued("ASIA1", SOURCE)),
        _event("AssumeRole", "2026-01-15T10:00:01Z", **issued("ASIA9", "countersign-fedcba9876543210-U0BOB")),
        _event("by the key of the lease", "2026-01-15T10:30:00Z", **{key: "ASIA1", source: SOURCE}),
        _event("in the role it chained to", "2026-01-15T10:31:00Z", **{key: "ASIA2", source: SOURCE}),
        _event("AssumeRole", "2026-01-15T10:30:30Z", **issued("ASIA2", SOURCE)),
        _event("in the session", "2026-01-15T12:00:00Z", **{role: ROLE, name: "AROA1:ann@example.com", source: SOURCE}),
        _event("of another person", "2026-01-15T10:32:00Z", **{key: "ASIA9"}, **other),
        _event("too late", "2026-01-15T12:00:02Z", **{key: "ASIA1", source: SOURCE}),
        _event("too early", "2026-01-15T09:59:59Z", **{key: "ASIA1", source: SOURCE}),
        _event("through a permission set", "2026-01-15T11:00:00Z", **ann),
        _event("in another account", "2026-01-15T11:01:00Z", **ann | {"recipientaccountid": "999988887777"}),
        _event("of a role with a like name", "2026-01-15T11:02:00Z", **ann | {issuer: "AWSReserved"}),
    ]


def _select(sql: str) -> list[str]:
    """The names of the events that the query finds, as SQLite runs it on a table with AWS's columns."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.create_function("json_extract_scalar", 2, _extract)
        database.create_function("split_part", 3, _split_part)
        is_lake = "EVENT_DATA_STORE_ID" in sql
        for table in ("cloudtrail_logs", "EVENT_DATA_STORE_ID"):
            database.execute(f"CREATE TABLE {table} ({', '.join(_COLUMNS)})")
        for event in _events():
            # Athena's table has no column for the source identity, and Lake keeps times as such.
            hidden = {} if is_lake else {"useridentity_sessioncontext_sourceidentity": None}
            row = event | hidden | ({"eventtime": str(event["eventtime"])[:19].replace("T", " ")} if is_lake else {})
            table = "EVENT_DATA_STORE_ID" if is_lake else "cloudtrail_logs"
            database.execute(f"INSERT INTO {table} VALUES ({_marks()})", [row[each] for each in _COLUMNS])  # noqa: S608
        return [row[2] for row in database.execute(_flat(sql)) if row[2] != "AssumeRole"]


def _marks() -> str:
    return ", ".join("?" * len(_COLUMNS))


def _flat(sql: str) -> str:
    """The fields of a struct as columns, outside of texts."""
    parts = re.split(r"('(?:[^']|'')*')", sql)
    return "".join(part if part.startswith("'") else part.replace(".", "_") for part in parts)


def _extract(text: str | None, path: str) -> str | None:
    found: Any = json.loads(text) if text else None
    for name in path.removeprefix("$.").split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None


def _split_part(text: str | None, at: str, number: int) -> str | None:
    return dict(enumerate((text or "").split(at), 1)).get(number)
