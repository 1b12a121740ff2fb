"""The AWS SDKs' configuration files as lines in sections, without changing a byte.

Invariant: joined again, the lines are the file. What Python's configparser, and so botocore, reads as a section or as a
setting is one here, also where lines are indented.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

_HEADER: Final = re.compile(rb"\[(?P<name>.+)\]")
_KEY: Final = re.compile(rb"(?P<name>.*?)\s*[=:]")
_COMMENTS: Final = (b"#", b";")
_SPACES: Final = re.compile(r"\s+")


class ConfigLine(NamedTuple):
    """A line with its end, and the setting that it belongs to; "" for headers, comments and empty lines."""

    raw: bytes
    key: str = ""


@dataclass(frozen=True, slots=True)
class ConfigSection:
    """A header and the lines below it; `name` is "" for what comes before the first header."""

    name: str
    lines: tuple[ConfigLine, ...]

    @property
    def keys(self) -> frozenset[str]:
        """The names of its settings, in small letters. What is nested in a setting has none of its own."""
        return frozenset(line.key for line in self.lines if line.key)

    def without(self, is_left_out: Callable[[str], bool]) -> bytes:
        """Its lines but for these settings and what is nested in them."""
        return b"".join(line.raw for line in self.lines if not (line.key and is_left_out(line.key)))


@dataclass(frozen=True, slots=True)
class AwsFile:
    """A file of the AWS SDKs."""

    sections: tuple[ConfigSection, ...] = ()

    @classmethod
    def parse(cls, content: bytes) -> AwsFile:
        """The sections of the file; every byte is in one of them."""
        reader = _ConfigReader()
        for line in content.splitlines(keepends=True):
            reader.take(line)
        return cls(tuple(ConfigSection(name, tuple(lines)) for name, lines in reader.found if lines))


@dataclass(slots=True)
class _ConfigReader:
    found: list[tuple[str, list[ConfigLine]]] = field(default_factory=lambda: [("", [])])
    _key: str = ""
    _indent: int = 0

    def take(self, raw: bytes) -> None:
        text = raw.strip()
        indent = len(raw) - len(raw.lstrip())
        if not text or text.startswith(_COMMENTS):
            self._add(raw, "")
        elif self._key and indent > self._indent:
            self._add(raw, self._key)
        else:
            self._indent = indent
            if (header := _HEADER.match(text)) is not None:
                self._key = ""
                self.found.append((_tidy(header["name"]), []))
                self._add(raw, "")
            else:
                match = _KEY.match(text)
                self._key = _text(match["name"] if match is not None else text).lower()
                self._add(raw, self._key)

    def _add(self, raw: bytes, key: str) -> None:
        self.found[-1][1].append(ConfigLine(raw, key))


def read_aws_file(path: Path) -> AwsFile:
    """The file, or an empty one where it can't be read: then the SDKs can't read it either."""
    try:
        return AwsFile.parse(path.read_bytes())
    except OSError:
        return AwsFile()


def config_path(environ: Mapping[str, str]) -> Path:
    """Where the SDKs' configuration is."""
    return _path(environ, "AWS_CONFIG_FILE", "config")


def credentials_path(environ: Mapping[str, str]) -> Path:
    """Where the SDKs' file of static keys is."""
    return _path(environ, "AWS_SHARED_CREDENTIALS_FILE", "credentials")


def _tidy(name: bytes) -> str:
    """A section's name with single spaces and without quotes, as the SDKs compare it."""
    return _SPACES.sub(" ", _text(name).replace('"', "").replace("'", "")).strip()


def _text(found: bytes) -> str:
    return found.decode("utf-8", "replace").strip()


def _path(environ: Mapping[str, str], variable: str, name: str) -> Path:
    # HOME as the command will see it.
    home = Path(environ.get("HOME") or Path.home())
    text = environ.get(variable)
    if not text:
        return home / ".aws" / name
    return home / text[2:] if text.startswith("~/") else Path(text)
