"""The profiles that `countersign aws configure` writes into the AWS SDKs' configuration, between two markers.

Invariant: nothing outside the markers changes, not by a byte; taken out again, the file is what it was. A profile that
exists outside the markers is never replaced. Run twice, it changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.terminal.aws_files import AwsFile, ConfigSection
from core.errors import InvalidInput

_BEGIN: Final = (
    b"# >>> countersign >>> `countersign aws configure` wrote this; `countersign aws unconfigure` removes it"
)
_END: Final = b"# <<< countersign <<<"
_BEGINS: Final = b"# >>> countersign"
_ENDS: Final = b"# <<< countersign"
_UNENDED: Final = b" (the line above had no end)"
_NEW: Final = b" (the file was new)"
_PROCESS: Final = "credential_process"
_REGION: Final = "region"
_FIELD: Final = "AWS configuration"
_PLAIN: Final = re.compile(r"[\w./+@:,=-]+")
_WITH_SPACES: Final = re.compile(r"[\w./+@:,=()\[\] -]+")


@dataclass(frozen=True, slots=True)
class ConfigBlock:
    """What is between the markers, and what stands around it. `marker` notes how the file was before."""

    before: bytes
    sections: tuple[ConfigSection, ...]
    after: bytes
    marker: bytes = b""

    def to_bytes(self, line_end: bytes) -> bytes:
        """The whole file; without profiles, as it was before there were any."""
        if not self.sections:
            before = self.before
            # What somebody added below the block needs the line end.
            if self.marker == _UNENDED and not self.after:
                before = before.removesuffix(b"\n").removesuffix(b"\r")
            return before + self.after
        inside = b"".join(line.raw for section in self.sections for line in section.lines)
        return b"".join([self.before, _BEGIN, self.marker, line_end, inside, _END, line_end, self.after])

    @property
    def is_of_new_file(self) -> bool:
        """Whether there was no file before."""
        return self.marker == _NEW


def read_block(content: bytes | None) -> ConfigBlock:
    """What Countersign wrote into the file, and the rest. Raises InvalidInput when the markers can't be trusted."""
    if not content:
        return ConfigBlock(b"", (), b"", _NEW if content is None else b"")
    lines = content.splitlines(keepends=True)
    begins = [number for number, line in enumerate(lines) if line.startswith(_BEGINS)]
    ends = [number for number, line in enumerate(lines) if line.startswith(_ENDS)]
    if not begins and not ends:
        is_ended = content.endswith((b"\n", b"\r"))
        line_end = b"" if is_ended else line_end_of(content)
        return ConfigBlock(content + line_end, (), b"", b"" if is_ended else _UNENDED)
    if len(begins) != 1 or len(ends) != 1 or ends < begins:
        raise InvalidInput(
            _FIELD, "its markers of countersign were changed", "Restore them, or remove the lines by hand."
        )
    (begin, end) = (*begins, *ends)
    sections = AwsFile.parse(b"".join(lines[begin + 1 : end])).sections
    _check_inside(sections)
    _check_after(lines, end + 1)
    marker = next((each for each in (_UNENDED, _NEW) if lines[begin].rstrip().endswith(each)), b"")
    return ConfigBlock(b"".join(lines[:begin]), sections, b"".join(lines[end + 1 :]), marker)


def add_profiles(block: ConfigBlock, profiles: Mapping[str, str], region: str | None, line_end: bytes) -> ConfigBlock:
    """The block with these profiles, each with its command. Settings that somebody added to them stay.

    Raises InvalidInput for a name that a profile outside the block has.
    """
    outside = {section.name for part in (block.before, block.after) for section in AwsFile.parse(part).sections}
    sections = {section.name: section for section in block.sections}
    for name, command in profiles.items():
        header = f"profile {name}"
        if header in outside:
            fix = "Choose another --prefix, or remove that section."
            raise InvalidInput(_FIELD, f"it has a section [{header}] that Countersign didn't write", fix)
        sections[header] = _write_section(header, command, region, sections.get(header), line_end)
    return replace(block, sections=tuple(sections.values()))


def remove_profiles(block: ConfigBlock, names: Iterable[str] | None) -> ConfigBlock:
    """The block without these profiles, or without any."""
    gone = None if names is None else {f"profile {name}" for name in names}
    return replace(block, sections=tuple(each for each in block.sections if gone is not None and each.name not in gone))


def write_command(arguments: Sequence[str]) -> str:
    """The arguments as every SDK reads them again. Raises InvalidInput for characters on which SDKs differ.

    Some split the text themselves, others hand it to a shell.
    """
    written = []
    for argument in arguments:
        if _PLAIN.fullmatch(argument):
            written.append(argument)
        elif _WITH_SPACES.fullmatch(argument):
            written.append(f'"{argument}"')
        else:
            problem = f"the AWS SDKs can't run {argument!r:.200}, because of its special characters"
            raise InvalidInput("path", problem, "Install countersign under a path without them.")
    return " ".join(written)


def line_end_of(content: bytes | None) -> bytes:
    """How the file ends its lines."""
    return b"\r\n" if content is not None and b"\r\n" in content[: content.find(b"\n") + 1] else b"\n"


def _write_section(
    header: str, command: str, region: str | None, found: ConfigSection | None, line_end: bytes
) -> ConfigSection:
    ours = {_PROCESS: command} if region is None else {_PROCESS: command, _REGION: region}
    lines = [f"[{header}]".encode(), *(f"{key} = {text}".encode() for key, text in ours.items())]
    kept = b"".join(line.raw for line in found.lines[1:] if line.key not in ours) if found is not None else b""
    content = b"".join(line + line_end for line in lines) + kept
    return AwsFile.parse(content).sections[0]


def _check_inside(sections: Sequence[ConfigSection]) -> None:
    foreign = next(
        (each for each in sections if not each.name.startswith("profile ") or _PROCESS not in each.keys), None
    )
    if foreign is not None:
        problem = f"between its markers of countersign stands [{foreign.name}], which Countersign didn't write"
        raise InvalidInput(_FIELD, problem, "Move it below the markers.")


def _check_after(lines: Sequence[bytes], first: int) -> None:
    """A setting after the block is one of its last profile, and would become one of the section before."""
    for number, line in enumerate(lines[first:], first + 1):
        text = line.strip()
        if text and not text.startswith((b"#", b";")):
            if not text.startswith(b"["):
                problem = f"line {number} belongs to the profile above it, which countersign wrote"
                raise InvalidInput(_FIELD, problem, "Move the line above the marker, or remove it.")
            return
