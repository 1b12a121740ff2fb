"""A strict AccessStore in memory: every change at once and whole, judged by the rules that all engines share.

Invariant: a holding replaces only the version that was read, and only while its right was not nudged since; a grant
only by a legal move that keeps what was fixed. `boundary` is called before and after each effect: a test may let others
act there, or raise; what was done stays done, as when an answer is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from core.access.grant import Grant, GrantId
from core.access.holding import Holding, Urgency
from core.access.right import Right, parse_right_key, right_key
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, AuditEntry, EntryDraft, seal
from core.clock import TICK, Clock, format_time
from core.errors import ConcurrentModification, GrantNotFound, MalformedRecord
from core.stores.access import AccessStore, DueRight, GrantWrite, RightState
from core.stores.commit import explain_refusal
from core.stores.due import urgency_of_new
from core.stores.paging import Position, check_limit, read_cursor
from core.stores.record_store import Page
from core.stores.right_state import check_count
from core.stores.schema import AWAITS_ATTRIBUTE

_KEYRING = AuditKeyring()


class MemoryAccessStore(AccessStore):
    """Grants and holdings in dictionaries. `is_strict` also writes and reads the stored form at each change."""

    def __init__(
        self, clock: Clock, boundary: Callable[[str], object] | None = None, *, is_strict: bool = True
    ) -> None:
        self._clock = clock
        self._boundary = boundary or (lambda _name: None)
        self._is_strict = is_strict
        self.grants: dict[str, Grant] = {}
        self.holdings: dict[str, Holding] = {}
        self._by_right: dict[str, list[str]] = defaultdict(list)
        self.nudges: dict[str, int] = defaultdict(int)
        self.due: dict[str, tuple[datetime, Urgency]] = {}
        self.entries: dict[str, list[EntryDraft]] = defaultdict(list)
        self.told_at: dict[str, list[datetime]] = defaultdict(list)
        self.reads = 0
        self.writes = 0
        self.rows_read = 0
        self.watchers: list[Callable[[Holding, Grant | None], object]] = []
        self.broken: set[str] = set()
        """Keys of rights that can't be read."""

    def create(self, *grants: Grant) -> None:
        """What the transaction of an approval does: make the grants, and their rights due now."""
        for grant in grants:
            if grant.id in self.grants:
                continue
            self.add(grant.model_copy(update={"audit_length": 1}))
            self._tell(grant, (EntryDraft.of(grant, AuditAction.GRANT_CREATED, grant.decided_by),))
            self._nudge(grant, urgency_of_new(grant))

    def add(self, grant: Grant) -> None:
        """A grant as it is, of which nobody hears."""
        self.grants[grant.id] = grant
        self._by_right[right_key(grant.right)].append(grant.id)

    def read_chain(self, grant: Grant) -> list[AuditEntry]:
        """The chain of a grant, as a store would have sealed it, without what a digest says of the record."""
        told = zip(self.entries[grant.chain], self.told_at[grant.chain], strict=True)
        return [
            seal(draft, _KEYRING, chain=grant.chain, seq=seq, previous="", at=at)
            for seq, (draft, at) in enumerate(told, start=1)
        ]

    def actions(self, grant: Grant) -> list[str]:
        """What the chain of a grant says, in order."""
        return [entry.event.value for entry in self.entries[grant.chain]]

    def get(self, grant_id: GrantId) -> Grant:
        self.reads += 1
        if grant_id not in self.grants:
            raise GrantNotFound(grant_id)
        return self.grants[grant_id]

    def get_right(self, right: Right, also: Sequence[str] = ()) -> RightState:
        self._boundary("before read")
        state = self._read_right(right, also)
        self._boundary("after read")
        return state

    def _read_right(self, right: Right, also: Sequence[str] = ()) -> RightState:
        del also  # It finds all grants of a right.
        self.reads += 1
        key = right_key(right)
        if key in self.broken:
            raise MalformedRecord(f"HOLDING#{key}", "it is broken")
        holding = self.holdings.get(key) or Holding.empty(right)
        of_right = [self.grants[each] for each in self._by_right[key]]
        mine = [grant for grant in of_right if grant.is_live or grant.id == holding.last_grant]
        self.rows_read += len(mine) + 1
        return RightState(holding, tuple(sorted(mine, key=_by_age)), self.nudges[key])

    def get_each(self, grant_ids: Sequence[str]) -> tuple[Grant, ...]:
        self.reads += 1
        return tuple(self.grants[each] for each in dict.fromkeys(grant_ids) if each in self.grants)

    def find_many(self, record_ids: Sequence[str]) -> Mapping[str, Grant | MalformedRecord]:
        return {grant.id: grant for grant in self.get_each(record_ids)}

    def iterate(self) -> Iterator[Grant]:
        return iter(tuple(self.grants.values()))

    def iterate_ids(self) -> Iterator[str]:
        return iter(tuple(self.grants))

    def scan_holdings(self) -> Iterator[tuple[str, Holding | MalformedRecord]]:
        return iter(tuple(self.holdings.items()))

    def find_rolled_back(self, grants: Sequence[Grant]) -> frozenset[str]:
        if not grants:
            return frozenset()
        self.reads += 1
        longer = [each for each in grants if len(self.entries[each.chain]) > each.audit_length]
        if any(self.grants[each.id].audit_length != each.audit_length for each in longer):
            raise ConcurrentModification(longer[0].chain)
        return frozenset(each.id for each in longer)

    def end(self, writes: Sequence[GrantWrite]) -> tuple[Grant, ...]:
        check_count(writes)
        for write in writes:
            self._judge(write.grant)
        ended = tuple(self._write_grant(write.grant, (write.entry,)) for write in writes)
        for grant in ended:
            self._nudge(grant, Urgency.REVOKE)
        return ended

    def delete(self, record: Grant, entry: EntryDraft) -> None:
        if record.id not in self.grants:
            raise GrantNotFound(record.id)
        if self.grants[record.id].updated_at != record.updated_at:
            raise ConcurrentModification(record.chain)
        del self.grants[record.id]
        self._by_right[right_key(record.right)].remove(record.id)
        self._tell(record, (entry,))
        self._nudge(record, Urgency.REVOKE)

    def commit(
        self, state: RightState, holding: Holding, grant: Grant | None = None, entries: Sequence[EntryDraft] = ()
    ) -> RightState:
        self._boundary("before commit")
        committed = self._replace(state, holding, grant, entries)
        self.writes += 1
        changed = next((each for each in committed.grants if grant is not None and each.id == grant.id), None)
        for watcher in self.watchers:
            watcher(committed.holding, changed)
        self._boundary("after commit")
        return committed

    def _replace(
        self, state: RightState, holding: Holding, grant: Grant | None, entries: Sequence[EntryDraft]
    ) -> RightState:
        key = holding.owner
        stored = self.holdings.get(key)
        if (stored.updated_at if stored is not None else None) != state.holding.updated_at:
            raise ConcurrentModification(f"HOLDING#{key}")
        if self.nudges[key] != state.nudge:
            raise ConcurrentModification(f"HOLDING#{key}")
        written = self._write_grant(grant, entries) if grant is not None else None
        now, before = self._clock.now(), state.holding.updated_at
        kept = holding.model_copy(update={"updated_at": now if before is None else max(now, before + TICK)})
        if self._is_strict:
            kept = Holding.from_item(kept.to_item())
        self.holdings[key] = kept
        self.due.pop(key, None)
        if kept.next_look_at is not None:
            self.due[key] = kept.next_look_at, kept.urgency
        grants = tuple(written if written is not None and each.id == written.id else each for each in state.grants)
        return RightState(kept, grants, state.nudge)

    def list_due(
        self, urgency: Urgency, now: datetime, *, limit: int = 100, after: DueRight | None = None
    ) -> tuple[DueRight, ...]:
        check_limit(limit)
        self.reads += 1
        last = (after.due_at, right_key(after.right)) if after is not None else None
        found = sorted((due_at, key) for key, (due_at, kind) in self.due.items() if kind is urgency and due_at <= now)
        page = [each for each in found if last is None or each > last][:limit]
        self.rows_read += len(page)
        return tuple(DueRight(parse_right_key(key), due_at) for due_at, key in page)

    def list_overdue(self, now: datetime, *, limit: int = 100, after: DueRight | None = None) -> tuple[DueRight, ...]:
        check_limit(limit)
        self.reads += 1
        last = (after.due_at, right_key(after.right)) if after is not None else None
        found = sorted(
            (grant.ends_at, right_key(grant.right), grant.id) for grant in self.grants.values() if grant.is_overdue(now)
        )
        page = [each for each in found if last is None or each[:2] > last][:limit]
        self.rows_read += len(page)
        return tuple(DueRight(parse_right_key(key), due_at, each) for due_at, key, each in page)

    def find_first_end(self) -> datetime | None:
        self.reads += 1
        return min((grant.ended_at for grant in self.grants.values() if grant.is_live), default=None)

    def list_page(
        self, attribute: str, value: str, *, limit: int, cursor: str | None, since: datetime | None
    ) -> Page[Grant]:
        check_limit(limit)
        found = [
            grant
            for grant in self.grants.values()
            if {**grant.to_item(), AWAITS_ATTRIBUTE: grant.awaits}.get(attribute) == value
        ]
        return self._page([each for each in found if since is None or each.created_at >= since], limit, cursor)

    def _page(self, found: list[Grant], limit: int, cursor: str | None) -> Page[Grant]:
        self.reads += 1
        newest = {Position(format_time(grant.created_at), grant.id): grant for grant in found}
        after = read_cursor(cursor)
        left = [
            position
            for position in sorted(newest, key=_place, reverse=True)
            if after is None or _place(position) < _place(after)
        ]
        items = tuple(newest[position] for position in left[:limit])
        self.rows_read += len(items)
        return Page(items, left[limit - 1].to_cursor() if len(left) > limit else None)

    def _judge(self, grant: Grant) -> None:
        stored = self.grants.get(grant.id)
        if (refusal := explain_refusal(stored, grant)) is not None:
            raise refusal

    def _write_grant(self, grant: Grant, entries: Sequence[EntryDraft]) -> Grant:
        self._judge(grant)
        if not entries:
            raise ValueError("there is no change without its audit entry")
        later = max(self._clock.now(), grant.updated_at + TICK) + (len(entries) - 1) * TICK
        written = grant.model_copy(update={"updated_at": later, "audit_length": grant.audit_length + len(entries)})
        if self._is_strict:
            written = Grant.from_item(written.to_item())
        self.grants[grant.id] = written
        self._tell(grant, entries)
        return written

    def _tell(self, grant: Grant, entries: Sequence[EntryDraft]) -> None:
        self.entries[grant.chain].extend(entries)
        self.told_at[grant.chain].extend(self._clock.now() for _ in entries)

    def _nudge(self, grant: Grant, urgency: Urgency) -> None:
        key = right_key(grant.right)
        self.nudges[key] += 1
        self.due[key] = self._clock.now(), urgency


def _by_age(grant: Grant) -> tuple[datetime, str]:
    return grant.created_at, grant.id


def _place(position: Position) -> tuple[str, str]:
    return position.created_at, position.id
