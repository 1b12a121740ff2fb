"""Open access in Slack: "I'm done", Extend, `/access end`, `extend`, `revoke` and `live`.

Invariant: each listener reads an interaction and makes one service call, through the responder; what it means is decided
from the record. Ending access has right of way, like closing break-glass. Extending requests nothing: it opens a form.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from slack_bolt import Ack, App

from bot.interactions.access_queries import AccessQueries, OpenAccess, Source
from bot.interactions.commands.open_access import (
    EndAccess,
    ExtendAccess,
    NamedAccess,
    OpenAccessCommand,
    RevokeAccess,
    RevokePerson,
)
from bot.interactions.commands.tokens import ShowList
from bot.interactions.interaction import Interaction, read_interaction, read_pressed_source
from bot.interactions.request_queries import RequestQueries
from bot.interactions.responder import FormToOpen, Responder
from bot.observability.logs import about
from bot.slack.app_surface import ACCESS
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_str
from bot.views.access.buttons import END_ACCESS, EXTEND_ACCESS
from bot.views.access.choice import no_such_access, which_access
from bot.views.access.list import NEWER, OLDER, AccessListKind, AccessRow
from bot.views.access.replies import (
    access_ended,
    access_revoked,
    cannot_extend,
    nothing_to_end,
    person_revoked,
)
from bot.views.block_kit import Block, Message
from bot.views.break_glass.list import EventRow
from bot.views.break_glass.replies import closed
from bot.views.pagination import one_of, read_page_button
from bot.views.request.form import Extended, RequestDraft
from core.actor import Actor
from core.break_glass import BreakGlassEvent
from core.errors import InvalidInput
from core.request import Request
from core.services.grants import GrantService
