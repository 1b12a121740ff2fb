"""The targets of the policy in force: opened when they are used, and asked who people are.

Invariant: nothing is opened before it is used. A target that can't be opened is still there, and its answers say what
to fix. One that left the policy still takes what it gave, and gives nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from threading import Lock
from types import MappingProxyType
from typing import Final

from core.access.principals import SERVICE_PREFIX, PrincipalUnavailable, PrincipalUnknown, SoughtPerson
from core.clock import Clock
from core.errors import StoreError
from core.policy.evaluator import Policy, PolicySource
from core.policy.profile import PART
from core.policy.target_config import AWS_ROLE, IDENTITY_CENTER, AnyTargetConfig
from core.targets.base import Later, Target, TargetRefused
from core.targets.call_pace import CallPace
from core.targets.opened_target import OpenedTarget, TargetOpener
from core.targets.principal_lookup import Found, PrincipalLookup
from core.targets.standing_in import RetiredTarget

LOOK_BACK_EVERY: Final = timedelta(minutes=1)
LOOKUPS_PER_SECOND: Final = 2.0
LOOKUP_BURST: Final = 6
"""Looking up people has a pace of its own: a thousand revokes that are due don't hold up a request."""

_ABOUT_NO_PLACE: Final = frozenset({"portal", "secret", "ends_sessions", "residual", "lease", "external_id", "revoker"})
"""What a target's configuration says besides where it is."""
_log = logging.getLogger("countersign.targets")


