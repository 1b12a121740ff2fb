"""The queries that find in CloudTrail what was done with access: by assumed role, and through IAM Identity Center.

Invariant: pure. What people or systems named is quoted for the shell and for SQL, so that a query holds exactly what it
says. A query looks from the opening to the last moment at which a session can have lived.

Facts it rests on, from AWS's documentation of CloudTrail, Athena and IAM:

- `lookup-events` takes one attribute at a time, and a source identity is none of them. For a role session, `Username`
  is the name of the session. It knows management events only, for 90 days, in one region at a time; those of IAM and
  other global services stand in us-east-1.
- The table that Athena's documentation creates has no column for the source identity, so a query by that column fails.
  What is there: the answer of each AssumeRole, with the source identity and the id of the access key that it issued.
- In CloudTrail Lake the column is there. Lake takes no new customers since 31 May 2026.
- The role of a permission set is named `AWSReservedSSO_<permission set>_<16 digits>`, its session like the user.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from shlex import quote
from typing import Final

from core.clock import require_utc

LOOKUP_DAYS: Final = 90
"""How long `lookup-events` finds an event."""
ROLE: Final = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/([\w+=,.@/-]{1,512})", re.ASCII)
"""A role's ARN: its partition, account and path with name."""
TABLE: Final = "cloudtrail_logs"
"""What Athena's documentation calls the table."""
EVENT_DATA_STORE: Final = "EVENT_DATA_STORE_ID"
USER_NAME: Final = "USER_NAME"
"""What stands for a user name that has to be looked up first."""
_COLUMNS: Final = (
    "eventtime, eventsource, eventname, awsregion, sourceipaddress, useragent, errorcode, requestparameters"
)
_SSO_ROLES: Final = "AWSReservedSSO_%"
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class CloudTrailQuery:
    """How to find what was done with one right. `looks_for` says in words what the queries look for.

    `lookup` is for a shell; `athena` and `lake` are SQL. `first` is a command for a shell that prints the user name to
    put in the place of USER_NAME. `account` is where to look; None means in every account. `notes` say what a query
    can't find.
    """

    looks_for: str
    account: str | None
    since: datetime
    until: datetime
    lookup: str | None
    athena: str
    lake: str
    first: str | None = None
    notes: tuple[str, ...] = field(default=())


def find_by_role(
    *,
    role: str,
    source_identity: str,
    since: datetime,
    until: datetime,
    session_name: str | None = None,
    access_key_id: str | None = None,
) -> CloudTrailQuery:
    """What sessions of this role did that carry this source identity, and the roles that they assumed from there.

    The lookup takes the `session_name`, or else the key of the last credentials; without both there is none.
    """
    since, until = _window(since, until)
    account = found[2] if (found := ROLE.fullmatch(role)) else None
    lookup, limit = None, _NO_LOOKUP_NOTE
    if session_name is not None:
        lookup, limit = _lookup("Username", session_name, since, until), _NAME_NOTE
    elif access_key_id is not None:
        lookup, limit = _lookup("AccessKeyId", access_key_id, since, until), _KEY_NOTE
    return CloudTrailQuery(
        looks_for=f"role {role}, source identity {source_identity}",
        account=account,
        since=since,
        until=until,
        lookup=lookup,
        athena=_athena_by_role(role, source_identity, session_name, since, until),
        lake=_select(EVENT_DATA_STORE, _lake_time(since, until), [_is(_SOURCE_IDENTITY, source_identity)]),
        notes=(*([_LOOKUP_NOTE] if lookup is not None else []), limit, _SERVICE_NOTE, _LATE_NOTE),
    )


def find_by_user(
    *,
    user_name: str | None,
    account: str | None,
    since: datetime,
    until: datetime,
    user_id: str = "",
    identity_store: str | None = None,
    region: str | None = None,
) -> CloudTrailQuery:
    """What a user of Identity Center did in an account, or in every account, through any permission set.

    Without a `user_name` the queries hold USER_NAME, and `first` prints it by the user's id.
    """
    since, until = _window(since, until)
    name = user_name if user_name is not None else USER_NAME
    where = [f"useridentity.sessioncontext.sessionissuer.username LIKE '{_SSO_ROLES}'", _is(_SESSION_NAME, name)]
    where += [_is("recipientaccountid", account)] if account is not None else []
    who = user_name if user_name is not None else f"the user with the id {user_id}"
    first = None if user_name is not None else _describe_user(user_id, identity_store, region)
    return CloudTrailQuery(
        looks_for=f"roles named AWSReservedSSO_…, session name {who}",
        account=account,
        since=since,
        until=until,
        lookup=_lookup("Username", name, since, until),
        athena=_select(TABLE, _athena_time(since, until), where),
        lake=_select(EVENT_DATA_STORE, _lake_time(since, until), where),
        first=first,
        notes=_USER_NOTES,
    )


