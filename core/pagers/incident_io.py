"""incident.io as a pager: alert events for one HTTP alert source.

Invariant: an alert is known by its deduplication key, the id of the record. The token is only in a header. Who
acknowledged isn't read back: incident.io says that of its escalations, not of an alert.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from pydantic import SecretStr

from core.pagers.base import PageAcknowledgement, PagerAlert
from core.pagers.calls import CALL_SECONDS, PagerCalls, PagerFixes
from core.targets.words import one_line

NAME: Final = "incident.io"
HOST: Final = "https://api.incident.io"
MAX_TITLE: Final = 250
_MAX_DETAIL: Final = 1500
_FIXES: Final = PagerFixes(
    "Check the token at `pager: incident_io: token` in the policy: it is the alert source's own, not an API key.",
    "Check `pager: incident_io: alert_source` in the policy: it is the last part of the alert source's URL.",
)


class IncidentIo:
    """Pages through one alert source. Safe for threads. `url` is for tests."""

    def __init__(
        self, alert_source: str, token: SecretStr, *, url: str | None = None, call_seconds: float = CALL_SECONDS
    ) -> None:
        self._token = token
        self._address = f"{url or HOST}/v2/alert_events/http/{alert_source}"
        self._calls = PagerCalls(NAME, _FIXES, token, call_seconds=call_seconds)

    @property
    def name(self) -> str:
        """incident.io."""
        return NAME

    @property
    def reads_back(self) -> bool:
        """Never."""
        return False

    def trigger(self, page: PagerAlert) -> None:
        """Fire the alert, or update the one with this key. Raises DeliveryFailed."""
        told = {"severity": page.severity.value, "kind": page.kind, "profile": page.profile, **page.details}
        metadata = {name: one_line(text, _MAX_DETAIL) for name, text in told.items() if text}
        self._send(page.key, "firing", one_line(page.summary, MAX_TITLE), page.link, metadata)

    def resolve(self, key: str) -> None:
        """Resolve the alert with this key. Raises DeliveryFailed."""
        # A title is required of every event.
        self._send(key, "resolved", "Nothing is left to do", None, {})

    def find_acknowledged(self, keys: Collection[str]) -> Mapping[str, PageAcknowledgement]:
        """Nothing: it isn't read back."""
        del keys
        return {}

    def check(self) -> str:
        """incident.io has no call that looks without adding an alert."""
        return "incident.io can't be asked without an alert: run `countersign pager test` to send one and resolve it"

    def close(self) -> None:
        """Nothing is kept open."""

    def _send(self, key: str, status: str, title: str, link: str | None, metadata: Mapping[str, str]) -> None:
        event = {
            "title": title,
            "status": status,
            "deduplication_key": key,
            "metadata": dict(metadata),
            **({"source_url": link} if link is not None else {}),
        }
        headers = {"authorization": f"Bearer {self._token.get_secret_value()}"}
        self._calls.post(self._address, event, headers)
