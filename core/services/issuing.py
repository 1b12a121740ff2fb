"""Issue credentials for access that is open: judge, store the intent, ask AWS, note what came, and only then hand on.

Invariant: the end of a grant finds every session that it made, because the session is stored first, and only while the
grant is still the version that was judged. What was revoked before its credentials were noted is never handed on, and
neither is what a device asked for that has ended meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, TypeVar

from pydantic import JsonValue, SecretStr

from core.access.credentials import (
    ISSUE_MARGIN,
    AccessEnded,
    AssumeIntent,
    AwsCredentials,
    IssuerUnavailable,
    NothingOpen,
)
from core.access.device import DeviceEnded, DeviceId, DeviceNotFound, DeviceStatus, DeviceUser, TokenRefused
from core.access.grant import Grant, GrantId, GrantStatus
from core.access.session import Session, SessionExists, SessionId, SessionStatus, session_id_for, source_identity_for
from core.actor import DeciderId, ProfileName, check_profile_name
from core.audit.trail import REFUSED, AuditAction, EntryDraft
from core.clock import Clock, format_time
from core.directory import Directory
from core.duration import format_duration
from core.errors import ConcurrentModification, InvalidInput, InvalidStateTransition, NotAllowed
from core.policy import Policy, PolicySource
from core.policy.target_config import AwsRoleConfig
from core.request import MAX_DURATION
from core.request_bounds import OLDEST_LIVE
from core.services.observer import Observer
from core.services.pacing import Pacing
from core.services.use_case import AuditedAttempt, audit_refusals, reading_again_if_decided, retry_on_conflict
from core.stores.base import Stores
from core.stores.record_store import iterate_newest_first
from core.stores.sessions import IssueState
from core.targets.aws_names import ASSUME, session_name

T = TypeVar("T")
SINCE: Final = OLDEST_LIVE + MAX_DURATION
"""How old a grant may be that is still looked at: no older one can have time left, or is of interest."""
_OPENING: Final = "Try again in a moment."
_REQUEST: Final = 'Request it: countersign request {} 1h "why you need it" --wait'
_NEVER_HAD_A_ROLE: Final = "{} gives no AWS credentials: none of its targets is a role"
_ELSEWHERE: Final = "Use its access where your team does, or name another profile."
_NO_ROLE: Final = "The policy doesn't have its role any more. Ask a policy owner."
_TOO_LONG: Final = "the credentials that AWS issued would live longer than Countersign recorded"
_CLOCKS: Final = "Check the clock where Countersign runs."
_REVOKED: Final = "this device's session for this access was revoked{by}; pair the device again and request the access"


class CredentialIssuer(Protocol):
    """Asks AWS for credentials. Safe for threads."""

    def assume(self, target: str, config: AwsRoleConfig, intent: AssumeIntent) -> AwsCredentials:
        """Credentials of the target's role, as the intent says. Raises IssuerUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class IssuedCredentials:
    """What a device gets. They live until `expiration`, and give rights until `access_ends_at`."""

    access_key_id: str
    secret_access_key: SecretStr = field(repr=False)
    session_token: SecretStr = field(repr=False)
    expiration: datetime
    access_ends_at: datetime
    session: Session


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who wants credentials for what, by which version of the policy."""

    user: DeviceUser
    profile: ProfileName
    target: str | None
    policy: Policy


class Issuing:
    """Issues credentials. Safe for threads, and for any number of processes."""

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        issuer: CredentialIssuer,
        observer: Observer,
        directory: Directory,
        pacing: Pacing,
    ) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._issuer = issuer
        self._observer = observer
        self._directory = directory
        self._pacing = pacing

    def issue(self, user: DeviceUser, profile: str, target: str | None) -> IssuedCredentials:
        """See SessionService.issue."""
        asked = _Asked(user, check_profile_name(profile), target, self._policy.current())
        attempt = AuditedAttempt(AuditAction.CREDENTIALS_REFUSED, user.actor, profile=asked.profile)
        with audit_refusals(attempt, self._stores.refusals, self._observer):
            intended, config = self._retry(lambda: self._intend(asked, attempt))
            attempt.record = intended
            credentials = self._ask(user, intended, config)
            self._require_device(user)
            session = self._note(intended, credentials)
            self._observer.committed(session, AuditAction.CREDENTIALS_ISSUED)
        return IssuedCredentials(
            credentials.access_key_id, credentials.secret_access_key, credentials.session_token,
            credentials.expiration, session.expires_at, session,
        )  # fmt: skip

    def _retry(self, use_case: Callable[[], T]) -> T:
        return retry_on_conflict(use_case, self._observer, self._pacing)

    def _intend(self, asked: _Asked, attempt: AuditedAttempt) -> tuple[Session, AwsRoleConfig]:
        """Store that credentials are about to be issued."""
        grants = self._find_grants(asked)
        for listed in _choose(asked, grants, self._clock.now()):
            session_id = session_id_for(listed.id, asked.user.device.id)
            state = self._stores.sessions.get_for_issue(SessionId(session_id), GrantId(listed.id))
            attempt.record = state.grant
            if state.grant.is_wanted(self._clock.now()) and state.grant.status is GrantStatus.ACTIVE:
                return self._store(asked, state)
        # The list may lag behind the grants: each is read anew.
        raise _explain(asked, [self._stores.access.get(GrantId(each.id)) for each in grants], self._clock.now())

    def _find_grants(self, asked: _Asked) -> list[Grant]:
        """The person's own grants for the profile, for the device's service or, like the device, for none."""
        person, now = asked.user.actor.id, self._clock.now()
        found = iterate_newest_first(self._stores.access, "grantee", person, now - SINCE)
        return [
            each
            for each in found
            if each.profile == asked.profile and each.grantee == person and each.service == asked.user.service
        ]

    def _store(self, asked: _Asked, state: IssueState) -> tuple[Session, AwsRoleConfig]:
        device, grant, now = asked.user.device, state.grant, self._clock.now()
        grant.require_understood()
        if state.notes.changed_at(asked.user.actor.id) is not None:
            # They may have left since the device was recognised.
            self._directory.person(asked.user.actor.id, state.notes)
        if (grant.grantee, grant.service, grant.profile) != (asked.user.actor.id, asked.user.service, asked.profile):
            raise NotAllowed("get credentials", ("this access is somebody else's",))
        config = _role_of(asked.policy, grant)
        if config is None:
            raise NothingOpen(asked.profile, _NO_ROLE)
        lease = config.lease + ISSUE_MARGIN
        called = session_name(_person_name(asked.user), source_identity_for(grant.id, grant.person))
        try:
            if state.session is None:
                made = Session.make(
                    grant, device=device.id, device_name=device.name, lease=lease, now=now, service=device.service,
                    session_name=called,
                )  # fmt: skip
                return self._stores.sessions.create(made, _asked_entry(asked, made, config), grant=grant), config
            if state.session.status is not SessionStatus.ACTIVE:
                raise _refuse_revoked(state.session)
            again = state.session.touch(grant, lease, now, called)
            return self._stores.sessions.touch(again, _asked_entry(asked, again, config), grant=grant), config
        except (SessionExists, InvalidStateTransition) as changed:
            # Another process was quicker, or its time has just passed: all is read again.
            raise ConcurrentModification(grant.chain) from changed

    def _ask(self, user: DeviceUser, session: Session, config: AwsRoleConfig) -> AwsCredentials:
        intent = AssumeIntent(
            source_identity=session.source_identity,
            person_name=_person_name(user),
            profile=session.profile,
            request=session.source,
            rights_end_at=session.expires_at,
        )
        try:
            issued = self._issuer.assume(session.right.target, config, intent)
            return _checked(issued, session.last_used_at + config.lease + ISSUE_MARGIN)
        except IssuerUnavailable as error:
            self._stores.refusals.note(
                EntryDraft(
                    event=AuditAction.CREDENTIALS_REFUSED,
                    actor=DeciderId(user.actor.id),
                    outcome=REFUSED,
                    subject=session.person,
                    profile=session.profile,
                    record=session.chain,
                    details={"why": error.problem},
                )
            )
            self._observer.refused(AuditAction.CREDENTIALS_REFUSED)
            raise

    def _require_device(self, user: DeviceUser) -> None:
        """Raises DeviceEnded, TokenRefused when the device was ended since it was recognised.

        Its session is stored by now: who ends the device later finds it.
        """
        try:
            device, _ = self._stores.devices.get_with_notes(DeviceId(user.device.id))
        except DeviceNotFound:
            raise TokenRefused from None
        status = device.status_at(self._clock.now(), self._policy.current().device_max_age)
        if status is not DeviceStatus.ACTIVE:
            raise DeviceEnded(device, status)

    def _note(self, intended: Session, credentials: AwsCredentials) -> Session:
        """Note what came. Raises AccessEnded when the session was ended since the intent: nothing is handed on then."""
        read: list[Session] = [intended]

        def use_case() -> Session:
            session = read.pop() if read else self._stores.sessions.get(SessionId(intended.id))
            if session.status is not SessionStatus.ACTIVE:
                raise AccessEnded(session.profile, session.revoked_at or session.expires_at)
            noted = session.note_key(credentials.access_key_id)
            details = noted.issue_details | {"expiration": format_time(credentials.expiration)}
            entry = EntryDraft.of(noted, AuditAction.CREDENTIALS_ISSUED, session.person, details)
            with reading_again_if_decided(session):
                return self._stores.sessions.update(noted, entry)

        return self._retry(use_case)


def _person_name(user: DeviceUser) -> str:
    return user.service or user.actor.email or user.actor.name


def _choose(asked: _Asked, grants: Sequence[Grant], now: datetime) -> list[Grant]:
    """The grants to issue for: of those that this version may judge, the one that lasts longest first.

    Raises InvalidInput when the target isn't clear.
    """
    live = [each for each in grants if each.is_wanted(now) and _role_of(asked.policy, each) is not None]
    targets = sorted({each.right.target for each in live})
    if asked.target is not None:
        live = [each for each in live if each.right.target == asked.target]
    elif len(targets) > 1:
        problem = f"{asked.profile} gives several roles"
        raise InvalidInput("target", problem, f"Name one of these targets: {', '.join(targets)}.")
    return sorted(live, key=lambda grant: (grant.is_understood, grant.ends_at, grant.id), reverse=True)


def _explain(asked: _Asked, grants: Sequence[Grant], now: datetime) -> NothingOpen | AccessEnded:
    """Why there is nothing to issue for."""
    wanted = [each for each in grants if each.is_wanted(now)]
    if any(_role_of(asked.policy, each) is not None for each in wanted):
        return NothingOpen(asked.profile, _OPENING, is_opening=True)
    if any(each.right.level == ASSUME for each in wanted):
        return NothingOpen(asked.profile, _NO_ROLE)
    of_role = [each for each in grants if each.right.level == ASSUME]
    ahead = [each.starts_at for each in of_role if now < each.starts_at and each.is_wanted(each.starts_at)]
    if ahead and not wanted:
        return NothingOpen(asked.profile, f"It opens at {min(ahead):%Y-%m-%d %H:%M} UTC.")
    over = [each.ended_at for each in of_role if each.opened_at is not None and each.ended_at <= now]
    if over and not wanted:
        return AccessEnded(asked.profile, max(over))
    if not _has_role(asked.policy, asked.profile):
        return NothingOpen(asked.profile, _ELSEWHERE, problem=_NEVER_HAD_A_ROLE.format(asked.profile))
    return NothingOpen(asked.profile, _REQUEST.format(asked.profile))


def _has_role(policy: Policy, profile: ProfileName) -> bool:
    """Whether a grant for this profile could give credentials. Raises InvalidInput when there is no such profile."""
    policy.profile(profile)
    return any(isinstance(policy.targets.get(each.target), AwsRoleConfig) for each in policy.access_of(profile))


def _role_of(policy: Policy, grant: Grant) -> AwsRoleConfig | None:
    """The role of this grant, if the policy still has it."""
    config = policy.targets.get(grant.right.target)
    return config if isinstance(config, AwsRoleConfig) and config.role == grant.right.resource else None


def _checked(issued: AwsCredentials, latest: datetime) -> AwsCredentials:
    """The same. Raises IssuerUnavailable for credentials that would outlive what was stored: their deny might not."""
    if issued.expiration > latest:
        raise IssuerUnavailable(_TOO_LONG, _CLOCKS, is_final=True)
    return issued


def _refuse_revoked(session: Session) -> NotAllowed:
    by = f" by {session.revoked_by}" if session.revoked_by is not None else ""
    return NotAllowed("get credentials", (_REVOKED.format(by=by),))


def _asked_entry(asked: _Asked, session: Session, config: AwsRoleConfig) -> EntryDraft:
    more: dict[str, JsonValue] = {"device_name": session.device_name, "lease": format_duration(config.lease)}
    details = session.issue_details | more
    return EntryDraft.of(session, AuditAction.CREDENTIALS_ISSUED, asked.user.actor.id, details)
