"""The error codes that Slack documents for the methods of app_surface.py.

Invariant: each method's codes are those on its page, https://docs.slack.dev/reference/methods/<method>, under "Errors",
without those that every page lists, which are COMMON. Taken in November 2026 from public copies of these pages, such as
the repository slack-ruby/slack-api-ref: a copy may lag, and Slack may answer what no page lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_COMMON: Final = """
    access_denied accesslimited account_inactive deprecated_endpoint ekm_access_denied enterprise_is_restricted
    fatal_error internal_error invalid_arg_name invalid_arguments invalid_array_arg invalid_auth invalid_charset
    invalid_form_data invalid_post_type method_deprecated missing_post_type missing_scope no_permission
    not_allowed_token_type not_authed org_login_required ratelimited request_timeout service_unavailable
    team_access_not_granted team_added_to_org token_expired token_revoked two_factor_setup_required unknown_method
"""
COMMON: Final = frozenset(_COMMON.split())

_BY_METHOD: Final = {
    "apps.connections.open": "forbidden_team insecure_request missing_args",
    "api.test": "",
    "auth.test": "",
    "chat.getPermalink": "channel_not_found message_not_found",
    "chat.postEphemeral": """
        attachment_payload_limit_exceeded channel_not_found invalid_blocks invalid_blocks_format is_archived
        markdown_text_conflict message_limit_exceeded msg_blocks_too_long msg_too_long no_text not_in_channel
        rate_limited restricted_action restricted_action_read_only_channel restricted_action_thread_locked
        restricted_action_thread_only_channel too_many_attachments user_not_in_channel
    """,
    "chat.postMessage": """
        as_user_not_supported attachment_payload_limit_exceeded cannot_reply_to_message channel_not_found
        draft_already_deleted draft_already_sent draft_has_conflict draft_not_found duplicate_channel_not_found
        duplicate_message_not_found invalid_blocks invalid_blocks_format invalid_metadata_format
        invalid_metadata_schema is_archived is_bot markdown_text_conflict message_limit_exceeded messages_tab_disabled
        metadata_must_be_sent_from_app metadata_too_large missing_file_data msg_blocks_too_long msg_too_long no_text
        not_in_channel rate_limited restricted_action restricted_action_non_threadable_channel
        restricted_action_read_only_channel restricted_action_thread_locked restricted_action_thread_only_channel
        slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked
        slack_connect_lists_sharing_blocked team_not_found too_many_attachments too_many_contact_cards
    """,
    "chat.update": """
        as_user_not_supported block_mismatch cant_broadcast_message cant_update_message channel_not_found
        edit_window_closed external_channel_migrating invalid_attachments invalid_blocks invalid_blocks_format
        invalid_metadata_format invalid_metadata_schema is_inactive markdown_text_conflict message_not_found
        metadata_must_be_sent_from_app metadata_too_large msg_too_long no_dual_broadcast_content_update no_text
        slack_connect_file_link_sharing_blocked streaming_state_conflict team_not_found too_many_attachments
        update_failed
    """,
    "conversations.info": "channel_not_found method_not_supported_for_channel_type",
    "conversations.list": """
        invalid_cursor invalid_limit invalid_types method_not_supported_for_channel_type missing_argument
    """,
    "conversations.open": """
        channel_not_found invalid_user_combination method_not_supported_for_channel_type not_enough_users
        too_many_users user_disabled user_not_found user_not_visible users_list_not_supplied
    """,
    "files.completeUploadExternal": "channel_not_found file_not_found invalid_channel posting_to_channel_denied",
    "files.getUploadURLExternal": """
        alt_txt_too_large file_upload_size_restricted file_uploads_disabled file_uploads_except_images_disabled
        missing_argument
    """,
    "usergroups.list": "invalid_cursor invalid_team missing_argument plan_upgrade_required users_not_found",
    "usergroups.users.list": "no_such_subteam plan_upgrade_required",
    "users.info": "too_many_users user_not_found user_not_visible",
    "users.lookupByEmail": "users_not_found",
    "users.list": "invalid_cursor invalid_limit limit_required",
    "views.open": """
        duplicate_external_id exchanged_trigger_id expired_trigger_id invalid_trigger_id view_too_large
    """,
    "views.publish": """
        duplicate_external_id hash_conflict missing_profile_id not_enabled not_implemented view_too_large
    """,
    "views.update": "duplicate_external_id hash_conflict not_found view_too_large",
}
BY_METHOD: Final[Mapping[str, frozenset[str]]] = {name: frozenset(codes.split()) for name, codes in _BY_METHOD.items()}
