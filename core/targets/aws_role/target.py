"""The target behind a role in AWS: a door in the store while access is open, and a deny in IAM when it ends early.

Invariant: a take that answers Absent leaves no credentials that work. It shuts the door, revokes the sessions, and only
then writes the denies; so what was issued meanwhile is either denied, or is never handed out. At the natural end AWS is
not asked for anything: the session policy ends the rights to the second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from core.access.grant import Grant
from core.access.right import Right, right_key
from core.access.role_door import RoleDoor
from core.access.session import Session, SessionId, SessionStatus, source_identity_for
from core.access.timing import CALL_TIMEOUT
from core.actor import CLOCK, DeciderId
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock
from core.errors import ConcurrentModification, InvalidStateTransition, StoreError
from core.policy.target_config import AwsRoleConfig
from core.stores.access import AccessStore
from core.stores.sessions import SessionStore
from core.targets.aws_calls import LONGEST_CALL_SECONDS, CallFailed, Trouble
from core.targets.aws_names import ASSUME, IAM_DELAY
from core.targets.aws_role.deny import RoleDenies
from core.targets.aws_role.deny_policy import covers_until, deny_grant, name_for_grant
from core.targets.base import Absent, Given, Held, Later, OperationKey, Polled, Seen, Taken, TargetRefused, Unknown

TAKE_LIMIT: Final = CALL_TIMEOUT - timedelta(seconds=3)
"""How long writing denies may take; what is left then is done by the next take."""
REVOKED: Final = "The access ended"
_AGAIN: Final = timedelta(seconds=5)
_MAX_TRIES: Final = 5
_MAX_REMEMBERED: Final = 10_000
_NEWER: Final = "a newer step for this right was seen already"
_MOVED: Final = "somebody else changed the state of this right"
_log = logging.getLogger("countersign.targets")


class AwsRoleTarget:
    """A `core.targets.base.Target`. Safe for threads, and for any number of processes."""

    def __init__(
        self,
        config: AwsRoleConfig,
        sessions: SessionStore,
        access: AccessStore,
        denies: RoleDenies,
        clock: Clock,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._sessions = sessions
        self._access = access
        self._denies = denies
        self._clock = clock
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._ended_in_time: dict[str, None] = {}

    @property
    def ends_sessions(self) -> bool:
        """True: what was issued stops working when the right is taken."""
        return True

    def residual(self, right: Right) -> timedelta:
        """None at the natural end; after an early one, as long as IAM may take to apply the deny everywhere."""
        with self._lock:
            return timedelta(0) if right_key(right) in self._ended_in_time else IAM_DELAY

    def inspect(self, right: Right) -> Seen:
        """Held while the door is open, or while a session of the right would still have to be denied."""
        try:
            if self._sessions.get_door(right).is_open:
                return Held()
            now = self._clock.now()
            found = self._sessions.list_of_right(right)
            if any(must_be_denied(each, now) for each in found.sessions):
                return Held()
            is_hidden = bool(found.unreadable) and self._may_hide_some(right, now)
        except StoreError as error:
            return Unknown(str(error))
        except CallFailed as failed:
            return Unknown(failed.problem)
        return Held() if is_hidden else Absent()

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        """Open the door. Nothing is issued before somebody asks."""
        del until
        if (right.resource, right.level) != (self._config.role, ASSUME):
            return TargetRefused(f"The target {right.target} is another role in the policy by now. Request it again.")
        try:
            moved = self._move(right, lambda door, now: door.open(key.grant, key.generation, now), key)
        except StoreError as error:
            return Unknown(str(error))
        if moved is not None:
            return moved
        with self._lock:
            self._ended_in_time.pop(right_key(right), None)
        return Held()

    def take(self, right: Right, key: OperationKey) -> Taken:
        """Shut the door, revoke the right's sessions, and deny what would still work."""
        deadline = self._elapsed() + TAKE_LIMIT.total_seconds()
        try:
            if (stopped := self._shut(right, key)) is not None:
                return stopped
            identities = self._revoke_all(right, key)
            for grant, (identity, sessions) in identities.items():
                left = deadline - self._elapsed()
                if left < 2 * LONGEST_CALL_SECONDS:
                    return Later(_AGAIN, problem="there was no time to deny every session; the rest follows")
                self._deny(right, grant, identity, timedelta(seconds=left))
                for each in sessions:
                    self._note_denied(each)
        except CallFailed as failed:
            return failed.answer()
        except ConcurrentModification:
            return Later(_AGAIN, problem=_MOVED)
        except StoreError as error:
            return Unknown(str(error))
        self._remember(right, is_in_time=not identities)
        return Absent()

    def _may_hide_some(self, right: Right, now: datetime) -> bool:
        """True when sessions that can't be read may be of a grant that ended early, and that nothing denies."""
        grants = self._access.get_right(right).grants
        ended = {name_for_grant(each.id) for each in grants if each.ended_early is not None and now < each.ends_at}
        if not ended:
            return False
        names = self._denies.list_names(self._config, right.resource, TAKE_LIMIT)
        return not ended <= set(names) and all(covers_until(each) is None for each in names)

    def poll(self, token: str) -> Polled:
        """Nothing here takes longer than its call."""
        return Unknown(f"{token!r:.60} is no operation of an aws-role target", is_forgotten=True)

    def _move(self, right: Right, move: Callable[[RoleDoor, datetime], RoleDoor], key: OperationKey) -> Later | None:
        now, door = self._clock.now(), self._sessions.get_door(right)
        if door.has_seen_newer(key.generation, now):
            holding = self._access.get_right(right).holding
            if holding.operation is None or holding.generation != key.generation:
                return Later(_AGAIN, problem=_NEWER)
            # This is the step that is under way: an older state of the right was put back, and stops nobody.
            door = door.model_copy(update={"generation": 0})
        try:
            self._sessions.move_door(move(door, now))
        except ConcurrentModification:
            return Later(_AGAIN, problem=_MOVED)
        return None

    def _shut(self, right: Right, key: OperationKey) -> Later | None:
        return self._move(right, lambda door, now: door.shut(key.grant, key.generation, now), key)

    def _revoke_all(self, right: Right, key: OperationKey) -> dict[str, tuple[str, list[Session]]]:
        """Revoke every session that would still work; whom to deny, by grant."""
        found, now = self._sessions.list_of_right(right), self._clock.now()
        ending = [each for each in found.sessions if must_be_denied(each, now)]
        grants = self._read_grants(each.grant for each in ending)
        self._refuse_wanted([each for each in grants.values() if each.is_wanted(now)])
        identities: dict[str, tuple[str, list[Session]]] = {}
        for session in ending:
            revoked = self._revoke(session, grants.get(session.grant))
            if revoked is not None:
                identities.setdefault(session.grant, (session.source_identity, []))[1].append(revoked)
        if found.unreadable:
            _log.error("%s has sessions that can't be read, and all of its grants are denied: %s", right, found)
            for grant in self._access.get_right(right, also=(key.grant,)).grants:
                if not grant.is_wanted(now):
                    identities.setdefault(grant.id, (source_identity_for(grant.id, grant.person), []))
        return identities

    def _refuse_wanted(self, wanted: Sequence[Grant]) -> None:
        """Raises ConcurrentModification when there is access that goes on: it was opened after this take began."""
        if wanted and {each.id for each in wanted} - self._access.find_rolled_back(wanted):
            raise ConcurrentModification(wanted[0].chain)

    def _read_grants(self, ids: Iterable[str]) -> Mapping[str, Grant]:
        wanted = tuple(dict.fromkeys(ids))
        return {grant.id: grant for grant in self._access.get_each(wanted)} if wanted else {}

    def _revoke(self, session: Session, grant: Grant | None) -> Session | None:
        """The session as it is stored once nobody can use it; None when it had expired meanwhile."""
        early = grant.ended_early if grant is not None else None
        by, reason = (early.by, early.reason) if early is not None else (CLOCK, REVOKED)
        for _ in range(_MAX_TRIES):
            if session.status is SessionStatus.REVOKED:
                return session
            if session.status is SessionStatus.EXPIRED:
                return None
            revoked = session.revoke(DeciderId(by), self._clock.now(), reason)
            try:
                return self._sessions.update(
                    revoked, EntryDraft.of(revoked, AuditAction.SESSION_REVOKED, by, {"reason": reason})
                )
            except (ConcurrentModification, InvalidStateTransition):
                # Credentials were just issued, and are noted: they are denied with the others. Or somebody ended it.
                session = self._sessions.get(SessionId(session.id))
        raise ConcurrentModification(session.chain)

    def _deny(self, right: Right, grant: str, identity: str, limit: timedelta) -> None:
        try:
            self._denies.put(self._config, right.resource, deny_grant(grant, identity), limit)
        except CallFailed as failed:
            # A role that is gone takes all of its credentials with it.
            if failed.trouble is not Trouble.NOT_FOUND:
                raise

    def _note_denied(self, session: Session) -> None:
        for _ in range(_MAX_TRIES):
            denied = session.note_deny(self._clock.now())
            if denied is session:
                return
            try:
                self._sessions.update(denied, EntryDraft.of(denied, AuditAction.DENY_PUT, CLOCK))
            except ConcurrentModification:
                session = self._sessions.get(SessionId(session.id))
            else:
                return
        raise ConcurrentModification(session.chain)

    def _remember(self, right: Right, *, is_in_time: bool) -> None:
        with self._lock:
            self._ended_in_time.pop(right_key(right), None)
            if is_in_time:
                self._ended_in_time[right_key(right)] = None
            while len(self._ended_in_time) > _MAX_REMEMBERED:
                self._ended_in_time.pop(next(iter(self._ended_in_time)))


def must_be_denied(session: Session, now: datetime) -> bool:
    """True while its credentials would work, and nothing denies them."""
    is_noted = session.denied_at is not None or session.status is SessionStatus.EXPIRED
    return not is_noted and now < min(session.expires_at, session.credentials_until)
