"""Write each version of the policy into the audit trail: the ones that came into force, and the ones that were refused.

Invariant: a version is written once, however many instances find it, with its whole text, so that a decision that
names its digest can be explained years later.
"""

from __future__ import annotations

import base64
import difflib
import gzip
import io
import zlib
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Final, Protocol

from pydantic import JsonValue

from core.actor import OPERATOR
from core.audit.trail import AuditAction, AuditEntry, EntryDraft, EntryId
from core.errors import InvalidInput, MalformedRecord
from core.invalid_policy import InvalidPolicy
from core.policy.access_summary import describe_access
from core.policy.evaluator import Policy
from core.policy.lint import all_selectors
from core.policy.loader import parse_policy
from core.policy.policy_file import PolicyState, digest_of
from core.policy.yaml_source import MAX_BYTES
from core.stores.audit import AuditStore

CHAIN: Final = "POLICY"
"""The chain of every version that this deployment used or refused."""
MAX_KEPT_BYTES: Final = 100_000
"""Packed, as text. An entry goes to every sink, and SNS takes 256 KB."""
MAX_DIFF_CHARACTERS: Final = 2_400
"""A block of a Slack message takes 3,000."""
MAX_NAMED: Final = 500
MAX_LISTED: Final = 100
MAX_EARLIER: Final = 50
"""How many earlier versions are read again."""
IN_FORCE: Final = "in force"
NOT_IN_FORCE: Final = "not in force"


class ObservedPolicy(Protocol):
    """A policy that may change, and what the last look found; a PolicyFile is one."""

    @property
    def state(self) -> PolicyState:
        """What the last look found."""
        ...

    def current(self) -> Policy:
        """Look, and return the policy in force."""
        ...


class PolicyTrail:
    """Looks at the policy file and writes what changed. For one thread; any number of instances."""

    def __init__(self, file: ObservedPolicy, trail: AuditStore) -> None:
        self._file = file
        self._trail = trail
        self._recorded: str | None = None
        self._refused: str | None = None

    def record(self) -> tuple[AuditEntry, ...]:
        """Look at the file, and write what is new. Returns the entries written. Raises StoreError; try again then."""
        self._file.current()
        state = self._file.state
        return tuple(entry for entry in (self._record_version(state), self._record_refusal(state)) if entry is not None)

    def _record_version(self, state: PolicyState) -> AuditEntry | None:
        digest = state.policy.digest
        if digest == self._recorded:
            return None
        entries = _genuine(self._trail)
        before = next((each for each in reversed(entries) if each.event is AuditAction.POLICY_IN_FORCE), None)
        written = None
        if before is None or before.details.get("digest") != digest:
            details = _describe(state, _text_of(before) if before is not None else "")
            if before is not None:
                details["previous_digest"] = before.details.get("digest")
            written = self._append(AuditAction.POLICY_IN_FORCE, IN_FORCE, len(entries), details)
        self._recorded = digest
        return written

    def _record_refusal(self, state: PolicyState) -> AuditEntry | None:
        if state.problem is None:
            self._refused = None
            return None
        digest = digest_of(state.refused) if state.refused is not None else ""
        if digest == self._refused:
            return None
        entries = _genuine(self._trail)
        last = entries[-1] if entries else None
        written = None
        if last is None or last.event is not AuditAction.POLICY_REFUSED or last.details.get("digest", "") != digest:
            problems: list[JsonValue] = [
                f"line {each.line}: {each.path}: {each.problem}. {each.fix}" for each in state.problem.problems[:20]
            ]
            details: dict[str, JsonValue] = {"in_force": state.policy.digest, "problems": problems}
            written = self._append(
                AuditAction.POLICY_REFUSED, NOT_IN_FORCE, len(entries), details | ({"digest": digest} if digest else {})
            )
        self._refused = digest
        return written

    def _append(self, event: AuditAction, outcome: str, length: int, details: dict[str, JsonValue]) -> AuditEntry:
        # Instances that find the same version at the same place of the chain make the same id, so the second one's
        # entry is recognised as written.
        entry_id = sha256(f"{event}\0{details.get('digest')}\0{length}".encode()).hexdigest()[:16]
        draft = EntryDraft(id=EntryId(entry_id), event=event, actor=OPERATOR, outcome=outcome, details=details)
        return self._trail.append(CHAIN, draft)


