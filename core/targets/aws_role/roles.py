"""The roles of the policy in one place: issue credentials of them, open them as targets, and deny what was revoked.

Invariant: the SDK of AWS is loaded when a role is first used, and not before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from core.access.credentials import AssumeIntent, AwsCredentials
from core.access.session import Session
from core.clock import Clock
from core.errors import InvalidInput
from core.policy.target_config import AnyTargetConfig, AwsRoleConfig
from core.stores.base import Stores
from core.targets.base import Target
from core.targets.call_pace import CallPace

if TYPE_CHECKING:
    from core.targets.aws_role.assume import RoleIssuer
    from core.targets.aws_role.clients import AwsClients
    from core.targets.aws_role.deny import RoleDenies

ClientsOpener: TypeAlias = Callable[[], "AwsClients"]
"""Makes the clients of AWS when a role is first used."""
EDIT_LIMIT: Final = timedelta(seconds=60)
"""How long the background work may take for one role."""


class AwsRoles:
    """A `CredentialIssuer`, a `RoleEditor`, and the opener of `aws-role` targets. Safe for threads.

    `find_config` says how a target is configured, or was when it left the policy; it raises KeyError. Without
    `open_clients`, boto3 makes them; without a `pace`, IAM is called at its own.
    """

    def __init__(
        self,
        stores: Stores,
        clock: Clock,
        find_config: Callable[[str], AnyTargetConfig],
        open_clients: ClientsOpener | None = None,
        pace: CallPace | None = None,
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._find_config = find_config
        self._open_clients = open_clients
        self._pace = pace
        self._lock = threading.Lock()
        self._opened: tuple[RoleIssuer, RoleDenies] | None = None

    def assume(self, target: str, config: AwsRoleConfig, intent: AssumeIntent) -> AwsCredentials:
        """Credentials of the target's role, as the intent says. Raises IssuerUnavailable."""
        return self._use()[0].assume(target, config, intent)

    def open(self, config: AnyTargetConfig) -> Target:
        """The target of this configuration. Raises InvalidInput."""
        from core.targets.aws_role.target import AwsRoleTarget  # noqa: PLC0415 - see the invariant

        if not isinstance(config, AwsRoleConfig):
            raise InvalidInput("target", f"{config.type} is no aws-role target", "This is a bug: please report it.")
        return AwsRoleTarget(config, self._stores.sessions, self._stores.access, self._use()[1], self._clock)

    def deny(self, session: Session, *, has_grant_ended: bool) -> str | None:
        """Deny what was issued for this session, or all of its grant. What went wrong, or None."""
        from core.targets.aws_calls import CallFailed, Trouble  # noqa: PLC0415 - see the invariant
        from core.targets.aws_role.deny_policy import deny_grant, deny_session  # noqa: PLC0415 - as above

        config = self._config_of(session.right.target)
        if config is None:
            return f"no version of the policy says how to reach {session.right.target}"
        policy = deny_grant(session.grant, session.source_identity) if has_grant_ended else deny_session(session)
        try:
            self._use()[1].put(config, session.right.resource, policy, EDIT_LIMIT)
        except CallFailed as failed:
            return None if failed.trouble is Trouble.NOT_FOUND else failed.problem
        return None

    def clean(
        self, target: str, role: str, dead: Sequence[Session], over: frozenset[str]
    ) -> tuple[frozenset[str], str | None]:
        """Remove what denies these sessions of a role, and what denies the grants that are `over`, by their ids.

        Returns the ids of the sessions of which nothing is left, and what went wrong.
        """
        from core.targets.aws_calls import CallFailed, Trouble  # noqa: PLC0415 - see the invariant
        from core.targets.aws_role.deny_policy import (  # noqa: PLC0415 - as above
            covers_until,
            is_dead,
            name_for_grant,
            name_for_session,
        )

        config = self._config_of(target)
        if config is None:
            return frozenset(), f"no version of the policy says how to reach {target}"
        denies, now = self._use()[1], self._clock.now()
        due = {name_for_session(each.id) for each in dead} | {name_for_grant(each) for each in over}
        try:
            names = denies.list_names(config, role, EDIT_LIMIT)
            unneeded = [each for each in names if each in due or is_dead(each, now)]
            for name in unneeded:
                denies.remove(config, role, name, EDIT_LIMIT)
        except CallFailed as failed:
            if failed.trouble is Trouble.NOT_FOUND:
                return frozenset(each.id for each in dead), None
            return frozenset(), failed.problem
        if any(covers_until(each) is not None for each in names if each not in unneeded):
            # What denies all denies these too, until all that it denies has died.
            return frozenset(), None
        return frozenset(each.id for each in dead), None

    def _config_of(self, target: str) -> AwsRoleConfig | None:
        try:
            config = self._find_config(target)
        except KeyError:
            return None
        return config if isinstance(config, AwsRoleConfig) else None

    def _use(self) -> tuple[RoleIssuer, RoleDenies]:
        from core.targets.aws_role.assume import RoleIssuer  # noqa: PLC0415 - see the invariant
        from core.targets.aws_role.clients import BotoClients  # noqa: PLC0415 - as above
        from core.targets.aws_role.deny import RoleDenies  # noqa: PLC0415 - as above

        with self._lock:
            if self._opened is None:
                clients = (self._open_clients or BotoClients)()
                self._opened = RoleIssuer(clients), RoleDenies(clients, self._clock, self._pace)
            return self._opened
