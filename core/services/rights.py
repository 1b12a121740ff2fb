"""Find the rights that a profile gives to a person: who they are at each target, asked once and then kept.

Invariant: a right is never made for somebody who was guessed. A request is refused with what to do. An emergency never
is: what can't be found within seconds is left out, and the event says which and why.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswerInTime
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import Final

from core.access.principals import Principals, PrincipalUnavailable, PrincipalUnknown, SoughtPerson
from core.access.right import Permission, Right
from core.actor import Actor, ProfileName
from core.break_glass import MAX_PROBLEM_LENGTH
from core.errors import InvalidInput
from core.policy import Policy
from core.targets.words import one_line

EMERGENCY_WAIT_SECONDS: Final = 4.0
"""How long a declaration waits for all targets together. A rule's fallback is quicker than a target that hangs."""
_NO_TARGETS: Final = "this instance of Countersign can't reach targets, so nothing can be opened there"
_UNFIT: Final = "its name for you can't be part of a right: {problem}"
_LATE: Final = "it couldn't say in time which user you are"
_FAILED: Final = "it couldn't be asked which user you are"
_log = logging.getLogger("countersign.access")


@dataclass(frozen=True, slots=True)
class RightsFound:
    """What an emergency gives: the rights that were found, and why others were not; None when all were."""

    rights: tuple[Right, ...] = ()
    problem: str | None = None


def find_rights(
    policy: Policy, principals: Principals | None, person: Actor, profile: ProfileName
) -> Callable[[], tuple[Right, ...]]:
    """Finds the rights when it is called, and remembers them. Raises PrincipalUnknown, PrincipalUnavailable then."""

    @cache
    def find() -> tuple[Right, ...]:
        permissions = policy.access_of(profile)
        found: dict[str, str] = {}
        for target in dict.fromkeys(each.target for each in permissions):
            if principals is None:
                raise PrincipalUnavailable(target, _NO_TARGETS)
            found[target] = principals.find(target, policy.find_sought(person, target))
        return _to_rights(permissions, found)

    return find


class EmergencyRights:
    """Finds the rights of people who break the glass, within a bounded time. Safe for threads.

    Each target is asked on a thread of its own, once for all who want the same answer at the same time.
    """

    def __init__(self, principals: Principals | None, wait_seconds: float = EMERGENCY_WAIT_SECONDS) -> None:
        self._principals = principals
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, SoughtPerson], Future[str]] = {}

    def find(self, policy: Policy, invoker: Actor, profile: ProfileName) -> RightsFound:
        """What can be given now. Never raises."""
        permissions = policy.access_of(profile)
        asked = {
            target: self._ask(target, policy.find_sought(invoker, target))
            for target in dict.fromkeys(each.target for each in permissions)
        }
        found: dict[str, str] = {}
        problems: list[str] = []
        deadline = monotonic() + self._wait_seconds
        for target, answer in asked.items():
            try:
                principal = answer.result(timeout=max(deadline - monotonic(), 0.0))
                _to_rights([each for each in permissions if each.target == target], {target: principal})
                found[target] = principal
            except (PrincipalUnknown, PrincipalUnavailable) as refusal:
                problems.append(str(refusal))
            except NoAnswerInTime:
                problems.append(f"{target}: {_LATE}")
            except Exception:  # noqa: BLE001 - whatever it is, it stops no emergency
                _log.exception("%s: the person who breaks the glass could not be found", target)
                problems.append(f"{target}: {_FAILED}")
        given = [each for each in permissions if each.target in found]
        problem = one_line("; ".join(problems), MAX_PROBLEM_LENGTH) if problems else None
        return RightsFound(_to_rights(given, found), problem)

    def _ask(self, target: str, sought: SoughtPerson) -> Future[str]:
        key = (target, sought)
        with self._lock:
            if (under_way := self._asked.get(key)) is not None:
                return under_way
            answer: Future[str] = Future()
            if self._principals is None:
                answer.set_exception(PrincipalUnavailable(target, _NO_TARGETS))
                return answer
            self._asked[key] = answer
        try:
            threading.Thread(
                target=self._answer, args=(self._principals, key, answer), name=f"principal-{target}", daemon=True
            ).start()
        except RuntimeError as error:
            # No thread is left: the invoker goes the way of the fallback.
            self._forget(key)
            answer.set_exception(error)
        return answer

    def _answer(self, principals: Principals, key: tuple[str, SoughtPerson], answer: Future[str]) -> None:
        try:
            principal = principals.find(*key, is_emergency=True)
        except BaseException as error:  # noqa: BLE001 - it is raised again where somebody waits for it
            self._forget(key)
            answer.set_exception(error)
        else:
            self._forget(key)
            answer.set_result(principal)

    def _forget(self, key: tuple[str, SoughtPerson]) -> None:
        with self._lock:
            self._asked.pop(key, None)


def _to_rights(permissions: tuple[Permission, ...] | list[Permission], found: Mapping[str, str]) -> tuple[Right, ...]:
    """The rights, each once, in the order of the policy. Raises PrincipalUnknown for a name that can't be used."""
    rights: dict[Right, None] = {}
    for permission in permissions:
        try:
            rights[permission.of(found[permission.target])] = None
        except InvalidInput as error:
            raise PrincipalUnknown(permission.target, _UNFIT.format(problem=error.problem)) from error
    return tuple(rights)