def find_earlier(trail: AuditStore) -> tuple[Policy, ...]:
    """The last versions that this deployment used, newest first: their targets may still have to take something.

    Only what this deployment sealed counts, and only versions that can still be read. Raises StoreError.
    """
    used = (each for each in reversed(_genuine(trail)) if each.event is AuditAction.POLICY_IN_FORCE)
    found = (_parse(each) for each in islice(used, MAX_EARLIER))
    return tuple(each for each in found if each is not None)


def _genuine(trail: AuditStore) -> tuple[AuditEntry, ...]:
    """The entries that this deployment sealed: what somebody planted would keep a change from being announced."""
    try:
        entries = trail.get_chain(CHAIN)
    except MalformedRecord:
        # The verification names it. A version is rather written twice than not at all.
        return ()
    return tuple(each for each in entries if trail.keyring.is_genuine(each))


def find_version(entries: tuple[AuditEntry, ...], digest: str) -> str:
    """The text of the version whose digest begins like this. Raises InvalidInput when there is none, or several."""
    found = {
        str(each.details["digest"]): each
        for each in entries
        if each.event is AuditAction.POLICY_IN_FORCE and str(each.details.get("digest")).startswith(digest)
    }
    if len(found) != 1:
        problem = "several versions begin" if found else "no version of the policy begins"
        raise InvalidInput("digest", f"{problem} with {digest!r:.80}", "List them: countersign policy history")
    (entry,) = found.values()
    text = _text_of(entry)
    if digest_of(text.encode()) != entry.details["digest"]:
        raise InvalidInput("digest", "this version was too large to keep", "Look for it in your own version control.")
    return text


def _describe(state: PolicyState, before: str) -> dict[str, JsonValue]:
    text = state.content.decode()
    lines = list(difflib.unified_diff(before.splitlines(), text.splitlines(), lineterm="", n=1))[2:]
    diff = "\n".join(lines) if before else ""
    document = state.policy.document
    named = sorted({str(each) for _, each in all_selectors(document)} | set(document.people))
    details: dict[str, JsonValue] = {
        "digest": state.policy.digest,
        "added_lines": sum(line.startswith("+") for line in lines) if before else len(text.splitlines()),
        "removed_lines": sum(line.startswith("-") for line in lines),
        "named": list[JsonValue](named[:MAX_NAMED]),
    }
    details |= describe_access(document, MAX_LISTED)
    if diff:
        details["diff"] = diff[:MAX_DIFF_CHARACTERS]
    packed = base64.b64encode(gzip.compress(state.content, mtime=0)).decode()
    if len(packed) <= MAX_KEPT_BYTES:
        details["text_gzip"] = packed
    return details


def _parse(entry: AuditEntry) -> Policy | None:
    content = _text_of(entry).encode()
    if digest_of(content) != entry.details.get("digest"):
        return None
    try:
        return parse_policy(content)
    except InvalidPolicy:
        # A newer version of Countersign refuses what an older one took.
        return None


def _text_of(entry: AuditEntry) -> str:
    packed = entry.details.get("text_gzip")
    if not isinstance(packed, str):
        return ""
    try:
        # Anyone who can write to the store can plant an entry that unpacks to gigabytes.
        with gzip.open(io.BytesIO(base64.b64decode(packed))) as text:
            return text.read(MAX_BYTES).decode()
    except (OSError, EOFError, ValueError, zlib.error):
        return ""


def iterate_versions(entries: tuple[AuditEntry, ...]) -> Iterator[AuditEntry]:
    """The versions that came into force or were refused, newest first."""
    known = (AuditAction.POLICY_IN_FORCE, AuditAction.POLICY_REFUSED)
    return (each for each in reversed(entries) if each.event in known)
