"""Pairing this machine: waiting for the confirmation in Slack, then keeping the token.

Invariant: either the token is kept and configured, or the device is ended at the server again. Nothing that wasn't
confirmed is kept.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from bot.api.pairing_models import IssuedToken, StartedPairingInfo
from bot.api.problems import ProblemCode
from bot.terminal.client import ApiClient
from bot.terminal.configuration import ConfigurationFile, PairedServer, TokenPlace, files_failed
from bot.terminal.credentials_cache import credentials_folder, forget_device
from bot.terminal.errors import ExitCode, FilesFailed, ServerFailed, ServerRefused, TerminalError
from bot.terminal.pacing import Backoff, PassageOfTime
from bot.terminal.private_files import write_private
from bot.terminal.progress import Progress
from bot.terminal.token_store import TokenStore
from core.clock import Clock
from core.targets.words import one_line

_SLOWER_BY_SECONDS: Final = 5.0
"""RFC 8628: what slow_down adds to the interval."""
_MIN_INTERVAL_SECONDS: Final = 0.1
_MAX_NAME: Final = 80
_AGAIN: Final = "Nothing was paired. Run `countersign login` again."


class PairingFailed(TerminalError):
    """The pairing was not confirmed."""

    exit_code = ExitCode.REFUSED


class PairingWait:
    """Asks for the token of a pairing until it is confirmed, refused or over."""

    def __init__(self, client: ApiClient, progress: Progress, clock: Clock, timing: PassageOfTime) -> None:
        self._client = client
        self._progress = progress
        self._clock = clock
        self._timing = timing

    def wait(self, started: StartedPairingInfo) -> IssuedToken:
        """The token. Raises PairingFailed, ServerFailed or ServerRefused."""
        ends_at = self._timing.seconds() + started.expires_in
        until = self._clock.now() + timedelta(seconds=started.expires_in)
        interval, backoff = max(float(started.interval), _MIN_INTERVAL_SECONDS), Backoff(self._timing)
        while (left := ends_at - self._timing.seconds()) > 0:
            self._progress.wait_for("Waiting for you to confirm in Slack", until)
            self._timing.pause(min(interval, left))
            try:
                return self._client.exchange_token(started.device_code)
            except ServerRefused as error:
                interval += self._slower_by(error)
                backoff.reset()
            except ServerFailed as error:
                self._progress.wait_for(str(error), until)
                backoff.pause(error.retry_after, ends_at - self._timing.seconds())
        raise PairingFailed(f"The code has expired. {_AGAIN}")

    def _slower_by(self, error: ServerRefused) -> float:
        match error.code:
            case ProblemCode.AUTHORIZATION_PENDING:
                return 0.0
            case ProblemCode.SLOW_DOWN | ProblemCode.RATE_LIMITED:
                return max(_SLOWER_BY_SECONDS, error.retry_after or 0.0)
            case ProblemCode.EXPIRED_TOKEN:
                raise PairingFailed(f"The code has expired. {_AGAIN}")
            case ProblemCode.ACCESS_DENIED:
                raise PairingFailed(f"The pairing was refused in Slack. {_AGAIN}")
        raise error


class PairingKeeper:
    """Keeps what a pairing gave."""

    def __init__(self, server: str, file: ConfigurationFile, tokens: TokenStore) -> None:
        self._server = server
        self._file = file
        self._tokens = tokens

    def check_files(self) -> None:
        """Raises FilesFailed if the configuration can't be read or written: before anybody confirms anything."""
        self._file.write(self._file.read())

    def keep(self, issued: IssuedToken) -> TokenPlace:
        """Keep the token, and end the pairing that it replaces. Raises FilesFailed; the device is then ended."""
        try:
            return self._keep(issued)
        except FilesFailed as error:
            raise FilesFailed(str(error).rstrip("."), end_again(self._server, issued)) from error
        except KeyboardInterrupt:
            end_again(self._server, issued)
            raise

    def forget(self) -> None:
        """Forget the pairing with the server, if there is one. Raises FilesFailed."""
        known = self._file.read()
        if (paired := known.paired.get(self._server)) is not None:
            # First the token: without it, the rest of a half-done removal is harmless.
            self._tokens.remove(self._server, paired.device_id, paired.token_in)
            self._forget_credentials(paired)
            self._file.write(known.without_pairing(self._server))

    def _keep(self, issued: IssuedToken) -> TokenPlace:
        known, device = self._file.read(), issued.device
        place = self._tokens.keep(self._server, device.id, issued.token)
        paired = PairedServer(
            device_id=device.id,
            device_name=device.name,
            service=device.service,
            expires_at=device.expires_at,
            token_in=place,
        )
        try:
            # From here on the new token is the one that is used.
            self._file.write(known.with_pairing(self._server, paired))
        except FilesFailed:
            with suppress(FilesFailed):
                self._tokens.remove(self._server, device.id, place)
            raise
        if (replaced := known.paired.get(self._server)) is not None and replaced.device_id != device.id:
            self._end_replaced(replaced)
        return place

    def _forget_credentials(self, paired: PairedServer) -> None:
        with suppress(OSError):
            forget_device(credentials_folder(os.environ), self._server, paired.device_id)

    def _end_replaced(self, replaced: PairedServer) -> None:
        self._forget_credentials(replaced)
        # It expires anyway; this only tidies up.
        with suppress(TerminalError):
            token = self._tokens.read(self._server, replaced.device_id, replaced.token_in)
            self._tokens.remove(self._server, replaced.device_id, replaced.token_in)
            if token is not None:
                ApiClient(self._server, token).revoke_device()


def keep_in_file(server: str, issued: IssuedToken, path: Path) -> None:
    """Write the token to a file of its own, for a pipeline. Raises FilesFailed; the device is then ended."""
    try:
        write_private(path, f"{issued.token.get_secret_value()}\n".encode())
    except OSError as error:
        raise FilesFailed(str(files_failed(error, path, "written")), end_again(server, issued)) from error


def end_again(server: str, issued: IssuedToken) -> str:
    """End a device whose token couldn't be kept, and say so."""
    try:
        ApiClient(server, issued.token).revoke_device()
    except TerminalError:
        return f"Nothing was kept. End the device {one_line(issued.device.name)!r} in Slack, in Countersign's Home."
    return "Nothing was kept, and the new pairing was ended at the server again."


def host_name() -> str:
    """This machine's name, as the person who confirms sees it."""
    return one_line(socket.gethostname(), _MAX_NAME) or "unknown"
