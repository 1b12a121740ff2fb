"""The credentials of one profile: from the cache while they are fresh, else from the server that gives them.

Invariant: however many processes ask at once, one asks the server, and the others take its answer. When the server says
that there is no access, or that this device was ended, what was cached is removed; when it can't be asked, cached
credentials serve as long as they live and the access window is open. No warning and no error has a secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import Final

from bot.api.models import CredentialsInfo
from bot.api.problems import ProblemCode
from bot.settings.terminal import read_server, read_terminal_settings
from bot.terminal.client import ApiClient
from bot.terminal.connecting import FoundServer
from bot.terminal.credentials_cache import (
    CachedCredentials,
    CacheKey,
    CredentialsCache,
    credentials_folder,
    forget_device,
)
from bot.terminal.errors import NotPaired, ServerFailed, ServerRefused, TerminalError
from bot.terminal.local_times import local_time
from bot.terminal.paired_device import device_of_token
from core.clock import Clock, SystemClock
from core.errors import InvalidInput

_NO_ACCESS: Final = frozenset({ProblemCode.ENDED, ProblemCode.NOT_ALLOWED, ProblemCode.NOT_FOUND})


class AccessOver(TerminalError):
    """The access window of the profile has ended. Asking for access again opens a new one."""

    def __init__(self, profile: str, ended_at: datetime, now: datetime, more: str = "") -> None:
        again = f'countersign request {profile} 1h "why you need it"'
        super().__init__(f"Your access to {profile} ended at {local_time(ended_at, now)}{more}. Ask again: {again}")
        self.ended_at = ended_at


class CredentialSource:
    """The credentials of one profile for the device that this machine is paired as. Use it from one thread."""

    def __init__(
        self,
        found: FoundServer,
        profile: str,
        warn: Callable[[str], None],
        clock: Clock | None = None,
        environ: Mapping[str, str] = os.environ,
        target: str | None = None,
    ) -> None:
        self.profile = profile
        self._target = target
        self._found = found
        self._warn = warn
        self._clock = clock or SystemClock()
        self._environ = environ
        device = found.paired.device_id if found.paired else device_of_token(found.token.get_secret_value())
        self._key = CacheKey(found.server, device, profile, target or "")
        self._clients: dict[str, ApiClient] = {}
        self._cache = self._open_cache()

    def get(self, *, is_renewal: bool = False) -> CachedCredentials:
        """Credentials that allow something now. With `is_renewal`, the server is asked whatever is cached.

        Raises AccessOver, NotPaired, ServerRefused or ServerFailed.
        """
        asked_at = self._clock.now()
        if not is_renewal and (cached := self._read()) is not None and cached.is_fresh(asked_at):
            return cached
        with self._cache.locked() if self._cache is not None else nullcontext(False):  # noqa: FBT003 - as locked yields it
            cached, now = self._read(), self._clock.now()
            # What another process got while this one waited is as new as what this one would get.
            if cached is not None and cached.is_alive(now) and cached.issued_at >= asked_at:
                return cached
            if cached is not None and cached.is_fresh(now) and not is_renewal:
                return cached
            return self._ask(cached)

    def _ask(self, cached: CachedCredentials | None) -> CachedCredentials:
        now = self._clock.now()
        is_alive = cached is not None and cached.is_alive(now)
        try:
            url = cached.credentials_url if cached is not None and is_alive else self._learn_url()
            issued = _cacheable(self._client(url).credentials(self.profile, self._target), self._clock.now(), url)
        except NotPaired:
            self._forget(is_device=True)
            raise
        except ServerRefused as refused:
            if refused.code in _NO_ACCESS:
                self._forget(is_device=False)
            elif cached is not None and is_alive:
                return cached
            if refused.code == ProblemCode.ENDED and (ended_at := refused.problem.ends_at) is not None:
                raise AccessOver(self.profile, ended_at, now) from refused
            raise
        except ServerFailed as failed:
            if cached is not None and is_alive:
                return cached
            if cached is not None and cached.access_ends_at <= now:
                more = f", and new access can't be looked up ({failed.problem})"
                raise AccessOver(self.profile, cached.access_ends_at, now, more) from failed
            raise
        self._write(issued)
        return issued

    def _learn_url(self) -> str:
        """Where credentials are given: the server says it."""
        url = self._client(self._found.server).me().credentials_url
        try:
            return read_server(url, "credentials_url", read_terminal_settings().plain_http_hosts)
        except InvalidInput as invalid:
            problem = f"{self._found.server} names an address for credentials that can't be used: {invalid.problem}"
            raise ServerFailed(problem, "Tell the people who run the server.") from invalid

    def _client(self, server: str) -> ApiClient:
        if server not in self._clients:
            self._clients[server] = ApiClient(server, self._found.token)
        return self._clients[server]

    # The cache. Whatever is wrong with it, there are credentials nonetheless.

    def _open_cache(self) -> CredentialsCache | None:
        try:
            return CredentialsCache.of(self._environ, self._key)
        except OSError as error:
            self._warn_of(error)
            return None

    def _read(self) -> CachedCredentials | None:
        try:
            return self._cache.read() if self._cache is not None else None
        except OSError as error:
            self._warn_of(error)
            # So that it's said once.
            self._cache = None
            return None

    def _write(self, issued: CachedCredentials) -> None:
        try:
            if self._cache is not None:
                self._cache.write(issued)
        except OSError as error:
            self._warn_of(error)

    def _forget(self, *, is_device: bool) -> None:
        with suppress(OSError):
            if is_device:
                forget_device(credentials_folder(self._environ), self._key.server, self._key.device)
            elif self._cache is not None:
                self._cache.forget()

    def _warn_of(self, error: OSError) -> None:
        problem = error.strerror.lower() if error.strerror else str(error)
        self._warn(f"credentials aren't cached, so every call asks the server: {problem}")


def _cacheable(info: CredentialsInfo, now: datetime, url: str) -> CachedCredentials:
    fields = {
        "AccessKeyId": info.access_key_id,
        "SecretAccessKey": info.secret_access_key.get_secret_value(),
        "SessionToken": info.session_token.get_secret_value(),
        # Whole seconds, rounded down: every SDK reads them.
        "Expiration": f"{info.expiration:%Y-%m-%dT%H:%M:%SZ}",
    }
    try:
        return CachedCredentials(fields, info.access_ends_at, now, url)
    except ValueError as error:
        raise ServerFailed(f"{url} gave credentials that can't be used", "Try again.") from error
