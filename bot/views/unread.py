"""The words of a typed line that nothing could be made of: shown above the form, so that none is lost.

Invariant: what somebody typed is shown as they typed it; the note outlasts every drawing of its form.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from bot.views.block_kit import Block, code, context, shorten

MAX_UNREAD: Final = 10
MAX_UNREAD_WORD: Final = 100


def unread_note(words: Sequence[str]) -> list[Block]:
    """A line that names the words, or nothing."""
    if not words:
        return []
    named = ", ".join(code(shorten(word, MAX_UNREAD_WORD)) for word in words[:MAX_UNREAD])
    return [context(f"Not understood, so left out: {named}. Nothing has been sent yet.")]


def write_unread(words: Sequence[str]) -> str:
    """The words as a view's metadata keeps them."""
    return json.dumps([shorten(word, MAX_UNREAD_WORD) for word in words[:MAX_UNREAD]]) if words else ""


def read_unread(written: str | None) -> tuple[str, ...]:
    """The words from a view's metadata; none for what isn't ours."""
    try:
        words: Any = json.loads(written or "[]")
    except (ValueError, RecursionError):
        return ()
    return tuple(str(word) for word in words[:MAX_UNREAD]) if isinstance(words, list) else ()
