"""What other systems say, made fit for a card and a log line.

Invariant: the result is one line of visible characters, of a bounded length.
"""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_WORDS: Final = 300


def one_line(text: object, at_most: int = MAX_WORDS) -> str:
    """The text on one line, without control, direction and format characters, cut with an ellipsis."""
    found = text if isinstance(text, str) else ""
    # Far more than is kept, so that a huge answer costs nothing.
    visible = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in found[: 4 * at_most])
    joined = " ".join(visible.split())
    return joined if len(joined) <= at_most else f"{joined[: at_most - 1]}…"
