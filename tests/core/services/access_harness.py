"""What the tests of access use: a policy whose profiles give rights, and people whom the targets know.

Invariant: the principals answer what a test says they do, remember who was asked, and never more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from core.access.due_rights import DueRights
from core.access.grant import Grant
from core.access.principals import PrincipalUnknown, SoughtPerson
from core.access.reconciler import Reconciler
from core.access.right import Right
from core.errors import StoreUnavailable
from core.stores.access import GrantWrite
from core.stores.base import Stores
from tests.core.access.harness import ScriptedTarget
from tests.core.services.harness import ChangingPolicy, person
from tests.harness.clock import FrozenClock

ADA: Final = person("U0ADA")
"""An admin, who approves nothing."""
DB: Final = "{target: aws, resource: db, level: admin}"
QUEUE: Final = "{target: aws, resource: queue, level: admin}"
SHOP: Final = "{target: shop, resource: orders, level: write}"
_PEOPLE: Final = ", ".join(f"U0{name}: {{aws: {name.lower()}}}" for name in ("RITA", "ANN", "BOB", "EVE"))
WITH_ACCESS: Final = {
    "groups:\n": (
        f"admins: [U0ADA]\ntargets: {{aws: {{type: demo}}, shop: {{type: demo}}}}\npeople: {{{_PEOPLE}}}\ngroups:\n"
    ),
    "prod: {description: Production, channel: C0ACCESS1}": (
        f"prod: {{description: Production, channel: C0ACCESS1, access: [{DB}, {SHOP}]}}"
    ),
    "staging: {description: Staging, channel: C0ACCESS1}": (
        f"staging: {{description: Staging, channel: C0ACCESS1, access: [{DB}]}}"
    ),
}
"""`prod` gives two rights at two targets, `staging` one of them, and `vault` none."""


def right(principal: str, *, target: str = "aws", resource: str = "db", level: str = "admin") -> Right:
    """A right of the policy."""
    return Right(target=target, resource=resource, level=level, principal=principal)


def rights_of_prod(name: str) -> tuple[Right, ...]:
    """What `prod` gives to this person."""
    return right(name), right(f"{name}@shop", target="shop", resource="orders", level="write")


def with_access(changes: dict[str, str] | None = None) -> ChangingPolicy:
    """The policy of the services' tests, with targets."""
    policy = ChangingPolicy()
    change_access(policy, changes or {})
    return policy


def change_access(policy: ChangingPolicy, changes: dict[str, str]) -> None:
    """Put the same policy into force, with these pieces replaced."""
    edited = dict(WITH_ACCESS)
    for old, new in changes.items():
        hits = [key for key, text in edited.items() if old in text]
        for key in hits:
            edited[key] = edited[key].replace(old, new)
        if not hits:
            edited[old] = new
    policy.edit(edited)


@dataclass
class KnownPrincipals:
    """Knows everybody, by their mapped name or, at the shop, by the part of their id after U0; but for `refusals`.

    `hold` keeps the answers of a target back until it is set.
    """

    refusals: dict[str, Exception] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    hold: dict[str, threading.Event] = field(default_factory=dict)
    asked: list[tuple[str, str, bool]] = field(default_factory=list)

    def find(self, target: str, sought: SoughtPerson, *, is_emergency: bool = False) -> str:
        """The person's name there."""
        self.asked.append((target, sought.slack_id, is_emergency))
        if target in self.hold:
            self.hold[target].wait(timeout=30)
        if target in self.refusals:
            raise self.refusals[target]
        name = sought.slack_id.removeprefix("U0").lower()
        return self.names.get(target) or (f"{name}@{target}" if target == "shop" else sought.mapped or name)


UNKNOWN: Final = PrincipalUnknown("aws", "There is no user for U0RITA. Ask a policy owner to add them to `people:`.")


class LosingStores:
    """Stores whose next answers are lost: the change is stored, and the caller hears that nobody knows."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.lost = 0
        self.requests = _Losing(stores.requests, self)
        self.break_glass = _Losing(stores.break_glass, self)
        self.access = _Losing(stores.access, self)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stores have
        return getattr(self._stores, name)


class _Losing:
    def __init__(self, store: object, owner: LosingStores) -> None:
        self._store = store
        self._owner = owner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        found = getattr(self._store, name)
        if name not in {"create", "update", "end"}:
            return found

        def lose(*args: object, **kwargs: object) -> object:
            answer = found(*args, **kwargs)
            if self._owner.lost:
                self._owner.lost -= 1
                raise StoreUnavailable("the answer was lost", is_outcome_unknown=True)
            return answer

        return lose


class Targets:
    """Both targets of the policy, and a reconciler that works on them on command."""

    def __init__(self, stores: Stores, clock: FrozenClock) -> None:
        self.aws, self.shop = ScriptedTarget(clock), ScriptedTarget(clock)
        self._clock = clock
        self.reconciler = Reconciler(
            stores.access, {"aws": self.aws, "shop": self.shop}, clock, holder="worker", jitter=lambda: 1.0
        )
        self._due = DueRights(stores.access, self.reconciler, clock)

    @property
    def held(self) -> set[Right]:
        """What people have now."""
        return self.aws.held | self.shop.held

    def reconcile(self) -> None:
        """Do all that is due now."""
        self._due.visit_due()


@dataclass
class Between:
    """Stores in which something happens before an `end` or an `update`. `watch` hears of every call for grants."""

    stores: Stores
    steps: list[Callable[[], object]] = field(default_factory=list)
    watch: Callable[[str], object] = field(default=lambda _name: None)

    @property
    def access(self) -> Any:  # noqa: ANN401 - the store, with one method of its own
        """The grants."""
        return _Interrupted(self.stores.access, self, self.watch)

    @property
    def break_glass(self) -> Any:  # noqa: ANN401 - the store, with one method of its own
        """The events."""
        return _Interrupted(self.stores.break_glass, self, lambda _name: None)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stores have
        return getattr(self.stores, name)


class _Interrupted:
    def __init__(self, store: object, owner: Between, watch: Callable[[str], object]) -> None:
        self._store = store
        self._owner = owner
        self._watch = watch

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        self._watch(name)
        if name in {"end", "update"} and self._owner.steps:
            self._owner.steps.pop(0)()
        return getattr(self._store, name)


def statuses(grants: Sequence[Grant]) -> list[str]:
    """The statuses of the grants, in their order."""
    return [grant.status.value for grant in grants]


def early_ends(writes: Sequence[Grant] | Sequence[GrantWrite]) -> list[tuple[str, str]]:
    """Who ended each, and why."""
    grants = [each.grant if isinstance(each, GrantWrite) else each for each in writes]
    return [(grant.ended_early.by, grant.ended_early.reason) for grant in grants if grant.ended_early is not None]
