"""Slack's limits, each next to its source.

Invariant: the local Slack refuses at exactly these numbers. Where Slack publishes none, a comment explains the number.
"""

from __future__ import annotations

from datetime import timedelta

# https://docs.slack.dev/interactivity/handling-user-interaction
ACKNOWLEDGE_SECONDS = 3.0
TRIGGER_LIFETIME = timedelta(seconds=3)
RESPONSE_URL_LIFETIME = timedelta(minutes=30)
RESPONSE_URL_USES = 5

# https://docs.slack.dev/apis/events-api/using-socket-mode
SOCKET_CONNECTIONS = 10
SOCKET_TICKET_LIFETIME = timedelta(seconds=30)  # Slack publishes none; its tickets are short-lived.

# https://docs.slack.dev/surfaces/modals and https://docs.slack.dev/reference/views
STACKED_MODALS = 3
VIEW_BYTES = 250 * 1024
VIEW_BLOCKS = 100
VIEW_TITLE = 24
PRIVATE_METADATA = 3000
ANY_ID = 255  # block_id, action_id, callback_id, external_id

# https://docs.slack.dev/reference/methods/chat.postMessage and chat.update
MESSAGE_BLOCKS = 50
MESSAGE_ATTACHMENTS = 100
POSTED_TEXT = 40_000  # Longer text is cut, not refused.
UPDATED_TEXT = 4_000
# Slack publishes no number for all blocks together; failures were seen from 11,000 to 13,000 characters of JSON.
ALL_BLOCKS = 11_000

# https://docs.slack.dev/reference/methods/files.getUploadURLExternal
UPLOADED_ALT_TEXT = 1_000
UPLOADED_BYTES = 1024**3

# https://docs.slack.dev/reference/block-kit/blocks
SECTION_TEXT = 3000
SECTION_FIELDS = 10
FIELD_TEXT = 2000
HEADER_TEXT = 150
CONTEXT_ELEMENTS = 10
CONTEXT_TEXT = 3000
ACTIONS_ELEMENTS = 25
INPUT_LABEL = 2000
MARKDOWN_TEXT = 12_000
IMAGE_TITLE = 2000
IMAGE_URL = 3000
ALT_TEXT = 2000

# https://docs.slack.dev/reference/block-kit/block-elements and composition-objects
BUTTON_TEXT = 75
BUTTON_VALUE = 2000
URL = 3000
OPTIONS = 100
OVERFLOW_OPTIONS = 5
MIN_QUERY = 3  # The default of min_query_length.
CHOICES = 10  # checkboxes and radio buttons
OPTION_TEXT = 75
OPTION_VALUE = 150
PLACEHOLDER = 150
TYPED_TEXT = 3000
CONFIRM_TITLE = 100
CONFIRM_TEXT = 300
CONFIRM_BUTTON = 30

# https://docs.slack.dev/apis/web-api/pagination
PAGE = 1000

# https://docs.slack.dev/reference/events/subteam_updated: "The users field is truncated at 500"
USERS_IN_EVENT = 500
RICH_TEXT = 4000
"""Of one piece of rich text. Slack doesn't document one; a message has no room for more."""
RICH_TEXT_ELEMENTS = 1000
