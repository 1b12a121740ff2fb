"""The pager of the policy in force, opened when it is used, and again when its configuration or its keys change.

Invariant: nothing is opened before it is used. A key that isn't there is a delivery that failed, with what to fix; it
is read again at the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType

from pydantic import SecretStr

from core.errors import DeliveryFailed, InvalidInput
from core.pagers.base import Pager, PagerOpener
from core.pagers.calls import FIX_PAUSE
from core.pagers.incident_io import IncidentIo
from core.pagers.pagerduty import NAME as PAGERDUTY_NAME
from core.pagers.pagerduty import ROUTING_KEY_LENGTH, PagerDuty
from core.policy.pager_config import (
    AnyPagerConfig,
    DemoPagerConfig,
    IncidentIoAlertsConfig,
    PagerConfig,
    PagerDutyEventsConfig,
)
from core.targets.secret_source import read_secret


@dataclass(frozen=True, slots=True)
class _OpenedPager:
    pager: Pager
    config: AnyPagerConfig
    secrets: Mapping[str, SecretStr] = field(repr=False)


class Pagers:
    """Opens the pager that the policy names. Safe for threads.

    `more` opens kinds of pagers by their key in the policy, such as `demo`, or in place of Countersign's own.
    """

    def __init__(self, more: Mapping[str, PagerOpener] = MappingProxyType({})) -> None:
        self._more = dict(more)
        self._lock = Lock()
        self._open: _OpenedPager | None = None

    def get(self, config: PagerConfig) -> Pager:
        """The pager with this configuration. Raises DeliveryFailed when a key isn't there."""
        try:
            return self._get(config)
        except InvalidInput as error:
            problem = f"the pager can't be used: {error.problem}. {error.fix}"
            raise DeliveryFailed(problem, retry_after=FIX_PAUSE) from error

    def close(self) -> None:
        """Close it, if it is open. Idempotent."""
        with self._lock:
            found, self._open = self._open, None
        if found is not None:
            found.pager.close()

    def _get(self, config: PagerConfig) -> Pager:
        chosen, opener = config.chosen, self._more.get(config.kind)
        secrets = {} if opener is not None else {each: read_secret(each) for each in _sources_of(chosen)}
        with self._lock:
            found = self._open
            if found is not None and (found.config, found.secrets) == (chosen, secrets):
                return found.pager
            fresh = _OpenedPager(opener(chosen) if opener else open_pager(chosen, secrets), chosen, secrets)
            self._open = fresh
        if found is not None:
            found.pager.close()
        return fresh.pager


def open_pager(config: AnyPagerConfig, secrets: Mapping[str, SecretStr]) -> Pager:
    """The pager, with the keys by where the policy says they are. Raises InvalidInput."""
    match config:
        case PagerDutyEventsConfig():
            routing_key = secrets[config.routing_key]
            if len(routing_key.get_secret_value()) != ROUTING_KEY_LENGTH:
                problem = f"the routing key of {PAGERDUTY_NAME} at {config.routing_key} isn't 32 characters long"
                fix = "Copy the integration key of an Events API v2 integration of the service."
                raise InvalidInput("pager", problem, fix)
            return PagerDuty(routing_key, secrets[config.key] if config.key else None, config.region)
        case IncidentIoAlertsConfig():
            return IncidentIo(config.alert_source, secrets[config.token])
        case DemoPagerConfig():
            fix = "Use pagerduty or incident_io in the policy."
            raise InvalidInput("pager", "demo is only for the playground", fix)


def _sources_of(config: AnyPagerConfig) -> tuple[str, ...]:
    match config:
        case PagerDutyEventsConfig():
            return (config.routing_key, *([config.key] if config.key is not None else ()))
        case IncidentIoAlertsConfig():
            return (config.token,)
        case DemoPagerConfig():
            return ()
