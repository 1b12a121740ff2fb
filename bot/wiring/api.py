"""Builds the HTTP API on the services of an instance, for `serve` and for the broker.

Invariant: building starts nothing. The API decides by the same services, policy and directory as Slack, and adds no
right; the broker has the two calls that it needs and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from starlette.routing import BaseRoute

from bot.api.access_calls import AccessCalls, CredentialCalls
from bot.api.calls import Handler
from bot.api.device_calls import DeviceCalls, DeviceEndCalls, PairingCalls
from bot.api.endpoints import ENDPOINTS
from bot.api.infos import FindName
from bot.api.ports import Credentials, Devices, EndsDevices, Pairings
from bot.api.request_calls import RequestCalls
from bot.api.server import Api, ApiOptions, ApiServer
from bot.interactions.access_queries import AccessQueries
from bot.lifecycle import Component
from bot.observability.api_metrics import ApiMetrics
from bot.observability.metrics import Metrics
from bot.observability.tracing import NO_TRACER, Tracer
from bot.observability.watcher import Watcher
from bot.settings.addresses import Address
from bot.settings.api import ApiSettings
from core.clock import Clock
from core.directory import Directory
from core.policy import PolicySource
from core.services import GrantService, RequestService
from core.stores.base import Stores

PAIR_COMMAND = "/access pair"


@dataclass(frozen=True, slots=True)
class ApiNeeds:
    """What the API decides with. `nudge` is called after a change, and never waits."""

    stores: Stores
    policy: PolicySource
    clock: Clock
    directory: Directory
    requests: RequestService
    grants: GrantService
    devices: Devices
    pairings: Pairings
    credentials: Credentials
    ending: EndsDevices
    find_name: FindName
    nudge: Callable[[], None]
    tracer: Tracer = NO_TRACER


def open_api_metrics(metrics: Metrics) -> ApiMetrics:
    """The API's metrics, beside the others of the process."""
    return ApiMetrics(metrics.registry, (each.name for each in ENDPOINTS))


def build_api(needs: ApiNeeds, options: ApiOptions, metrics: ApiMetrics) -> Api:
    """The API of `serve`, with every endpoint."""
    requests = RequestCalls(
        needs.stores,
        needs.policy,
        needs.clock,
        needs.directory,
        needs.requests,
        needs.grants,
        needs.find_name,
    )
    queries = AccessQueries(needs.stores, needs.grants, needs.policy, needs.clock, needs.directory)
    handlers: dict[str, Handler] = {
        **requests.handlers(),
        **AccessCalls(queries, needs.grants, needs.clock, needs.find_name).handlers(),
        **PairingCalls(needs.pairings, needs.clock, PAIR_COMMAND).handlers(),
        **DeviceEndCalls(needs.ending, needs.clock).handlers(),
        **_common(needs.devices, needs.clock, needs.find_name, needs.credentials, options),
    }
    return Api(
        ENDPOINTS, handlers, needs.devices.authenticate, requests.versions, needs.clock, metrics, options,
        version("countersign"), nudge=needs.nudge, tracer=needs.tracer,
    )  # fmt: skip


def build_broker(
    devices: Devices,
    credentials: Credentials,
    clock: Clock,
    options: ApiOptions,
    metrics: ApiMetrics,
    tracer: Tracer = NO_TRACER,
) -> Api:
    """The API of `countersign broker`: who asks, and credentials."""
    endpoints = tuple(each for each in ENDPOINTS if each.is_on_broker)
    handlers = _common(devices, clock, lambda _: None, credentials, options)
    own = {each.name: handlers[each.name] for each in endpoints if each.name in handlers}
    return Api(
        endpoints, own, devices.authenticate, lambda _: {}, clock, metrics, options, version("countersign"),
        tracer=tracer,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class InstanceApi:
    """The API of an instance, and how it is served: by a server of its own, beside Slack's door, or nowhere."""

    api: Api | None = None
    server: ApiServer | None = None

    def routes(self) -> Sequence[BaseRoute]:
        """The routes that Slack's server serves as well."""
        return self.api.routes() if self.api is not None and self.server is None else ()

    def around(self, transport: Component) -> tuple[Component, ...]:
        """Slack's transport, with what is started before and after it, and stopped in reverse."""
        if self.api is None:
            return (transport,)
        if self.server is not None:
            return (Component("the API", self.server.start, self.server.stop), transport)
        # Slack's server would wait for the long polls that it serves.
        waits = Component("the API's long polls", stop=self.api.end_waits)
        return (Component("the API", stop=self.api.close), transport, waits)


def serve_api(
    needs: ApiNeeds, settings: ApiSettings | None, slack_address: Address | None, metrics: ApiMetrics, watcher: Watcher
) -> InstanceApi:
    """The API as the settings say. Raises InvalidInput."""
    if settings is None or settings.api_listen is None:
        return InstanceApi()
    options = ApiOptions(settings.require_api_url(), settings.credentials_url, settings.api_proxies)
    api = build_api(needs, options, metrics)
    watcher.add_hearer(api.committed)
    if settings.api_listen == slack_address:
        return InstanceApi(api, None)
    return InstanceApi(api, ApiServer(api, settings.api_listen, behind_proxy=bool(settings.api_proxies)))


def _common(
    devices: Devices, clock: Clock, find_name: FindName, credentials: Credentials, options: ApiOptions
) -> dict[str, Handler]:
    about_devices = DeviceCalls(devices, clock, find_name, version("countersign"), options.credentials_url)
    return {**about_devices.handlers(), **CredentialCalls(credentials).handlers()}
