"""Counts how often this process reads the certificates that it trusts.

Invariant: the shared context was made before, so whatever is counted is one more.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from core.tls import trusted_context

if TYPE_CHECKING:
    import pytest


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows with each reading from now on."""
    trusted_context()
    reads: list[str] = []
    load = ssl.SSLContext.load_default_certs

    def noted(context: ssl.SSLContext, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        reads.append(str(purpose))
        load(context, purpose)

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", noted)
    return reads
