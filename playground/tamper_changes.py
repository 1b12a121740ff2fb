"""What somebody with the store's file may want to change in a record, each as an edit of its stored row.

Invariant: a change is a pure function of the stored row; one that makes no sense for this record isn't offered. No
change makes a seal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from core.clock import format_time, parse_time
from core.duration import format_duration, to_nanoseconds
from playground.people import APPROVERS, PEOPLE
from playground.stored_rows import RecordTable, Row, body_of, with_body

_NAMES: Final[Mapping[str, str]] = {each.person.id: each.person.real_name for each in PEOPLE}
_LONGER: Final = timedelta(hours=4)
_OTHER_STATUS: Final[Mapping[tuple[RecordTable, str], str]] = {
    ("requests", "pending"): "approved",
    ("break_glass", "active"): "closed",
    ("grants", "active"): "ended",
    ("grants", "pending"): "ended",
    ("grants", "ending"): "ended",
}
_USUAL_STATUS: Final[Mapping[RecordTable, str]] = {"requests": "pending", "break_glass": "active", "grants": "active"}
_WHO: Final[Mapping[RecordTable, str]] = {"requests": "approver", "break_glass": "invoker", "grants": "grantee"}
_WHO_LABELS: Final[Mapping[RecordTable, str]] = {
    "requests": "Who approved it",
    "break_glass": "Who broke the glass",
    "grants": "Who has the access",
}


class ChangeKind(StrEnum):
    """What is changed."""

    WHO = "who"
    DURATION = "duration"
    STATUS = "status"
    ROLL_BACK = "roll_back"
    DELETE = "delete"
    DELETE_ALL = "delete_all"
    ENTRY = "entry"


@dataclass(frozen=True, slots=True)
class Offered:
    """A change of one record, in words, with the row that it leaves; None deletes it."""

    kind: ChangeKind
    label: str
    before: str
    after: str
    row: Row | None


def offer_changes(table: RecordTable, row: Row, earlier: Row | None, last_entry: Row | None) -> list[Offered]:
    """The changes that this record can be tried with. `earlier` is a version of it that was seen before."""
    body = body_of(row)
    offered = [each(table, row, body) for each in (_change_who, _change_duration, _change_status)]
    if earlier is not None:
        was = f"{earlier['status']}, as of {earlier['updated_at'][11:19]}"
        now = f"{row['status']}, as of {row['updated_at'][11:19]}"
        offered.append(
            Offered(
                ChangeKind.ROLL_BACK, "Roll it back to an earlier version, with its genuine seal", now, was, earlier
            )
        )
    offered.append(Offered(ChangeKind.DELETE, "Delete the record", str(row["status"]), "gone", None))
    if last_entry is not None:
        offered.append(
            Offered(
                ChangeKind.DELETE_ALL, "Delete the record and all its audit entries", "there", "never existed", None
            )
        )
        entry = body_of(last_entry)
        before, after = _named(str(entry["actor"])), _named(_somebody_else(str(entry["actor"])))
        label = f"Rewrite its last audit entry ({str(entry['event']).replace('_', ' ')})"
        offered.append(Offered(ChangeKind.ENTRY, label, f"by {before}", f"by {after}", row))
    return [each for each in offered if each is not None]


def rewrite_entry(entry: Row) -> Row:
    """The entry as if somebody else had done it."""
    body = body_of(entry)
    return with_body(entry, {**body, "actor": _somebody_else(str(body["actor"]))})


def _change_who(table: RecordTable, row: Row, body: dict[str, Any]) -> Offered | None:
    field, label = _WHO[table], _WHO_LABELS[table]
    if table == "requests" and body.get("approver") is None:
        if body["status"] != "pending":
            return None
        # A vote that nobody gave: it would count towards the approvals that are needed.
        given = body.get("approvals", [])
        barred = {body["requester"], *(each["approver"] for each in given)}
        voter = next((each for each in APPROVERS if each not in barred), body["requester"])
        votes = [*given, {"approver": voter, "at": body["updated_at"], "comment": None}]
        after = with_body(row, {**body, "approvals": votes})
        return Offered(ChangeKind.WHO, "Add an approval that nobody gave", "none", f"by {_named(voter)}", after)
    # The person who asked becomes the one who approved: what four eyes are there to prevent.
    now, requester = str(body[field]), str(body.get("requester", ""))
    other = requester if table == "requests" and now != requester else _somebody_else(now)
    return Offered(ChangeKind.WHO, label, _named(now), _named(other), with_body(row, {**body, field: other}))


def _change_duration(table: RecordTable, row: Row, body: dict[str, Any]) -> Offered | None:
    if table == "grants":
        ends = format_time(parse_time(str(body["expires_at"])) + _LONGER)
        after = with_body(row, {**body, "expires_at": ends}, expires_at=ends)
        return Offered(
            ChangeKind.DURATION, "When it ends", f"{body['expires_at'][11:16]} UTC", f"{ends[11:16]} UTC", after
        )
    length = timedelta(microseconds=int(body["duration"]) // 1000)
    longer = length + _LONGER
    changed = {**body, "duration": to_nanoseconds(longer)}
    if body.get("access_ends_at"):
        changed["access_ends_at"] = format_time(parse_time(str(body["access_ends_at"])) + _LONGER)
    return Offered(
        ChangeKind.DURATION, "How long", format_duration(length), format_duration(longer), with_body(row, changed)
    )


def _change_status(table: RecordTable, row: Row, body: dict[str, Any]) -> Offered | None:
    now = str(body["status"])
    other = _OTHER_STATUS.get((table, now), _USUAL_STATUS[table])
    return Offered(ChangeKind.STATUS, "Status", now, other, with_body(row, {**body, "status": other}, status=other))


def _somebody_else(person: str) -> str:
    return next(each for each in _NAMES if each != person)


def _named(person: str) -> str:
    return _NAMES.get(person, person)
