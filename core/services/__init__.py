"""One short function for each use case."""

from core.services.break_glass import BreakGlassService
from core.services.devices import DeviceService
from core.services.grants import GrantService
from core.services.pairing import PairingService
from core.services.requests import RequestService
from core.services.sessions import SessionService

__all__ = [
    "BreakGlassService", "DeviceService", "GrantService", "PairingService", "RequestService", "SessionService",
]  # fmt: skip
