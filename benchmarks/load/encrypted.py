"""`python -m benchmarks.load.encrypted`: what a call of Slack costs over HTTPS, which the local Slack doesn't speak.

Invariant: the client is the product's own, and trusts this machine's certificates as always, with one more. Processor
time is that of the calling thread alone; the server is another process.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from benchmarks.load.served import scratch_folder
from bot.slack.client import open_client
from core.tls import trusted_context
from tests.harness.served_bot import free_port

_ANSWER: Final = b'{"ok": true, "channel": "C0ACCESS1", "ts": "1750000000.000100"}'


class _Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Answer as Slack does."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(_ANSWER)))
        self.end_headers()
        self.wfile.write(_ANSWER)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@click.command()
@click.option("--calls", default=200, show_default=True, help="How many of each kind.")
def main(*, calls: int) -> None:
    """Post messages over HTTP and over HTTPS, and print what each took."""
    with scratch_folder() as folder:
        certificate = _write_certificate(folder)
        known = Path(ssl.get_default_verify_paths().cafile or os.devnull).read_bytes()
        (folder / "trusted.pem").write_bytes(known + certificate.read_bytes())
        os.environ["SSL_CERT_FILE"] = str(folder / "trusted.pem")
        began = time.thread_time()
        trusted_context()
        print(f"reading the certificates, once: {(time.thread_time() - began) * 1000:.1f} ms of processor time")
        for scheme in ("http", "https"):
            with _serving(certificate if scheme == "https" else None) as port:
                print(f"{scheme}: {_measure(f'{scheme}://localhost:{port}/api/', calls):.2f} ms a call")


def _measure(url: str, calls: int) -> float:
    client = open_client(SecretStr("xoxb-1-a"), url, 10)
    client.chat_postMessage(channel="C0ACCESS1", text="The first one is not counted")
    began = time.thread_time()
    for _ in range(calls):
        client.chat_postMessage(channel="C0ACCESS1", text="Access for an hour")
    return (time.thread_time() - began) / calls * 1000


@contextmanager
def _serving(certificate: Path | None) -> Iterator[int]:
    port, spawning = free_port(), multiprocessing.get_context("spawn")
    is_ready = spawning.Event()
    server = spawning.Process(target=_serve, args=(port, certificate, is_ready), daemon=True)
    server.start()
    is_ready.wait(30)
    try:
        yield port
    finally:
        server.terminate()
        server.join()


def _serve(port: int, certificate: Path | None, is_ready: multiprocessing.synchronize.Event) -> None:
    with ThreadingHTTPServer(("127.0.0.1", port), _Answering) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        is_ready.set()
        server.serve_forever()


def _write_certificate(folder: Path) -> Path:
    key = rsa.generate_private_key(65537, 2048)
    name, day = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), timedelta(days=1)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    written = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + written)
    return path


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.load.encrypted")
