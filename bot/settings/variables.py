"""The environment variables beyond their values: secrets that are in files, and names that nobody knows.

Invariant: the content of a file never appears in an error. A file is read once. A variable and its file are never both
taken: which one holds would be a guess.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from core.errors import InvalidInput

SUFFIX: Final = "_FILE"
MAX_BYTES: Final = 64 * 1024
_PREFIX: Final = "COUNTERSIGN_"
_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH
_KUBERNETES: Final = re.compile(r"COUNTERSIGN(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_.+)?)")
"""Kubernetes sets these in every container beside a service whose name begins with countersign."""


class FileVariables(PydanticBaseSettingsSource):
    """Reads each setting from the file that its variable with _FILE names, unless the caller gives it."""

    def __init__(self, settings_cls: type[BaseSettings], given: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._given = given

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value from the file, or None."""
        del field
        return _read(_name(self.settings_cls, field_name)), field_name, False

    def __call__(self) -> dict[str, Any]:
        """The settings that files hold. Raises InvalidInput for a file that can't be read."""
        given = self._given()
        fields = {
            name: field
            for name, field in self.settings_cls.model_fields.items()
            if name not in given and field.validation_alias not in given
        }
        found = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class EnvironmentSettings(BaseSettings):
    """Settings from environment variables, and from the files that variables with _FILE name.

    `needed_by` says which field needs another one, where that is so.
    """

    needed_by: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller says, then the environment, then files."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, FileVariables(settings_cls, init_settings)


def variables_of(*kinds: type[BaseSettings]) -> tuple[str, ...]:
    """The names of the variables that these settings are read from, without the forms with _FILE."""
    return tuple(dict.fromkeys(_name(kind, field) for kind in kinds for field in kind.model_fields))


def field_of(kind: type[BaseSettings], variable: str) -> str | None:
    """The field that is read from this variable, or from the file that it names."""
    return next((each for each in kind.model_fields if _name(kind, each) == variable.removesuffix(SUFFIX)), None)


def find_unknown(known: Collection[str]) -> Iterator[tuple[str, str | None]]:
    """Each COUNTERSIGN_ variable that is set and not known, with the one that was probably meant."""
    every = [form for name in known for form in (name, f"{name}{SUFFIX}")]
    for name in sorted(os.environ):
        if name.startswith(_PREFIX) and name not in every and not _KUBERNETES.fullmatch(name):
            yield name, next(iter(difflib.get_close_matches(name, every, 1, 0.8)), None)


def find_shared_files(known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each variable with _FILE whose file everybody on this host can read, and its path."""
    for name in known:
        path = os.environ.get(f"{name}{SUFFIX}")
        try:
            if path and Path(path).stat().st_mode & _OTHERS:
                yield f"{name}{SUFFIX}", path
        except OSError:
            # Reading it says more.
            continue


def _name(kind: type[BaseSettings], field: str) -> str:
    alias = kind.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"{kind.model_config.get('env_prefix', '')}{field}".upper()


def _read(name: str) -> str | None:
    variable = f"{name}{SUFFIX}"
    path = os.environ.get(variable)
    if path is None:
        return None
    if name in os.environ:
        raise InvalidInput(variable, f"{name} is set too", "Unset one of them.")
    named = _show(path)
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidInput(variable, f"{named} is not a regular file", "Check the path.")
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text"
        fix = "Check the path and its mode."
        # Without its cause, which quotes the whole path.
        raise InvalidInput(variable, f"{named} can't be read ({problem})", fix) from None
    if len(content) > MAX_BYTES:
        raise InvalidInput(variable, f"{named} has more than {MAX_BYTES} bytes", "Check the path.")
    return text.removesuffix("\n").removesuffix("\r")


def _show(path: str) -> str:
    """The path for an error, unless it leads nowhere near a file: then it may well be the secret itself."""
    is_path = os.path.lexists(path) or (os.sep in path and os.path.isdir(os.path.dirname(path)))  # noqa: PTH112, PTH120
    return f"{path!r:.200}" if is_path else "the file that it names"


def _open_without_waiting(path: str, flags: int) -> int:
    # A pipe would keep the start waiting for as long as nobody writes.
    return os.open(path, flags | os.O_NONBLOCK)
