"""The schema of rich text: the one block in which an app says for each piece what it is, so that nothing is parsed.

Invariant: a link leads where it says: its address is one that a browser opens. What Slack has besides, such as colours
and dates, is refused until an app needs it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from localslack import limits
from localslack.block_rules import (
    BlockRule,
    BooleanRule,
    IntegerRule,
    ListRule,
    ObjectRule,
    Report,
    StringRule,
    TypedRule,
)
from localslack.records import Json

_STYLE = ObjectRule({}, dict.fromkeys(("bold", "italic", "strike", "code"), BooleanRule()))
_STYLED: dict[str, BlockRule] = {"style": _STYLE}
_ID = StringRule(limits.ANY_ID)


def _leads_somewhere(element: Json, at: str, report: Report) -> None:
    try:
        parts = urlsplit(element["url"])
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https", "mailto"} or not (parts.netloc or parts.path):
        report.add("must be a valid URL", f"{at}/url")


_INLINE = TypedRule(
    {
        "text": ObjectRule({"text": StringRule(limits.RICH_TEXT)}, _STYLED),
        "link": ObjectRule(
            {"url": StringRule(limits.URL)}, {"text": StringRule(limits.RICH_TEXT), **_STYLED}, _leads_somewhere
        ),
        "user": ObjectRule({"user_id": _ID}, _STYLED),
        "usergroup": ObjectRule({"usergroup_id": _ID}, _STYLED),
        "channel": ObjectRule({"channel_id": _ID}, _STYLED),
        "emoji": ObjectRule({"name": StringRule(100)}, {"unicode": StringRule(100)}),
        "broadcast": ObjectRule({"range": StringRule(10, choices=frozenset({"here", "channel", "everyone"}))}),
    }
)
_INLINES = ListRule(_INLINE, limits.RICH_TEXT_ELEMENTS, min_items=0)
_SECTION = ObjectRule({"elements": _INLINES})
_PREFORMATTED = TypedRule({"text": ObjectRule({"text": StringRule(limits.RICH_TEXT)})})
RICH_TEXT = ObjectRule(
    {
        "elements": ListRule(
            TypedRule(
                {
                    "rich_text_section": _SECTION,
                    "rich_text_quote": ObjectRule({"elements": _INLINES}, {"border": IntegerRule(0, 1)}),
                    "rich_text_preformatted": ObjectRule(
                        {"elements": ListRule(_PREFORMATTED, limits.RICH_TEXT_ELEMENTS)}, {"border": IntegerRule(0, 1)}
                    ),
                    "rich_text_list": ObjectRule(
                        {
                            "style": StringRule(10, choices=frozenset({"bullet", "ordered"})),
                            "elements": ListRule(TypedRule({"rich_text_section": _SECTION}), limits.RICH_TEXT_ELEMENTS),
                        },
                        {"indent": IntegerRule(0, 8), "offset": IntegerRule(0, 1000), "border": IntegerRule(0, 1)},
                    ),
                }
            ),
            limits.RICH_TEXT_ELEMENTS,
        )
    },
    {"block_id": _ID},
)
