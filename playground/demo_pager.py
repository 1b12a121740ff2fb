"""The playground's pretend pager: pages arrive, and people acknowledge and resolve them on the page.

Invariant: what it answers was in its file before, so a kill loses nothing. A key has one open page at a time: sent
twice, it rings once, as at PagerDuty.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from core.actor import UserId
from core.clock import Clock, UtcTime
from core.errors import InvalidInput
from core.pagers.base import PageAcknowledgement, PagerAlert, Severity
from playground.folder import write_privately
from playground.people import PEOPLE

MAX_PAGES: Final = 30
_NAMES: Final = {each.person.id: each.person.real_name for each in PEOPLE}


class DemoPageState(StrEnum):
    """Where a page stands, in PagerDuty's words."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class DemoPage(BaseModel):
    """One page. `paged` is who was on call when it came; `person` is who acknowledged it."""

    model_config = ConfigDict(frozen=True)

    key: str
    summary: str
    severity: Severity
    at: UtcTime
    paged: tuple[UserId, ...] = ()
    state: DemoPageState = DemoPageState.TRIGGERED
    person: UserId | None = None
    changed_at: UtcTime


class DemoPagerState(BaseModel):
    """All pages, the newest first."""

    model_config = ConfigDict(frozen=True)

    pages: tuple[DemoPage, ...] = ()

    def find_open(self, key: str) -> DemoPage | None:
        """The open page with this key."""
        return next((each for each in self.pages if each.key == key and each.state is not DemoPageState.RESOLVED), None)

    def add(self, page: DemoPage) -> DemoPagerState:
        """With this page; what is long resolved goes."""
        return DemoPagerState(pages=(page, *self.pages)[:MAX_PAGES])

    def replace(self, page: DemoPage, **changes: object) -> DemoPagerState:
        """With this page changed."""
        changed = page.model_copy(update=changes)
        return DemoPagerState(pages=tuple(changed if each is page else each for each in self.pages))


class DemoPager:
    """The pager of one folder. Safe for threads.

    `who` says who is on call now. What `watch` sets gets each new state, in order, and must not call back. Raises
    InvalidInput for a broken file.
    """

    name: Final = "the pretend pager"
    reads_back: Final = True

    def __init__(
        self,
        path: Path,
        clock: Clock,
        who: Callable[[], tuple[UserId, ...]] = tuple,
    ) -> None:
        self._path = path
        self._clock = clock
        self._who = who
        self._on_change: Callable[[DemoPagerState], None] = lambda _: None
        self._lock = threading.Lock()
        self._state = _read(path)

    def watch(self, on_change: Callable[[DemoPagerState], None]) -> None:
        """Call this with each new state from now on."""
        self._on_change = on_change

    @property
    def state(self) -> DemoPagerState:
        """The state now. Waits for nothing."""
        return self._state

    def trigger(self, page: PagerAlert) -> None:
        """Ring, unless the page with this key is open."""
        with self._lock:
            if self._state.find_open(page.key) is None:
                now = self._clock.now()
                self._write(
                    self._state.add(
                        DemoPage(
                            key=page.key, summary=page.summary, severity=page.severity, at=now, paged=self._who(),
                            changed_at=now,
                        )
                    )
                )  # fmt: skip

    def resolve(self, key: str) -> None:
        """Take the page back, if it is open."""
        with self._lock:
            if (page := self._state.find_open(key)) is not None:
                self._write(self._state.replace(page, state=DemoPageState.RESOLVED, changed_at=self._clock.now()))

    def acknowledge(self, key: str) -> bool:
        """The person on call takes the page. False if no page with this key rings."""
        with self._lock:
            page = self._state.find_open(key)
            if page is None or page.state is not DemoPageState.TRIGGERED:
                return False
            person = next(iter(self._who()), None)
            now = self._clock.now()
            self._write(self._state.replace(page, state=DemoPageState.ACKNOWLEDGED, person=person, changed_at=now))
            return True

    def find_acknowledged(self, keys: Collection[str]) -> Mapping[str, PageAcknowledgement]:
        """Who acknowledged which of these."""
        found = (self._state.find_open(key) for key in keys)
        return {
            page.key: PageAcknowledgement(_name(page.person), page.changed_at)
            for page in found
            if page is not None and page.state is DemoPageState.ACKNOWLEDGED
        }

    def check(self) -> str:
        """It can always page."""
        return "pages arrive on the playground's page"

    def close(self) -> None:
        """Nothing is open."""

    def _write(self, state: DemoPagerState) -> None:
        write_privately(self._path, state.model_dump_json(indent=1))
        self._state = state
        self._on_change(state)


def _name(person: UserId | None) -> str:
    return _NAMES.get(person, person) if person is not None else "somebody"


def _read(path: Path) -> DemoPagerState:
    if not path.exists():
        return DemoPagerState()
    try:
        return DemoPagerState.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, OSError) as error:
        raise InvalidInput("folder", f"{path} can't be read", "Start fresh with --reset.") from error
