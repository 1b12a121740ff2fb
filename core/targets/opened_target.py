"""One target of the policy, opened when it is first used and again when its configuration or its secret changes.

Invariant: one configuration is open at a time, and its client once. What can't be opened answers so, and is tried again
within seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from pydantic import SecretStr

from core.clock import Clock
from core.errors import InvalidInput
from core.policy.target_config import (
    AnyTargetConfig,
    AwsRoleConfig,
    DemoConfig,
    IdentityCenterConfig,
    LambdaConfig,
    WebhookConfig,
)
from core.targets.aws_names import IAM_DELAY, MAX_SESSION
from core.targets.base import Target
from core.targets.secret_source import is_secret_source, read_secret
from core.targets.standing_in import UnopenedTarget
from core.targets.webhook import WebhookTarget

TargetOpener = Callable[[AnyTargetConfig], Target]
LOOK_AGAIN_AFTER: Final = timedelta(seconds=10)
"""How soon a secret that changed is used, and a target that couldn't be opened is tried again."""
_CHECK: Final = "Check it in the policy, and the AWS settings where Countersign runs."
_Secrets = Mapping[str, SecretStr]
_log = logging.getLogger("countersign.targets")


@dataclass(frozen=True, slots=True)
class _Open:
    """What is open now, from what, and when its secrets were read."""

    target: Target
    config: AnyTargetConfig
    secrets: _Secrets = field(repr=False)
    looked_at: datetime


class OpenedTarget:
    """Opens and reopens one target. Safe for threads."""

    def __init__(self, name: str, clock: Clock, more: Mapping[str, TargetOpener]) -> None:
        self._name = name
        self._clock = clock
        self._more = more
        self._lock = Lock()
        self._open: _Open | None = None

    def get(self, config: AnyTargetConfig) -> Target:
        """The target with this configuration. Opens it if need be; a target that was replaced is closed."""
        with self._lock:
            now, found = self._clock.now(), self._open
            if found is not None and found.config == config and _is_fresh(found, now):
                return found.target
            fresh = self._reopen(config, found, now)
            self._open = fresh
        if found is not None and found.target is not fresh.target:
            _close(found.target)
        return fresh.target

    def close(self) -> None:
        """Close it, if it is open. Idempotent."""
        with self._lock:
            found, self._open = self._open, None
        if found is not None:
            _close(found.target)

    def _reopen(self, config: AnyTargetConfig, found: _Open | None, now: datetime) -> _Open:
        try:
            secrets = {each: read_secret(each) for each in _sources_of(config)}
            is_open = found is not None and not isinstance(found.target, UnopenedTarget)
            if found is not None and is_open and _is_same(found, config, secrets):
                return _Open(found.target, config, secrets, now)
            return _Open(self._open_target(config, secrets), config, secrets, now)
        except (InvalidInput, OSError, ValueError) as error:
            problem = self._say(error)
        if not (found is not None and isinstance(found.target, UnopenedTarget) and found.target.problem == problem):
            _log.error("%s", problem)
        return _Open(_unopened(config, problem), config, {}, now)

    def _say(self, error: Exception) -> str:
        # Other errors than ours may quote what they were given.
        why = (
            f"{error.problem}. {error.fix}" if isinstance(error, InvalidInput) else f"{type(error).__name__}. {_CHECK}"
        )
        return f"The target {self._name} can't be used: {why}"

    def _open_target(self, config: AnyTargetConfig, secrets: _Secrets) -> Target:
        more = self._more.get(config.type)
        if more is not None:
            return more(config)
        match config:
            case IdentityCenterConfig() | LambdaConfig():
                # It loads the SDK of AWS, which takes half a second, and not every deployment needs it.
                from core.targets.aws_opening import open_aws  # noqa: PLC0415

                return open_aws(config, self._clock)
            case WebhookConfig():
                return WebhookTarget(
                    secrets[config.url].get_secret_value() if config.url in secrets else config.url,
                    secrets[config.secret],
                    self._clock,
                    ends_sessions=config.ends_sessions,
                    residual=config.residual or timedelta(0),
                )
            case AwsRoleConfig():
                fix = "Run `countersign serve`, which has the stores that an aws-role target keeps its state in."
                raise InvalidInput("target", "this process has no store for an aws-role target", fix)
            case DemoConfig():
                fix = "Use identity-center, webhook or lambda in the policy."
                raise InvalidInput("target", "demo is only for the playground", fix)


def _is_fresh(found: _Open, now: datetime) -> bool:
    if not _sources_of(found.config) and not isinstance(found.target, UnopenedTarget):
        return True
    # A clock that was set back doesn't keep an old secret in use.
    return found.looked_at <= now < found.looked_at + LOOK_AGAIN_AFTER


def _is_same(found: _Open, config: AnyTargetConfig, secrets: _Secrets) -> bool:
    """True when nothing changed but the link for people: what a target has learnt of its system is kept then."""
    without_link = (each.model_copy(update={"portal": None}) for each in (found.config, config))
    return next(without_link) == next(without_link) and found.secrets == secrets


def _sources_of(config: AnyTargetConfig) -> tuple[str, ...]:
    if not isinstance(config, WebhookConfig):
        return ()
    return tuple(each for each in (config.url, config.secret) if is_secret_source(each))


def _unopened(config: AnyTargetConfig, problem: str) -> UnopenedTarget:
    if isinstance(config, IdentityCenterConfig):
        return UnopenedTarget(problem, ends_sessions=False, longest_session=MAX_SESSION)
    if isinstance(config, AwsRoleConfig):
        return UnopenedTarget(problem, ends_sessions=True, longest_session=IAM_DELAY)
    return UnopenedTarget(problem, config.ends_sessions, config.residual or timedelta(0))


def _close(target: Target) -> None:
    close = getattr(target, "close", None)
    if callable(close):
        close()
