"""What all records have in common: a version, a deadline, and the head of an audit chain.

Invariant: a record is never changed, only replaced by a new one that was checked whole. `updated_at` is its version;
only a store moves it, and only forward. What this version doesn't understand, it only ends.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

from pydantic import AfterValidator, Field, JsonValue, ValidationError

from core.actor import ValidProfileName
from core.audit.canonical import canonical_json
from core.clock import ID_PATTERN, UtcTime
from core.duration import Duration
from core.errors import InvalidInput, MalformedRecord, Refused
from core.stored import StoredValue
from core.text import text_rule

UNDERSTOOD: Final = 0
"""What this version understands, of what a record can need. It rises by one with each rule that a record can be under
and that older versions would overlook; a record under that rule needs it."""
_CHAIN_FIELDS = frozenset({"audit_head", "audit_length"})
_ID = re.compile(ID_PATTERN)


def check_record_id(text: object) -> str:
    """Raises InvalidInput unless the text is 16 lowercase hex digits."""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise InvalidInput("id", f"{text!r:.60} is not an id", "An id is 16 digits of 0-9 and a-f.")
    return text


RecordId = Annotated[str, AfterValidator(check_record_id)]
RuleName = Annotated[str, text_rule("rule", at_least=1, at_most=100)]
"""The policy rule that allowed it: never empty, because what is empty is left out of the stored form."""


class Record(StoredValue, ABC):
    """Something with a version and an audit chain of its own.

    `profile` is None for what belongs to no profile, such as a device. `audit_head` is the last digest of its audit
    chain, `audit_length` the number of entries.
    """

    KIND: ClassVar[str]
    """The prefix of this kind's keys and audit chains."""

    GAINING: ClassVar[tuple[str, ...]] = ()
    """The attributes that may only gain: `find_lost` says how."""

    id: RecordId
    profile: ValidProfileName | None = None
    created_at: UtcTime
    updated_at: UtcTime
    expires_at: UtcTime
    audit_head: str = ""
    audit_length: int = 0

    @property
    @abstractmethod
    def state(self) -> StrEnum:
        """The record's status."""

    @property
    @abstractmethod
    def person(self) -> str:
        """The user id of the person whom the access is for."""

    @property
    @abstractmethod
    def ended_by(self) -> tuple[str | None, datetime | None]:
        """Who ended it and when, if somebody did."""

    @property
    def awaits(self) -> str | None:
        """What is still due on this record, in one word by which records can be listed."""
        return None

    @abstractmethod
    def life_ends_at(self) -> datetime | None:
        """When the record is no longer needed for a decision; None while a decision is still due."""

    @abstractmethod
    def legal_sources(self) -> frozenset[str]:
        """Every stored status that this record may replace."""

    @abstractmethod
    def facts_to_keep(self, item: Mapping[str, JsonValue] | None = None) -> Mapping[str, JsonValue]:
        """The attributes that the stored record must have for this one to replace it; None means absent.

        `item` is this record's stored form, if the caller already has it.
        """

    def find_lost(self, stored: Mapping[str, JsonValue]) -> tuple[str, ...]:  # noqa: ARG002 - for those that gain
        """The fields of the stored form that this version would take back, although they may only gain."""
        return ()

    @property
    def chain(self) -> str:
        """The name of this record's audit chain, such as `REQUEST#0123456789abcdef`."""
        return f"{self.KIND}#{self.id}"

    def replace(self, **changes: object) -> Self:
        """A copy with these fields changed, checked whole as if it were read from a store."""
        return type(self).model_validate({**self.__dict__, **changes})

    def to_item(self) -> dict[str, JsonValue]:
        """The record as plain JSON values, without attributes that are empty: the stored form."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value not in (None, "", [])}

    @classmethod
    def from_item(cls, item: Mapping[str, object]) -> Self:
        """Read what `to_item` wrote. Raises MalformedRecord, naming the item and its first fault."""
        try:
            return cls.read_stored(item)
        except (ValidationError, InvalidInput, OverflowError) as error:
            # OverflowError: a window that would end after the year 9999.
            raise MalformedRecord.from_error(f"{cls.KIND}#{item.get('id', '?')}", error) from error

    def content_digest(self, item: Mapping[str, JsonValue] | None = None) -> str:
        """SHA-256 over the stored form without its chain fields: what an audit entry says the record became.

        `item` is the stored form, if the caller already has it.
        """
        return digest_content(item if item is not None else self.to_item())


class NewerRecord(Refused):
    """A newer version made this record, under rules that this version doesn't know. It can be ended all the same."""

    def __init__(self, record: str, noun: str) -> None:
        super().__init__(f"A newer version of Countersign made this {noun}, under rules that this one doesn't know")
        self.record = record
        self.noun = noun


class AccessRecord(Record):
    """Something to be decided, or decided: access to a profile, asked for with a justification and for a time.

    `needs` is what a version has to understand to judge it: see UNDERSTOOD. Its known fields mean what they always did,
    so any version may end it.
    """

    NOUN: ClassVar[str]
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"needs"})

    profile: ValidProfileName
    justification: str
    duration: Duration
    needs: Annotated[int, Field(ge=0)] = 0

    @property
    def is_understood(self) -> bool:
        """True when this version knows every rule that the record is under."""
        return self.needs <= UNDERSTOOD

    def require_understood(self) -> None:
        """Raises NewerRecord unless this version may judge it. Nothing has to be understood to end it."""
        if not self.is_understood:
            raise NewerRecord(self.chain, self.NOUN)


def digest_content(item: Mapping[str, JsonValue]) -> str:
    """SHA-256 over a stored form without its chain fields."""
    content = {name: value for name, value in item.items() if name not in _CHAIN_FIELDS}
    return hashlib.sha256(canonical_json(content)).hexdigest()
