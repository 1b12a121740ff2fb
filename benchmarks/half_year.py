"""Half a year of decisions in a SQLite store, each record and entry sealed as the bot seals it.

Invariant: the same size gives the same decisions, and what is made passes `countersign audit verify`.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, Final

from benchmarks.harness import KEYRING
from core.actor import CLOCK, DeciderId, ProfileName, UserId, by_policy
from core.audit.trail import REFUSALS_KIND, REFUSED, AuditAction, AuditEntry, EntryDraft, seal
from core.break_glass import BreakGlassEvent, ReasonCode
from core.clock import format_time
from core.duration import to_nanoseconds
from core.record import AccessRecord
from core.request import Request
from core.review import Verdict
from core.services.submit import window
from core.stores.commit import Commit, StoreSettings, prepare_create, prepare_update
from core.stores.sqlite import SqliteStores
from tests.harness.clock import FrozenClock

LENGTH: Final = timedelta(days=182)
_COUNTED: Final = timedelta(days=32)
PEOPLE: Final = tuple(UserId(f"U0PERSON{number:03}") for number in range(80))
PROFILES: Final = tuple(ProfileName(name) for name in ("prod", "prod-db", "staging", "billing", "data", "network"))
REASONS: Final = tuple(ReasonCode)
_WHY: Final = "Deploy the fix for INC-12 and watch the error rate until it is back to normal"
_NO: Final = "Use staging for this"
_FOUND: Final = "The fix was deployed, and nothing else was touched"
_RULE: Final = "everybody"
_REFUSED: Final = (
    AuditAction.SUBMIT_REFUSED, AuditAction.APPROVE_REFUSED, AuditAction.INVOKE_REFUSED, AuditAction.DENY_REFUSED
)  # fmt: skip
_ENTRY: Final = "INSERT INTO audit (chain, seq, id, at, body) VALUES (?, ?, ?, ?, ?)"
"""The entries count as delivered."""


def make_half_year(path: str, entries: int, until: datetime) -> None:
    """A store with about so many entries, the last of them before `until`."""
    SqliteStores(path, StoreSettings(keyring=KEYRING)).close()
    dice, since = random.Random(entries), until - LENGTH  # noqa: S311 - a made-up history
    records = int(entries / 2.3)
    moments = sorted(since + dice.random() * LENGTH for _ in range(records))
    refusals = _refusals(dice, since, entries // 20)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        commits = (commit for moment in moments for commit in _record(dice, moment, until))
        for commit in commits:
            _insert(connection, commit)
        connection.executemany(_ENTRY, map(_row, refusals))
        connection.execute(
            "INSERT INTO refusal_heads VALUES (?, ?, ?)", (refusals[-1].chain, len(refusals), refusals[-1].digest)
        )
        connection.execute("COMMIT")


def _record(dice: random.Random, at: datetime, until: datetime) -> Iterator[Commit[Any]]:
    # Of the last month's events, the ledgers of usage would have to know.
    if dice.random() < 0.07 and at < until - _COUNTED:  # noqa: PLR2004 - about one in fifteen
        yield from _event(dice, at, until)
    else:
        yield from _request(dice, at, until)


def _request(dice: random.Random, at: datetime, until: datetime) -> Iterator[Commit[Any]]:
    requester, approver = dice.sample(PEOPLE, 2)
    request = Request.submit(
        requester=requester, profile=dice.choice(PROFILES), justification=_WHY, rule=_RULE, now=at,
        duration=timedelta(hours=dice.randint(1, 8)),
    )  # fmt: skip
    said = {"justification": _WHY, "duration": to_nanoseconds(request.duration), "required_approvals": 1,
            "rule": _RULE, "expires_at": format_time(request.expires_at)}  # fmt: skip
    made = _create(request, AuditAction.REQUEST_SUBMITTED, requester, said, at)
    yield made
    asked, later = made.record, at + timedelta(seconds=dice.lognormvariate(6.2, 1.4))
    actor: str = approver
    outcome = dice.choices(("approve", "rule", "deny", "expire", "cancel"), (62, 16, 8, 9, 5))[0]
    if outcome == "expire" or later >= request.expires_at:
        later = request.expires_at
        changed, action, actor = asked.expire(later), AuditAction.REQUEST_EXPIRED, CLOCK
    elif outcome == "cancel":
        changed, action, actor = asked.cancel(requester, later), AuditAction.REQUEST_CANCELLED, requester
    elif outcome == "deny":
        changed, action, actor = asked.deny(approver, later, _NO), AuditAction.REQUEST_DENIED, approver
    elif outcome == "rule":
        later = at
        changed, action, actor = asked.approve_by_policy(at), AuditAction.REQUEST_APPROVED, by_policy(_RULE)
    else:
        changed, action, actor = asked.approve(approver, later), AuditAction.REQUEST_APPROVED, approver
    details: dict[str, Any] = {"reason": _NO} if outcome == "deny" else {}
    if later < until:
        yield _update(changed, action, actor, details | (window(changed) if changed.access_ends_at else {}), later)


def _event(dice: random.Random, at: datetime, until: datetime) -> Iterator[Commit[Any]]:
    invoker, reviewer = dice.sample(PEOPLE, 2)
    code = dice.choices(REASONS, (6, 1, 2, 2, 1))[0]
    event = BreakGlassEvent.invoke(
        invoker=invoker, profile=dice.choices(PROFILES, (8, 5, 1, 2, 2, 3))[0], reason_code=code, justification=_WHY,
        rule=_RULE, now=at, duration=timedelta(hours=dice.randint(1, 4)),
    )  # fmt: skip
    said = {"reason_code": code, "justification": _WHY, "duration": to_nanoseconds(event.duration), "rule": _RULE,
            "expires_at": format_time(event.expires_at)}  # fmt: skip
    made = _create(event, AuditAction.BREAK_GLASS_INVOKED, invoker, said, at)
    yield made
    if event.expires_at >= until:
        return
    ended = _update(made.record.expire(event.expires_at), AuditAction.BREAK_GLASS_EXPIRED, CLOCK, {}, event.expires_at)
    yield ended
    reviewed_at = event.expires_at + timedelta(hours=dice.lognormvariate(3.2, 1.0))
    if reviewed_at < until:
        verdict = dice.choices(tuple(Verdict), (9, 2, 1))[0]
        review = ended.record.add_review(reviewer, reviewed_at, verdict, _FOUND)
        details = {"verdict": verdict, "notes": _FOUND}
        yield _update(review, AuditAction.BREAK_GLASS_REVIEWED, reviewer, details, reviewed_at)


def _create(
    record: AccessRecord, action: AuditAction, actor: str, details: dict[str, Any], at: datetime
) -> Commit[Any]:
    draft = EntryDraft.of(record, action, actor, details)
    return prepare_create(record, (draft,), StoreSettings(keyring=KEYRING, clock=FrozenClock(at)))


def _update(
    record: AccessRecord, action: AuditAction, actor: str, details: dict[str, Any], at: datetime
) -> Commit[Any]:
    draft = EntryDraft.of(record, action, actor, details)
    return prepare_update(record, (draft,), StoreSettings(keyring=KEYRING, clock=FrozenClock(at)))


def _refusals(dice: random.Random, since: datetime, count: int) -> list[AuditEntry]:
    """A chain of attempts that were refused."""
    chain, made = f"{REFUSALS_KIND}#{dice.getrandbits(64):016x}", list[AuditEntry]()
    for at in sorted(since + dice.random() * LENGTH for _ in range(count)):
        person = dice.choice(PEOPLE)
        draft = EntryDraft(
            event=dice.choices(_REFUSED, (6, 3, 1, 2))[0], actor=DeciderId(person), outcome=REFUSED, subject=person,
            profile=dice.choice(PROFILES), details={"unmet": ["you are not among the people of this rule"]},
        )  # fmt: skip
        previous = made[-1].digest if made else ""
        made.append(seal(draft, KEYRING, chain=chain, seq=len(made) + 1, previous=previous, at=at))
    return made


def _insert(connection: sqlite3.Connection, commit: Commit[Any]) -> None:
    record, item = commit.record, commit.item
    table = "requests" if record.KIND == Request.KIND else "break_glass"
    names = ("profile", "status", "created_at", "updated_at", "expires_at")
    values = [item["id"], record.person, *(item[name] for name in names), json.dumps(item)]
    columns = "id, person, profile, status, created_at, updated_at, expires_at, body"
    if record.KIND == BreakGlassEvent.KIND:
        columns, values = f"{columns}, awaits", [*values, record.awaits]
    marks = ", ".join("?" for _ in values)
    connection.execute(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})", values)  # noqa: S608 - constants
    connection.executemany(_ENTRY, map(_row, commit.entries))


def _row(entry: AuditEntry) -> tuple[Any, ...]:
    return entry.chain, entry.seq, entry.id, format_time(entry.at), json.dumps(entry.to_item())
