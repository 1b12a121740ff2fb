"""One short function for each use case."""

from core.services.break_glass import BreakGlassService
from core.services.grants import GrantService
from core.services.requests import RequestService
from core.services.sessions import SessionService

__all__ = ["BreakGlassService", "GrantService", "RequestService", "SessionService"]
