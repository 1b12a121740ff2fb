"""The addresses that this process listens on.

Invariant: reading an address opens nothing; one that can't be used raises InvalidInput that names its variable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationInfo

from core.errors import InvalidInput

_WRITTEN = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on."""

    host: str
    port: int
    is_default: bool = field(default=False, compare=False)


DEFAULT_METRICS: Final = Address("127.0.0.1", 9464, is_default=True)
"""The port that exporters of OpenTelemetry use; 9090 is often Prometheus itself."""
_OFF: Final = "off"


def read_address(value: object, setting: ValidationInfo) -> Address | None:
    """The address that a setting holds, written host:port. Raises InvalidInput."""
    if value is None or isinstance(value, Address):
        return value
    name = f"COUNTERSIGN_{(setting.field_name or '').upper()}"
    found = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 0 < int(found["port"]) <= _MAX_PORT:
        raise InvalidInput(name, f"{str(value)!r:.60} is not a host:port address", "Write it like 0.0.0.0:3000.")
    return Address(found["host"].strip("[]"), int(found["port"]))


def read_metrics(value: object, setting: ValidationInfo) -> Address | str | None:
    """Like `read_address`, but the setting may also be off. Raises InvalidInput."""
    return _OFF if value == _OFF else read_address(value, setting)