_SOURCE_IDENTITY: Final = "useridentity.sessioncontext.sourceidentity"
_SESSION_NAME: Final = "split_part(useridentity.principalid, ':', 2)"
_LOOKUP_NOTE: Final = (
    f"The lookup finds management events of the last {LOOKUP_DAYS} days, and none of reading or writing objects, items "
    "or messages. The SQL finds those too, where a trail or an event data store records them."
)
_LATE_NOTE: Final = "An event can come into CloudTrail some minutes after the call."
_NAME_NOTE: Final = (
    "The lookup finds all sessions of that name in these hours, and nothing that was done in a role which was assumed "
    "from there. The SQL does."
)
_KEY_NOTE: Final = (
    "The lookup knows no source identity: it finds what was done with the last credentials only. The SQL finds all."
)
_NO_LOOKUP_NOTE: Final = "`aws cloudtrail lookup-events` knows no source identity, so only SQL finds it."
_SERVICE_NOTE: Final = "What an AWS service did on its own for the session carries no source identity."
_USER_NOTES: Final = (
    _LOOKUP_NOTE,
    "It finds all that the user did through any permission set, also by access that Countersign didn't give.",
    _LATE_NOTE,
)


def _window(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Whole seconds, as CloudTrail writes them; both ends belong to it."""
    begins, ends = (require_utc(each) for each in (since, until))
    later = ends.replace(microsecond=0) + (_SECOND if ends.microsecond else timedelta())
    return begins.replace(microsecond=0), max(later, begins.replace(microsecond=0) + _SECOND)


def _lookup(key: str, value: str, since: datetime, until: datetime) -> str:
    # As JSON: a name can have a comma or `=`, which the short form would take for its own.
    attributes = json.dumps([{"AttributeKey": key, "AttributeValue": value}])
    regions = '$(aws ec2 describe-regions --query "Regions[].RegionName" --output text)'
    return (
        f'for region in {regions}; do aws cloudtrail lookup-events --region "$region" '
        f"--start-time {_iso(since)} --end-time {_iso(until)} "
        f"--lookup-attributes {quote(attributes)}; done"
    )


def _athena_by_role(role: str, source_identity: str, name: str | None, since: datetime, until: datetime) -> str:
    time, keys = _athena_time(since, until), "json_extract_scalar(responseelements, '$.credentials.accessKeyId')"
    asked = _is("json_extract_scalar(requestparameters, '$.sourceIdentity')", source_identity)
    answered = _is("json_extract_scalar(responseelements, '$.sourceIdentity')", source_identity)
    issuing = "eventsource = 'sts.amazonaws.com' AND eventname = 'AssumeRole'"
    # As it is filled in below, it holds quoted values only.
    issued = f"SELECT {keys}\n  FROM {TABLE}\n  WHERE {time}\n  AND {issuing}\n  AND ({asked}\n  OR {answered})"  # noqa: S608
    by_key = f"useridentity.accesskeyid IN (\n  {issued})"
    if name is None:
        return _select(TABLE, time, [by_key])
    # A session of the console has keys of its own.
    by_name = f"{_is('useridentity.sessioncontext.sessionissuer.arn', role)}\n  AND {_is(_SESSION_NAME, name)}"
    return _select(TABLE, time, [f"(({by_name})\n  OR {by_key})"])


def _select(table: str, time: str, where: list[str]) -> str:
    conditions = "\n  AND ".join([time, *where])
    return f"SELECT {_COLUMNS}\nFROM {table}\nWHERE {conditions}\nORDER BY eventtime"


def _athena_time(since: datetime, until: datetime) -> str:
    # A text in this table.
    return f"eventtime BETWEEN {_sql(_iso(since))} AND {_sql(_iso(until))}"


def _lake_time(since: datetime, until: datetime) -> str:
    begins, ends = (_sql(f"{each:%Y-%m-%d %H:%M:%S}") for each in (since, until))
    return f"eventtime >= {begins} AND eventtime <= {ends}"


def _describe_user(user_id: str, identity_store: str | None, region: str | None) -> str:
    where = f"--region {quote(region)} " if region else ""
    store = quote(identity_store) if identity_store else "IDENTITY_STORE_ID"
    return (
        f"aws identitystore describe-user {where}--identity-store-id {store} --user-id {quote(user_id)} "
        "--query UserName --output text"
    )


def _is(column: str, value: str) -> str:
    return f"{column} = {_sql(value)}"


def _sql(text: str) -> str:
    """A text in SQL. A quote in it is written twice; control characters, which no name has, become spaces."""
    return "'" + "".join(each if each.isprintable() else " " for each in text).replace("'", "''") + "'"


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
