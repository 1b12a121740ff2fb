"""What encrypted calls trust: read once, and checked all the same."""

from __future__ import annotations

import ssl
from urllib.error import URLError
from urllib.request import build_opener

import pytest

from core.targets.timed_http import TimedHttps
from core.tls import trusted_context
from tests.harness.certificate_reads import count_reads


def test_certificates_and_names_are_checked() -> None:
    context = trusted_context()

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.get_ca_certs() == ssl.create_default_context().get_ca_certs()


def test_timed_calls_read_no_certificates_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = count_reads(monkeypatch)
    for _ in range(2):
        with pytest.raises(URLError):
            build_opener(TimedHttps(1.0)).open("https://127.0.0.1:1/")

    assert reads == []
