"""Notifications of committed changes: cards, threads and direct messages in Slack; webhooks; SNS."""