class PolicyTargets(Mapping[str, Target]):
    """The targets by name, as the policy in force has them; also `Principals`. Safe for threads.

    `more` opens the types of targets that Countersign doesn't have itself, such as `demo` in the playground.
    """

    def __init__(
        self,
        policy: PolicySource,
        clock: Clock,
        more: Mapping[str, TargetOpener] = MappingProxyType({}),
        *,
        lookup: PrincipalLookup | None = None,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._more = dict(more)
        self._lookup = lookup or PrincipalLookup(clock)
        self._paces: dict[str, CallPace] = {}
        self._lock = Lock()
        self._digest: str | None = None
        self._configs: dict[str, AnyTargetConfig] = {}
        self._find_earlier: Callable[[], Iterable[Policy]] | None = None
        self._looked_back_at: datetime | None = None
        self._opened: dict[str, OpenedTarget] = {}

    def __getitem__(self, name: str) -> Target:
        """The target of this name. Raises KeyError for one that no version of the policy had."""
        policy = self._learn()
        self._look_back(name)
        with self._lock:
            config = self._configs[name]
            opened = self._opened.setdefault(name, OpenedTarget(name, self._clock, self._more))
        target = opened.get(config)
        return target if name in policy.targets else RetiredTarget(target, name)

    def __iter__(self) -> Iterator[str]:
        """The names of the targets in the policy, and of those that left it."""
        self._learn()
        with self._lock:
            return iter(tuple(self._configs))

    def __len__(self) -> int:
        """How many targets there are, with those that left the policy."""
        self._learn()
        with self._lock:
            return len(self._configs)

    def remember(self, earlier: Policy) -> None:
        """Keep the targets of an earlier version, for taking what they gave, where the policy in force has none."""
        self._learn()
        with self._lock:
            self._configs = {**earlier.targets, **self._configs}

    def open_with(self, target_type: str, opener: TargetOpener) -> None:
        """How targets of this type are opened, for those that need more than their configuration."""
        self._more[target_type] = opener

    def config_of(self, name: str) -> AnyTargetConfig:
        """How the target is configured, or was when it left the policy. Raises KeyError for one that never was."""
        self._learn()
        self._look_back(name)
        with self._lock:
            return self._configs[name]

    def use_earlier(self, find_earlier: Callable[[], Iterable[Policy]]) -> None:
        """Where to find earlier versions, newest first. They are only read when a target isn't known otherwise."""
        self._find_earlier = find_earlier

    def find(self, target: str, sought: SoughtPerson, *, is_emergency: bool = False) -> str:
        """What the target calls this person: in Identity Center a user id, elsewhere the mapped name or the Slack id.

        A service has a name of its own, so that nobody else gets what was decided for it; Identity Center has none.

        In an emergency, the last answer of a day does if the target can't say now. Raises PrincipalUnknown when there
        is no one such person, PrincipalUnavailable when it can't be said now.
        """
        config = self._learn().targets.get(target)
        if config is None:
            fix = "Ask a policy owner to correct the profile."
            raise PrincipalUnknown(target, f"The policy has no target of this name. {fix}")
        if config.type != IDENTITY_CENTER:
            if sought.service is not None:
                return _check_name(target, f"{SERVICE_PREFIX}{sought.service}")
            mapped = None if config.type == AWS_ROLE else sought.mapped
            return _check_name(target, mapped or sought.slack_id)
        opened = self[target]
        key = (target, config.model_copy(update={"portal": None}), sought.slack_id, sought.mapped, sought.email)
        found = self._lookup.find(key, lambda: self._resolve(target, opened, sought), is_emergency=is_emergency)
        if isinstance(found, TargetRefused):
            raise PrincipalUnknown(target, found.reason)
        if isinstance(found, Later):
            raise PrincipalUnavailable(target, _say_later(sought.slack_id, found))
        return _check_name(target, found)

    def close(self) -> None:
        """Close every target that was opened. Idempotent; a target that is used again is opened again."""
        self._lookup.close()
        with self._lock:
            opened = tuple(self._opened.values())
        for each in opened:
            each.close()

    def _learn(self) -> Policy:
        """The policy in force; its targets are known from now on."""
        policy = self._policy.current()
        with self._lock:
            if policy.digest != self._digest:
                _warn_of_moved(self._configs, policy.targets)
                self._configs = {**self._configs, **policy.targets}
                self._digest = policy.digest
        return policy

    def _look_back(self, name: str) -> None:
        """Remember the targets of earlier versions, if this one isn't known and they weren't read lately."""
        now = self._clock.now()
        with self._lock:
            last = self._looked_back_at
            is_recent = last is not None and last <= now < last + LOOK_BACK_EVERY
            if name in self._configs or self._find_earlier is None or is_recent:
                return
            self._looked_back_at = now
        try:
            for earlier in self._find_earlier():
                self.remember(earlier)
        except StoreError as error:
            _log.warning("earlier versions of the policy can't be read now: %s", error)

    def _resolve(self, name: str, target: Target, sought: SoughtPerson) -> Found:
        # It loads the SDK of AWS, which takes half a second, and not every deployment needs it.
        from core.targets.aws_opening import find_user  # noqa: PLC0415

        with self._lock:
            pace = self._paces.setdefault(name, CallPace(LOOKUPS_PER_SECOND, LOOKUP_BURST))
        return find_user(target, sought, pace)


def _warn_of_moved(known: Mapping[str, AnyTargetConfig], now: Mapping[str, AnyTargetConfig]) -> None:
    for name in known.keys() & now.keys():
        before, after = (each[name].model_dump(exclude=set(_ABOUT_NO_PLACE)) for each in (known, now))
        if before != after:
            _log.error(
                "the target %s is another place now: access that is open at the old one isn't looked for there any "
                "more. Put the old place back until it has ended, and give the new one a name of its own",
                name,
            )


def _check_name(target: str, name: str) -> str:
    if not PART.fullmatch(name):
        fix = "Ask a policy owner to correct `people:` in the policy."
        raise PrincipalUnknown(target, f"{name!a:.60} can't be the name of a person there. {fix}")
    return name


def _say_later(slack_id: str, found: Later) -> str:
    why = f": {found.problem.rstrip('.')}" if found.problem else ""
    return f"Identity Center couldn't say now who {slack_id} is{why}. Try again in a moment."
