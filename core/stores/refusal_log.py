"""Refused attempts, noted without ever delaying a decision.

Invariant: noting a refusal neither waits for the store, nor touches a record or a record's chain, so a flood of
refused clicks can neither delay an approver nor make a decision conflict. Each running process seals its refusals
into a chain of its own. Equal refusals within one batch become one entry that says how many there were.

The accepted price: a process that is killed loses the refusals of its last half second.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.audit.canonical import canonical_json
from core.audit.trail import REFUSALS_KIND, AuditAction, AuditEntry, EntryDraft, seal
from core.clock import format_time, new_id
from core.errors import StoreError
from core.stores.audit import AuditStore
from core.stores.commit import StoreSettings

PAUSE_SECONDS: Final = 0.5
"""The pause between two batches: however many clicks are refused, they cost at most two batches a second."""
MAX_PER_BATCH: Final = 99
MAX_WAITING: Final = 10_000
"""How many different refusals may wait; further ones are counted, not itemised."""

_log = logging.getLogger("countersign.audit")


@dataclass(slots=True)
class _Noted:
    draft: EntryDraft
    first_at: datetime
    last_at: datetime
    times: int = 1


class BackgroundRefusalLog:
    """A RefusalLog that writes on one thread of its own, which starts with the first refusal."""

    def __init__(self, audit: AuditStore, settings: StoreSettings) -> None:
        self._audit = audit
        self._settings = settings
        self._chain = f"{REFUSALS_KIND}#{new_id()}"
        self._length, self._head = 0, ""
        self._waiting: dict[bytes, _Noted] = {}
        self._alarms: set[bytes] = set()
        self._not_itemised = 0
        self._is_writing = False
        self._is_closing = False
        self._has_ended = False
        self._flushing = 0
        self._failures = 0
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None

    def note(self, draft: EntryDraft) -> None:
        """Note an attempt that was refused. Returns at once; neither waits for the store nor raises."""
        if draft.event is AuditAction.SEAL_BROKEN and not self._is_first_alarm(draft):
            return
        now = self._settings.clock.now()
        key = canonical_json([draft.event, draft.actor, draft.record, draft.profile, draft.details])
        with self._changed:
            if self._has_ended or (self._is_closing and self._writer is None):
                _log.error(
                    "a refused attempt came after the audit trail was closed: %s by %s", draft.event, draft.actor
                )
                return
            known = self._waiting.get(key)
            if known is not None:
                known.times, known.last_at = known.times + 1, now
            elif len(self._waiting) < MAX_WAITING:
                self._waiting[key] = _Noted(draft, now, now)
            else:
                self._not_itemised += 1
            self._start_writer()
            self._changed.notify_all()

    def _is_first_alarm(self, draft: EntryDraft) -> bool:
        """False for an alarm that this process has raised: a broken record is read at every click and every sweep."""
        alarm = canonical_json([draft.record, draft.details])
        with self._changed:
            if alarm in self._alarms or len(self._alarms) >= MAX_WAITING:
                return False
            self._alarms.add(alarm)
            return True

    def flush(self) -> None:
        """Wait until everything that was noted is in the store, or the store failed to take it."""
        with self._changed:
            failures = self._failures
            self._flushing += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_idle() or self._failures > failures)
            self._flushing -= 1

    def close(self) -> None:
        """Try once to write what is left, and stop. Logs how many refusals could not be written."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            writer = self._writer
        if writer is not None:
            writer.join()
        with self._changed:
            lost, self._waiting = len(self._waiting), {}
        if lost:
            _log.error("%d refused attempts could not be written to the audit trail", lost)

    def _start_writer(self) -> None:
        if self._writer is not None:
            return
        writer = threading.Thread(target=self._write_batches, name="refusal-log", daemon=True)
        try:
            writer.start()
        except RuntimeError:
            # No thread can be started at the moment: the next refusal tries again, and this one waits for it.
            _log.exception("refused attempts are waiting for a thread")
        else:
            self._writer = writer

    def _is_idle(self) -> bool:
        return self._has_ended or self._writer is None or not (self._waiting or self._is_writing)

    def _write_batches(self) -> None:
        while (batch := self._take()) is not None:
            self._write(batch)
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
            self._pause()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _write(self, batch: Sequence[_Noted]) -> None:
        try:
            entries = self._seal(batch)
            # The same sealed entries are passed again until the store has them: it recognises entries that it has.
            while not self._is_written(entries):
                if self._pause():
                    _log.error("%d refused attempts could not be written to the audit trail", len(batch))
                    return
        except Exception:  # noqa: BLE001 - see the next line
            # A bug, or entries that no store can take: they must not keep later ones from being written.
            _log.exception("%d refused attempts could not be written to the audit trail", len(batch))
            with self._changed:
                self._not_itemised += len(batch)

    def _take(self) -> list[_Noted] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            if not self._waiting or (self._is_closing and self._failures):
                return None
            self._is_writing = True
            return [self._waiting.pop(key) for key in list(self._waiting)[:MAX_PER_BATCH]]

    def _pause(self) -> bool:
        """Pause, unless somebody waits for this log. True when it is being closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or self._flushing, timeout=PAUSE_SECONDS)
            return self._is_closing

    def _is_written(self, entries: Sequence[AuditEntry]) -> bool:
        try:
            self._audit.append_refusals(entries)
        except StoreError:
            _log.warning("refused attempts are waiting for the store", exc_info=True)
            with self._changed:
                self._failures += 1
                self._changed.notify_all()
            return False
        self._length, self._head, self._failures = entries[-1].seq, entries[-1].digest, 0
        return True

    def _seal(self, batch: Sequence[_Noted]) -> list[AuditEntry]:
        entries: list[AuditEntry] = []
        length, head = self._length, self._head
        with self._changed:
            not_itemised, self._not_itemised = self._not_itemised, 0
        for number, noted in enumerate(batch):
            details = dict(noted.draft.details)
            if noted.times > 1:
                details |= {"times": noted.times, "last_at": format_time(noted.last_at)}
            if not_itemised and number == 0:
                details["further_refusals_not_itemised"] = not_itemised
            entry = seal(
                noted.draft.model_copy(update={"details": details}),
                self._settings.keyring,
                chain=self._chain,
                seq=length + 1,
                previous=head,
                at=noted.first_at,
            )
            length, head = entry.seq, entry.digest
            entries.append(entry)
        return entries
