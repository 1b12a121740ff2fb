"""Read the policy from a file or from bytes.

Invariant: a policy is one whole version that passed every check; a file that cannot be read is a mistake like any
other, with its fix.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from core.invalid_policy import InvalidPolicy, PolicyProblem
from core.policy.access_lint import find_renamed_targets
from core.policy.evaluator import Policy
from core.policy.lint import all_selectors, find_mistakes, find_uncovered
from core.policy.mistake import Mistake
from core.policy.on_call_lint import find_on_call_notes
from core.policy.rules import PolicyDocument
from core.policy.schema_errors import line_of, validate_values
from core.policy.target_use import find_notes
from core.policy.yaml_source import MAX_BYTES, read_values, write_path
from core.policy.yaml_source import Path as Place


class MoreFound(NamedTuple):
    """What others say about a file: mistakes, and notes that don't count as mistakes."""

    mistakes: tuple[Mistake, ...] = ()
    notes: tuple[Mistake, ...] = ()


Signature = tuple[int, int, int]
"""What the file system says about a file: when it was written, how large it is, and which file it is."""


def parse_policy(content: bytes, source: str = "policy.yml", *, after: Policy | None = None) -> Policy:
    """Parse the policy from these bytes. Raises InvalidPolicy, with every mistake found.

    `after` is the policy in force, which this one is to follow.
    """
    reading = read_values(content)
    document, problems = validate_values(reading) if reading.lines else (None, ())
    problems = (*reading.problems, *problems)
    if document is not None and not problems:
        renamed = find_renamed_targets(after.document, document) if after is not None else ()
        found = (*find_mistakes(document), *renamed)
        problems = tuple(_with_line(each, reading.lines) for each in found)
    if document is None or problems:
        raise InvalidPolicy(source, tuple(sorted(problems, key=lambda each: (each.line, each.path))))
    return Policy(digest=hashlib.sha256(content).hexdigest(), document=document)


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in the file. Raises InvalidPolicy when the file cannot be read or has a mistake."""
    return parse_policy(read_source(Path(path)), str(path))


def load_with_notes(path: str | os.PathLike[str]) -> tuple[Policy, tuple[PolicyProblem, ...]]:
    """The policy in the file, and what in it is probably not meant, though it isn't a mistake. Raises InvalidPolicy."""
    content = read_source(Path(path))
    policy, lines = parse_policy(content, str(path)), read_values(content).lines
    return policy, _notes_on(policy, lines)


def check_with_notes(
    path: str | os.PathLike[str], find_more: Callable[[PolicyDocument], MoreFound] = lambda _: MoreFound()
) -> tuple[Policy, tuple[PolicyProblem, ...]]:
    """The same, for a person who checks the file: a profile that no rule covers is a mistake, too.

    The bot goes on with such a file, as it did with that of an older version: nobody can request the profile.
    `find_more` finds what only others can say, such as that there is no such schedule.
    """
    content = read_source(Path(path))
    policy, lines = parse_policy(content, str(path)), read_values(content).lines
    more = find_more(policy.document)
    if found := tuple(_with_line(each, lines) for each in (*find_uncovered(policy.document), *more.mistakes)):
        raise InvalidPolicy(str(path), tuple(sorted(found, key=lambda each: (each.line, each.path))))
    return policy, _notes_on(policy, lines, more.notes)


def _notes_on(policy: Policy, lines: dict[Place, int], more: Iterable[Mistake] = ()) -> tuple[PolicyProblem, ...]:
    document = policy.document
    named = document.named_people().leaves(tuple(selector for _, selector in all_selectors(document)))
    found = (*find_notes(document), *find_on_call_notes(document, named), *more)
    return tuple(sorted((_with_line(each, lines) for each in found), key=lambda each: (each.line, each.path)))


def read_source(path: Path) -> bytes:
    """The bytes of a file that a person named. Raises InvalidPolicy when it can't be read."""
    try:
        # A person who compares two versions may well read one from a pipe.
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from error


def _with_line(found: Mistake, lines: dict[Place, int]) -> PolicyProblem:
    return PolicyProblem(line_of(found.path, lines), write_path(found.path), found.problem, found.fix)


def read_file(path: Path) -> tuple[bytes, Signature]:
    """The file's bytes, and its signature when they were read. Never waits for a writer.

    Raises InvalidPolicy when it cannot be read, and when it is a pipe or a device.
    """
    try:
        with open(path, "rb", opener=_open_regular) as file:
            # The signature is older than the bytes: a write in between shows at the next check.
            status = os.fstat(file.fileno())
            return file.read(MAX_BYTES + 1), (status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError as error:
        raise _unreadable(path, error) from error


def sign_file(path: Path) -> Signature:
    """What the file system says now. Raises InvalidPolicy when it cannot be asked."""
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return status.st_mtime_ns, status.st_size, status.st_ino


def _open_regular(path: str, flags: int) -> int:
    # A pipe would keep the one thread that looks at the file for as long as nobody writes.
    file = os.open(path, flags | os.O_NONBLOCK)
    kind = os.fstat(file).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        # `open` refuses a folder itself.
        return file
    os.close(file)
    raise OSError(errno.EINVAL, "it is not a regular file")


def _unreadable(path: Path, error: OSError) -> InvalidPolicy:
    reason = (error.strerror or type(error).__name__).lower()
    start = "Create it (start from what `countersign policy example` prints)"
    fix = f"{start}, make it readable, or set COUNTERSIGN_POLICY."
    return InvalidPolicy(str(path), (PolicyProblem(1, "file", f"it cannot be read: {reason}", fix),))
