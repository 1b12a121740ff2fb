"""Ending a device with all that hangs on it: its credentials, and, when it was a stranger's, what it asked for.

Invariant: the device is ended first, so that nothing new comes from it meanwhile. What fails of the rest stops nothing
else, and is named; doing it again does what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from core.access.device import Device, DeviceId
from core.access.session import Session
from core.actor import Actor, DeciderId
from core.errors import CountersignError, InvalidStateTransition, MalformedRecord, StoreError
from core.request import Request, RequestId, RequestStatus
from core.services.devices import DeviceService
from core.services.requests import RequestService
from core.services.sessions import SessionService
from core.stores.base import Stores
from core.stores.record_store import Page, iterate_pages

DEVICE_ENDED: Final = "the device was ended"
NOT_PAIRED_BY_THEM: Final = "they didn't pair this device"


@dataclass(frozen=True, slots=True)
class EndedDevice:
    """What ending a device did. `open_sources` are the decisions on its requests that may still give access.

    `failed` says what could not be ended, for people.
    """

    device: Device
    sessions: tuple[Session, ...] = ()
    cancelled: tuple[Request, ...] = ()
    open_sources: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class DeviceEnding:
    """Ends devices. Safe for threads, and for any number of processes."""

    def __init__(
        self, stores: Stores, devices: DeviceService, sessions: SessionService, requests: RequestService
    ) -> None:
        self._stores = stores
        self._devices = devices
        self._sessions = sessions
        self._requests = requests

    def end(self, device_id: DeviceId, by: Actor) -> EndedDevice:
        """End an own device, and its credentials. Idempotent. Raises like DeviceService.revoke."""
        device, failed = self._devices.revoke(device_id, by), list[str]()
        sessions = self._end_sessions(device, by, DEVICE_ENDED, failed)
        return EndedDevice(device, sessions, failed=tuple(failed))

    def disown(self, device_id: DeviceId, by: Actor) -> EndedDevice:
        """The same for a device that its person never paired: also cancel what it asked for, and say what is open."""
        device, failed = self._devices.revoke(device_id, by, is_disowned=True), list[str]()
        sessions = self._end_sessions(device, by, NOT_PAIRED_BY_THEM, failed)
        asked = self._asked(device, failed)
        cancelled = tuple(self._cancel(asked, by, failed))
        granted = (each for each in asked if each.status is RequestStatus.APPROVED)
        return EndedDevice(device, sessions, cancelled, tuple(each.chain for each in granted), tuple(failed))

    def _end_sessions(self, device: Device, by: Actor, reason: str, failed: list[str]) -> tuple[Session, ...]:
        try:
            return self._sessions.end_device(device.owner, device.id, DeciderId(by.id), reason)
        except CountersignError as error:
            failed.append(f"its credentials: {_problem(error)}")
            return ()

    def _asked(self, device: Device, failed: list[str]) -> list[Request]:
        """What was asked for on it since it was paired. What an older version stored knows its device by name only."""

        def read(cursor: str | None) -> Page[Request]:
            return self._stores.requests.list_by_requester(device.owner, cursor=cursor, since=device.created_at)

        try:
            found = [each for page in iterate_pages(read) for each in page.items]
        except StoreError as error:
            failed.append(f"its requests: {_problem(error)}")
            return []
        return [each for each in found if _is_from(each, device)]

    def _cancel(self, asked: list[Request], by: Actor, failed: list[str]) -> Iterator[Request]:
        for request in asked:
            if request.status is not RequestStatus.PENDING:
                continue
            try:
                yield self._requests.cancel(RequestId(request.id), by)
            except InvalidStateTransition:
                # It was decided meanwhile: what it gave shows in the lists.
                continue
            except CountersignError as error:
                failed.append(f"the request for {request.profile}: {_problem(error)}")


def _is_from(request: Request, device: Device) -> bool:
    if request.device_id is not None:
        return request.device_id == device.id
    return request.device == device.name and request.service == device.service


def _problem(error: CountersignError) -> str:
    return "its record was changed in the store" if isinstance(error, MalformedRecord) else str(error)
